"""Writes the lock files from pyproject.toml. Keeps existing pins; `--upgrade` upgrades them to the newest versions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0"
OPTIONS = [
    "--quiet",
    "--no-header",
    "--strip-extras",
    "--annotation-style=line",
    # Where packages come from is the reader's business: no host and no folder belongs in a lock.
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-trusted-host",
    "--no-emit-options",
    "--build-deps-for=editable",
    f"--upgrade-package={TORCH}",
]


def main(extra_options: list[str]) -> None:
    """Compile both locks, the larger first, so that the smaller one can follow its versions."""
    _compile("requirements-dev.lock", ["server", "worker", "dev"], extra_options)
    _compile("requirements.lock", ["server", "worker"], ["--constraint=requirements-dev.lock"])


def _compile(name: str, extras: list[str], options: list[str]) -> None:
    chosen = [f"--extra={extra}" for extra in extras]
    command = [sys.executable, "-m", "piptools", "compile", *OPTIONS, *chosen, *options, f"--output-file={name}"]
    subprocess.run([*command, "pyproject.toml"], cwd=ROOT, check=True)
    lock = ROOT / name
    # A local version such as 2.13.0+cpu names one machine's build; the lock holds for all builds of a version.
    text = re.sub(r"^(\S+==[^+\s]+)\+\S+", r"\1", lock.read_text(), flags=re.MULTILINE)
    text = re.sub(r"(# via )-c requirements-dev\.lock(?:, )?", r"\1", text)
    if "nvidia-" in text:
        sys.exit(f"{name}: the torch found here brings CUDA packages, which are not every platform's. Use a CPU build.")
    lock.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
