"""Reads CIFAR-10 and CIFAR-100 in their two published formats.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009;
https://www.cs.toronto.edu/~kriz/cifar.html. Binary: records of one label (CIFAR-100: coarse, then fine) and
3072 bytes, red, green, blue, each row by row. Python: pickled dicts of the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from workers.tasks.files import GET_AGAIN, MissingDataError, read_up_to, refuse
from workers.tasks.images.imageset import ImageSet, Part, Shape, checked
from workers.tasks.images.pickles import PickledArray, read_dict

PIXEL_BYTES = 3 * 32 * 32
LARGEST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Layout:
    """A format of a data set: its files, and where the label is in each record or dict."""

    train: tuple[str, ...]
    test: str
    labels: str
    label_bytes: int = 0

    def locate(self, folder: Path) -> list[Path]:
        """The training files, then the test file; empty if none exist. Raises MissingDataError if only some do."""
        files = [folder / name for name in (*self.train, self.test)]
        missing = [path for path in files if not path.is_file()]
        if len(missing) == len(files):
            return []
        if missing:
            raise MissingDataError(folder.name, missing, f"{folder} holds the other files: unpack the archive again.")
        return files

    def read(self, files: list[Path], shape: Shape) -> ImageSet:
        """Read the files of `locate`. Raises InvalidDataError."""
        *train, test = [self._part(path) for path in files]
        images, labels = torch.cat([part.images for part in train]), torch.cat([part.labels for part in train])
        return ImageSet(
            train=checked(Part(images, labels), shape, files[0].parent), test=checked(test, shape, files[-1])
        )

    def _part(self, path: Path) -> Part:
        content = read_up_to(path, LARGEST_BYTES)
        return _binary(path, content, self.label_bytes) if self.label_bytes else _pickled(path, content, self.labels)


_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
BINARY: Mapping[str, Layout] = {
    "cifar10": Layout(tuple(f"{name}.bin" for name in _BATCHES), "test_batch.bin", "", label_bytes=1),
    "cifar100": Layout(("train.bin",), "test.bin", "", label_bytes=2),
}
PYTHON: Mapping[str, Layout] = {
    "cifar10": Layout(_BATCHES, "test_batch", "labels"),
    "cifar100": Layout(("train",), "test", "fine_labels"),
}


def _binary(path: Path, content: bytes, label_bytes: int) -> Part:
    record = label_bytes + PIXEL_BYTES
    if not content or len(content) % record:
        raise refuse(path, "the file is damaged", f"a multiple of {record} bytes", len(content), GET_AGAIN)
    records = torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(-1, record)
    return Part(_images(records[:, label_bytes:]), records[:, label_bytes - 1].long())


def _pickled(path: Path, content: bytes, labels: str) -> Part:
    found = read_dict(path, content)
    missing = [key for key in ("data", labels) if key not in found]
    if missing:
        raise refuse(path, "an entry is missing", f"data and {labels}", ", ".join(sorted(found)), GET_AGAIN)
    try:
        pixels, numbers = _tensor(found["data"]), torch.tensor(found[labels], dtype=torch.int64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise refuse(
            path, f"data or labels are not numbers: {error}", "bytes and a list", "others", GET_AGAIN
        ) from None
    if pixels.ndim != 2 or pixels.shape[1] != PIXEL_BYTES or numbers.ndim != 1:
        raise refuse(path, "the images have a wrong shape", f"(n, {PIXEL_BYTES})", tuple(pixels.shape), GET_AGAIN)
    if len(pixels) != len(numbers):
        raise refuse(path, "images and labels differ in number", f"{len(pixels)} labels", len(numbers), GET_AGAIN)
    return Part(_images(pixels), numbers)


def _tensor(found: object) -> Tensor:
    if not isinstance(found, PickledArray):
        raise TypeError("data is no array")
    return found.tensor()


def _images(pixels: Tensor) -> Tensor:
    """pixels: (n, 3072) -> (n, 3, 32, 32)"""
    return pixels.reshape(-1, 3, 32, 32)
