"""A data set of images in memory, and what must hold of any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from workers.tasks.files import GET_AGAIN, refuse


@dataclass(frozen=True, slots=True)
class Shape:
    """What a data set promises of its images: (channels, side, side), labels 0 to classes - 1."""

    channels: int
    side: int
    classes: int


@dataclass(frozen=True, slots=True)
class Part:
    """images: (n, channels, side, side) uint8; labels: (n,) int64"""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The two parts that a data set is published in; a folder of pictures may have no second one."""

    train: Part
    test: Part | None


@dataclass(frozen=True, slots=True)
class Found:
    """A data set's files, not yet read. `read` raises InvalidDataError."""

    files: list[Path]
    shape: Shape
    read: Callable[[], ImageSet]
    classes: Mapping[str, int] = field(default_factory=dict)
    """A folder's classes in the order of their labels, and how many pictures each has."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many files of a folder are not read, by the reason."""


def checked(part: Part, shape: Shape, source: Path) -> Part:
    """The part itself. Raises InvalidDataError when images and labels do not fit each other or the data set."""
    expected = (shape.channels, shape.side, shape.side)
    found = tuple(part.images.shape[1:])
    if found != expected:
        raise refuse(source, "the images have a wrong shape", f"{expected}", found, GET_AGAIN)
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
