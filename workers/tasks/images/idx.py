"""Reads the IDX format of MNIST and similar data sets, plain or gzipped.

A file has a big-endian header (two zero bytes, the element type, the number of axes, the length of each axis), followed
by the elements in C order. Source: http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import torch
from torch import Tensor

from workers.tasks.files import GET_AGAIN, MissingDataError, read_up_to, refuse
from workers.tasks.images.imageset import ImageSet, Part, Shape, checked

UNSIGNED_BYTE = 0x08
LARGEST_BYTES = 1 << 30
_FILES = (("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1))


def locate(folder: Path) -> list[Path]:
    """The four files of a data set; empty if there are none. Raises MissingDataError if some are missing."""
    paths = {(stem, axes): _first(folder, stem, axes) for stem, axes in _FILES}
    files = [path for path in paths.values() if path is not None]
    if files and len(files) < len(paths):
        missing = [folder / f"{stem}-idx{axes}-ubyte" for (stem, axes), path in paths.items() if path is None]
        raise MissingDataError(folder.name, missing, f"{folder} holds the other files: add these, plain or as .gz.")
    return files


def read(files: list[Path], shape: Shape) -> ImageSet:
    """Read the files of `locate`. Raises InvalidDataError."""
    train_images, train_labels, test_images, test_labels = files
    return ImageSet(
        train=checked(_part(train_images, train_labels), shape, train_images),
        test=checked(_part(test_images, test_labels), shape, test_images),
    )


def _part(images: Path, labels: Path) -> Part:
    return Part(read_array(images, axes=3).unsqueeze(1), read_array(labels, axes=1).long())


def read_array(path: Path, axes: int) -> Tensor:
    """The file's elements as uint8. Raises InvalidDataError, also for elements that are not unsigned bytes."""
    content = read_up_to(path, LARGEST_BYTES)
    header = 4 + 4 * axes
    magic = bytes((0, 0, UNSIGNED_BYTE, axes))
    if content[:4] != magic or len(content) < header:
        raise refuse(
            path,
            "this is not an IDX file of the expected kind",
            f"a header {magic.hex()}…",
            content[:4].hex(),
            GET_AGAIN,
        )
    lengths = struct.unpack(f">{axes}I", content[4:header])
    if len(content) - header != math.prod(lengths):
        raise refuse(
            path, "the file is damaged", f"{math.prod(lengths)} bytes of elements", len(content) - header, GET_AGAIN
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)[header:].reshape(lengths)


def _first(folder: Path, stem: str, axes: int) -> Path | None:
    names = (f"{stem}{mark}idx{axes}-ubyte{packed}" for mark in "-." for packed in ("", ".gz"))
    return next((folder / name for name in names if (folder / name).is_file()), None)
