"""The command-line interface."""


def main() -> None:
    """The entry point of the `lehr` command."""
    # Imported here because `python -m lehr.cli.local.leash` also loads this file and must start fast.
    from lehr.cli.app import app

    app()
