"""The types of an image data set, and the checks that each one must pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from workers.tasks.files import GET_AGAIN, refuse


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a data set's images, (channels, side, side), and its number of classes."""

    channels: int
    side: int
    classes: int


@dataclass(frozen=True, slots=True)
class Part:
    """images: (n, channels, side, side) uint8; labels: (n,) int64, 0 to classes - 1"""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The training and test parts of a data set; a folder of pictures may have no test part."""

    train: Part
    test: Part | None


@dataclass(frozen=True, slots=True)
class Found:
    """A data set's files, not yet read. `read` raises InvalidDataError."""

    files: list[Path]
    shape: Shape
    read: Callable[[], ImageSet]
    classes: Mapping[str, int] = field(default_factory=dict)
    """The number of pictures by class of a folder, in the order of the labels."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """The number of files of a folder that are not read, by reason."""


def checked(part: Part, shape: Shape, source: Path) -> Part:
    """Return the part. Raises InvalidDataError if its images and labels do not match each other or `shape`."""
    expected = (shape.channels, shape.side, shape.side)
    actual = tuple(part.images.shape[1:])
    if actual != expected:
        raise refuse(source, "the images have a wrong shape", f"{expected}", actual, GET_AGAIN)
    images, labels = len(part.images), len(part.labels)
    if images != labels:
        raise refuse(source, "images and labels differ in number", f"{images} labels", labels, GET_AGAIN)
    if not images:
        raise refuse(source, "it is empty", "at least one image", 0, GET_AGAIN)
    wrong = part.labels[(part.labels < 0) | (part.labels >= shape.classes)]
    if len(wrong):
        raise refuse(source, "a label is out of range", f"0 to {shape.classes - 1}", int(wrong[0]), GET_AGAIN)
    counts = torch.bincount(part.labels, minlength=shape.classes)
    if not counts.all():
        missing = int((counts == 0).nonzero()[0])
        raise refuse(source, "a class has no image", f"each of {shape.classes} classes", missing, GET_AGAIN)
    return part
