"""`lehr data`: public data sets, and how tasks read your own data."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from lehr.cli.display import output
from lehr.cli.display.data_lines import data_lines
from lehr.cli.display.output import JsonOption, err, say
from lehr.cli.inputs.flags import naming
from lehr.cli.local.process import program_environment, require
from lehr.cli.settings import DEFAULT_SERVER, DataDirOption, ServerOption, environment
from lehr.client import Client
from lehr.datasets import DATASETS, DEFAULT_DATA_DIR, Dataset, RemoteFile, find_dataset
from lehr.datasets.fetching import OnBytes
from lehr.datasets.getting import get as get_dataset
from lehr.errors import Fault, InvalidValueError, LehrError
from lehr.terminal import Rows
from lehr.wire.data import DataSummary
from lehr.wire.looks import FINISHED_LOOK_STATES

POLL_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 25.0
FLAGS = {"columns": "--column", **{name: f"--{name}" for name in ("target", "drop", "categories", "decimal")}}
"""The option for each parameter of the task `tabular`."""

app = typer.Typer(help="List and fetch public data sets, and look at your own data.", no_args_is_help=True)


class LookError(LehrError):
    """The data cannot be read."""


@app.command("list")
def list_datasets(data_dir: DataDirOption = DEFAULT_DATA_DIR, json: JsonOption = False) -> None:
    """List the public data sets, and which are on this machine."""
    found = {dataset.name: dataset.find(data_dir) for dataset in DATASETS.values()}
    if json:
        output.document([_document(dataset, found[dataset.name], data_dir) for dataset in DATASETS.values()])
        return
    table = Rows("name", "title", "MB", "on this machine", spare=("title",))
    for dataset in DATASETS.values():
        there = found[dataset.name]
        size = f"{dataset.size_bytes / 1e6:.0f}"
        table.add_row(dataset.name, dataset.title, size, str(there or "no"))
    output.show(table)


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Data set: " + ", ".join(DATASETS) + ".")],
    *,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    url: Annotated[str | None, typer.Option(help="URL of a mirror: a folder that holds the published files.")] = None,
) -> None:
    """Download a public data set, verify it, and store it where tasks look. Resumes an interrupted download."""
    dataset = find_dataset(name)
    there = dataset.find(data_dir)
    if there is None:
        with _progress() as on_bytes:
            there = get_dataset(dataset, data_dir, url, on_bytes)
        unverified = [file.name for file in dataset.files if file.sha256 is None]
        if unverified:
            say(f"warning: could not verify {', '.join(unverified)}: no checksum is known", "yellow")
    else:
        say(f"{name} is already on this machine")
    output.write(str(there))


@app.command("look")
def look(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A CSV or Parquet file, or a folder of images.")],
    *,
    target: Annotated[str | None, typer.Option("--target", help="Column to predict; the last one by default.")] = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", help="Input column; all by default. Repeatable.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="Column to leave out. Repeatable.")] = None,
    categories: Annotated[
        list[str] | None,
        typer.Option("--categories", help="Column to read as text, also NA, none and numbers. Repeatable."),
    ] = None,
    decimal: Annotated[str | None, typer.Option("--decimal", metavar=".|,", help="Decimal mark.")] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="tabular|images", help="Ask a worker about FILE in its data folder."),
    ] = None,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
) -> None:
    """Show how the tasks `tabular` and `images` would read data, here or on a worker. Nothing is trained."""
    if decimal not in (None, ".", ","):
        raise InvalidValueError(Fault("--decimal", "is not a decimal mark", ". or ,", decimal, "Use . or ,"))
    many = {"--column": column, "--drop": drop, "--categories": categories}
    options = [f"{name}={value}" for name, values in many.items() for value in values or []]
    options += [
        f"{name}={value}" for name, value in (("--target", target), ("--decimal", decimal)) if value is not None
    ]
    if task is None:
        found = _seen([*options, "--", file])
    else:
        named = {"target": target, "columns": column, "drop": drop, "categories": categories, "decimal": decimal}
        found = _seen_by_a_worker(server, task, file, {name: one for name, one in named.items() if one is not None})
    if json:
        output.document(found.model_dump(mode="json"))
        return
    output.lines(_with_options("\n".join(data_lines(found))))
    for doubt in found.doubts:
        say(f"warning: {_with_options(doubt)}", "yellow")


def _seen(arguments: list[str]) -> DataSummary:
    """Read the data with the workers' program, which has the packages for it. Raises LookError with its message."""
    require("workers")
    command = [sys.executable, "-m", "workers.look", *arguments]
    done = subprocess.run(command, env=program_environment(environment()), capture_output=True, text=True, check=False)
    if done.returncode:
        raise LookError(
            _with_options(done.stderr.strip()) or f"reading the data failed with exit status {done.returncode}"
        )
    return DataSummary.model_validate_json(done.stdout)


def _seen_by_a_worker(server: str, task: str, file: str, named: dict[str, Any]) -> DataSummary:
    """Raises LookError if the worker cannot read the data, or if no worker answers in time."""
    params = {"images": {"data": "folder", "folder": file}, "tabular": {"file": file}}.get(task)
    if params is None:
        remedy = f"For other tasks, use POST /v1/tasks/{task}/look."
        raise InvalidValueError(Fault("--task", "has no parameter for FILE", "tabular or images", task, remedy))
    flags = {f"params.{name}": flag for name, flag in {**FLAGS, "file": "FILE", "folder": "FILE"}.items()}
    with Client(server) as client, naming({"name": "--task", **flags}):
        look = client.look(task, {**params, **named}, wait_seconds=LONGEST_WAIT_SECONDS)
        while look.state not in FINISHED_LOOK_STATES:
            time.sleep(POLL_SECONDS)
            look = client.find_look(look.look_id)
    if look.data is None:
        raise LookError(_with_options(look.error or "the worker sent no data"))
    return look.data


def _with_options(text: str) -> str:
    """What a task says about its parameters, in the words of this command's options."""
    return re.sub(r"(?:the parameter )?`(\w+)`", lambda name: FLAGS.get(name[1], name[0]), text)


def _document(dataset: Dataset, there: Path | None, data_dir: Path) -> dict[str, object]:
    return {
        "name": dataset.name,
        "title": dataset.title,
        "page": dataset.page,
        "bytes": dataset.size_bytes,
        "found": None if there is None else str(there),
        "looked_for": [str(place) for place in dataset.places(data_dir)],
        "files": [{"url": dataset.url + file.name, "sha256": file.sha256} for file in dataset.files],
    }


@contextmanager
def _progress() -> Iterator[OnBytes]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bars = {}

        def on_bytes(file: RemoteFile, there: int) -> None:
            if file.name not in bars:
                bars[file.name] = progress.add_task(file.name, total=file.size_bytes)
            progress.update(bars[file.name], completed=there)

        yield on_bytes
