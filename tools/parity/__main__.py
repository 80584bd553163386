"""Prints docs/reference/parity.md: what each framework has of each family, measured by running both.

python -m tools.parity [--sources FOLDER] > docs/reference/parity.md

FOLDER holds sources of frameworks that are not installed, for other versions than `make setup` brings, or where it
has none. What is said of a framework that is not here stays as it is on the page.
"""

from __future__ import annotations

import argparse
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")

from tools.parity import page, running


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.parity")
    parser.add_argument("--sources", metavar="FOLDER", help="a folder with sources that are not installed")
    given = parser.parse_args()
    if given.sources:
        running.add_sources(given.sources)
    sys.stdout.write(page.page())


if __name__ == "__main__":
    main()
