"""Prints docs/reference/parity.md: what each framework has of each family, measured by running both.

python -m tools.parity [--sources FOLDER] > docs/reference/parity.md

FOLDER holds sources of frameworks that are not installed: `pip install --no-deps --target FOLDER megatron-core`, and
DeepSpeed's source archive, unpacked there. What is said of a framework that is not here stays as it is on the page.
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
