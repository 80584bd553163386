"""Prints docs/reference/parity.md: how each framework supports each family, measured by running both.

python -m tools.parity [--sources FOLDER] > docs/reference/parity.md

FOLDER has sources of frameworks that are not installed, for versions other than those of `make setup`. The page keeps
its earlier figures for frameworks that are missing.
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
