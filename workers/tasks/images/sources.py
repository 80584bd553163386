"""Finds published data sets by name, in the first folder that holds one of their formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lehr.datasets import DATASETS
from workers.tasks.files import MissingDataError
from workers.tasks.images import cifar, idx
from workers.tasks.images.imageset import Found, ImageSet, Shape
from workers.tasks.images.params import PublishedName


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: how its files are found in a folder, and how they are read."""

    locate: Callable[[Path], list[Path]]
    read: Callable[[list[Path], Shape], ImageSet]


@dataclass(frozen=True, slots=True)
class Source:
    """The shape of a data set's images, and the formats in which it is published. `DATASETS` lists its folders."""

    shape: Shape
    formats: tuple[Format, ...]


_IDX = Format(idx.locate, idx.read)


def _cifar(name: str) -> tuple[Format, ...]:
    return tuple(Format(layout.locate, layout.read) for layout in (cifar.BINARY[name], cifar.PYTHON[name]))


SOURCES: Mapping[PublishedName, Source] = {
    "mnist": Source(Shape(channels=1, side=28, classes=10), (_IDX,)),
    "fashion_mnist": Source(Shape(channels=1, side=28, classes=10), (_IDX,)),
    "cifar10": Source(Shape(channels=3, side=32, classes=10), _cifar("cifar10")),
    "cifar100": Source(Shape(channels=3, side=32, classes=100), _cifar("cifar100")),
}


def find(name: PublishedName, data_dir: Path) -> Found:
    """The files of a data set. Raises MissingDataError."""
    source = SOURCES[name]
    folders = DATASETS[name].places(data_dir)
    for folder in folders:
        for format_ in source.formats:
            files = format_.locate(folder)
            if files:
                return Found(files, source.shape, partial(format_.read, files, source.shape))
    raise MissingDataError(name, folders, DATASETS[name].remedy)
