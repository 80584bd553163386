"""`lehr data`: the public data sets that tasks know, and how they come onto this machine. It needs no server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from lehr.cli.display import output
from lehr.cli.display.output import JsonOption, err, say
from lehr.cli.settings import DataDirOption
from lehr.datasets import DATASETS, DEFAULT_DATA_DIR, Dataset, RemoteFile, find_dataset
from lehr.datasets.fetching import OnBytes
from lehr.datasets.getting import get as get_dataset

app = typer.Typer(help="Lists and fetches the public data sets that tasks know by name.", no_args_is_help=True)


@app.command("list")
def list_datasets(data_dir: DataDirOption = DEFAULT_DATA_DIR, json: JsonOption = False) -> None:
    """Show the public data sets, and which are on this machine."""
    found = {dataset.name: dataset.find(data_dir) for dataset in DATASETS.values()}
    if json:
        output.document([_document(dataset, found[dataset.name], data_dir) for dataset in DATASETS.values()])
        return
    place = Column("on this machine", overflow="fold")
    table = Table("name", "what", "MB", place, box=None, pad_edge=False)
    for dataset in DATASETS.values():
        there = found[dataset.name]
        size = f"{dataset.size_bytes / 1e6:.0f}"
        table.add_row(dataset.name, dataset.title, size, str(there or "no"))
    output.show(table)


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The data set: one of " + ", ".join(DATASETS) + ".")],
    *,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    url: Annotated[str | None, typer.Option(help="A folder elsewhere that has the published files: a mirror.")] = None,
) -> None:
    """Fetch a public data set, verify it, and put it where tasks look. Broken off, it goes on where it was."""
    dataset = find_dataset(name)
    there = dataset.find(data_dir)
    if there is None:
        with _progress() as on_bytes:
            there = get_dataset(dataset, data_dir, url, on_bytes)
        unverified = [file.name for file in dataset.files if file.sha256 is None]
        if unverified:
            say(f"could not verify {', '.join(unverified)}: no checksum is known", "yellow")
    else:
        say(f"{name} is already on this machine")
    output.write(str(there))


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
