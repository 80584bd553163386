"""`python -m workers.look PATH`: prints as JSON how a task would read a table or a folder of pictures."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from lehr.errors import LehrError
from lehr.wire.data import DataSummary
from workers.tasks.files import MissingDataError
from workers.tasks.images import folders
from workers.tasks.summary import of_pictures, of_table
from workers.tasks.tabular.encoding import class_counts
from workers.tasks.tabular.sources import read_file
from workers.tasks.tabular.table import Wanted

ANY_SIDE = 8
"""The side of the pictures; it has no effect, because pictures are listed and not read."""
FLAGS = {"columns": "--column", **{name: f"--{name}" for name in ("target", "drop", "categories", "decimal")}}
"""The flag for each parameter of the task `tabular`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the summary. Returns 0, or 2 with an error on stderr when the data cannot be read."""
    given = _parser().parse_args(arguments)
    wanted = Wanted(given.target, tuple(given.column), tuple(given.drop), tuple(given.categories), given.decimal)
    try:
        print(_with_flags(look(Path(given.path), wanted).model_dump_json()))
    except LehrError as error:
        print(_with_flags(str(error)), file=sys.stderr)
        return 2
    return 0


def look(path: Path, wanted: Wanted) -> DataSummary:
    """How a task would read the file or folder at `path`. Raises MissingDataError and InvalidDataError."""
    if path.is_dir():
        folder = folders.find(path.resolve().name, ANY_SIDE, path.resolve().parent)
        return of_pictures(str(path), folder.classes, folder.left_out)
    if not path.is_file():
        raise MissingDataError(path.name, [path], "Name a CSV or Parquet file, or a folder of pictures.")
    table = read_file(path, wanted)
    return of_table(table, class_counts(table, "auto"))


def _with_flags(text: str) -> str:
    """The text with this program's flags in place of the task's parameters."""
    return re.sub(r"(?:the parameter )?`(\w+)`", lambda name: FLAGS.get(name[1], name[0]), text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers.look", description="Show how a task reads a data set.")
    parser.add_argument("path")
    parser.add_argument("--target")
    parser.add_argument("--column", action="append", default=[])
    parser.add_argument("--drop", action="append", default=[])
    parser.add_argument("--categories", action="append", default=[])
    parser.add_argument("--decimal", choices=[".", ","])
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
