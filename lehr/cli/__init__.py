"""The command line."""


def main() -> None:
    """What the `lehr` command runs."""
    # Imported only now: `python -m lehr.cli.local.leash` passes through this file too and must stay light.
    from lehr.cli.app import app

    app()
