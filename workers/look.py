"""Prints as JSON how a task would read data, without training.

`python -m workers.look PATH` reads a table or a folder of pictures. `python -m workers.look --task NAME` reads the data
that the task's parameters name; it takes the parameters as JSON from standard input.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lehr.errors import Fault, InvalidValueError, LehrError
from lehr.wire.data import DataSummary
from workers.tasks.files import DEFAULT_DATA_DIR, MissingDataError
from workers.tasks.images import folders
from workers.tasks.registry import find_task
from workers.tasks.summary import of_pictures, of_table
from workers.tasks.tabular.encoding import class_counts
from workers.tasks.tabular.sources import read_file
from workers.tasks.tabular.table import Wanted

NICE = 10
ANY_SIDE = 8
"""The side of the pictures; it has no effect, because pictures are listed and not read."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the summary. Returns 0, or 2 with an error on stderr when the data cannot be read."""
    given = _parser().parse_args(arguments)
    if given.task is not None:
        return _of_task(given.task, given.data_dir)
    wanted = Wanted(given.target, tuple(given.column), tuple(given.drop), tuple(given.categories), given.decimal)
    try:
        print(look(Path(given.path), wanted).model_dump_json())
    except LehrError as error:
        print(error, file=sys.stderr)
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


def look_by(name: str, params: str, data_dir: Path) -> DataSummary:
    """`params`: the task's parameters, as JSON. Raises what the task raises."""
    kind = find_task(name)
    task = kind(kind.params_model.model_validate_json(params))
    task.data_dir = data_dir
    found = task.look()
    if found is None:
        bound, remedy = "data that the task describes", "Name a file or folder of your own."
        raise InvalidValueError(Fault("params", "the task does not describe this data", bound, name, remedy))
    return found


def _of_task(name: str, data_dir: Path) -> int:
    """For a worker: at a low priority, so that training keeps the processor. What the task prints goes to stderr."""
    os.nice(NICE)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found = look_by(name, sys.stdin.read(), data_dir)
    except LehrError as error:
        print(str(error), file=sys.stderr)
        return 2
    print(found.model_dump_json())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers.look", description="Show how a task reads a data set.")
    parser.add_argument("path", nargs="?", default="")
    parser.add_argument("--task")
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA_DIR)
    parser.add_argument("--target")
    parser.add_argument("--column", action="append", default=[])
    parser.add_argument("--drop", action="append", default=[])
    parser.add_argument("--categories", action="append", default=[])
    parser.add_argument("--decimal", choices=[".", ","])
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
