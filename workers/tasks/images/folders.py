"""Reads a folder of pictures that has one sub-folder for each class.

The pictures are `NAME/cat/1.png` and so on; or `NAME/train/cat/1.png`, with validation pictures in
`NAME/test/cat/2.png` (or `val`). A class may have nested folders. The classes are the sub-folders of the training
pictures, sorted by name.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from workers.tasks.files import MissingDataError, below, refuse
from workers.tasks.images.imageset import Found, ImageSet, Part, Shape, checked
from workers.tasks.images.pictures import ENDINGS, read_picture
from workers.tasks.summary import STRAYS

TRAIN_PART = "train"
TEST_PARTS = ("test", "val", "valid", "validation")
STRAY = frozenset({"__macosx", "thumbs.db", "desktop.ini", "__pycache__"})
CHANNELS = 3
MOST_CLASSES = 1000
LARGEST_BYTES = 1 << 32
"""Maximum size of all pictures after they are scaled."""
LAYOUT = "Put one folder for each class there, with .png, .jpg or .webp files in it; or the same under train and test."

Classes = Mapping[str, Sequence[Path]]
"""The files of each class; classes and files are sorted by name."""


def find(name: str, side: int, data_dir: Path) -> Found:
    """The folder's files. Pictures will be cropped to squares and scaled to `side` pixels.

    Raises MissingDataError and InvalidDataError.
    """
    root = below(data_dir, name)
    if not root.is_dir():
        raise MissingDataError(name, [root], LAYOUT)
    parts = _parts(root)
    train_root = parts.get(TRAIN_PART, root)
    test_root = next((parts[part] for part in TEST_PARTS if part in parts), None)
    left_out: Counter[str] = Counter()
    train = _classes(train_root, left_out)
    test = {} if test_root is None else _classes(test_root, left_out)
    _check_classes(train_root, train, test_root, test)
    files = [path for part in (train, test) for paths in part.values() for path in paths]
    size = len(files) * CHANNELS * side**2
    if size > LARGEST_BYTES:
        raise refuse(root, "it is too large", f"at most {LARGEST_BYTES} bytes", size, "Choose a smaller side.")
    shape = Shape(channels=CHANNELS, side=side, classes=len(train))
    counts = {name: len(paths) + len(test.get(name, ())) for name, paths in train.items()}
    read = partial(_read, train, test, train_root, test_root, shape)
    return Found(files, shape, read, classes=counts, left_out=dict(left_out))


def _parts(root: Path) -> Mapping[str, Path]:
    """The folders of the training and the test pictures by name; empty if the root holds the classes itself.

    Raises InvalidDataError for a test folder without a training folder, which would otherwise be taken for a class.
    """
    inner = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
    parts = {name: inner[name] for name in (TRAIN_PART, *TEST_PARTS) if name in inner}
    if TRAIN_PART in parts:
        return parts
    if parts and inner.keys() <= {*TEST_PARTS, "training", "testing"}:
        raise refuse(root, "there are no training pictures", "a folder train", ", ".join(sorted(inner)), LAYOUT)
    return {}


def _classes(folder: Path, left_out: Counter[str]) -> Classes:
    """The pictures by class. Raises InvalidDataError for a class without pictures."""
    classes: dict[str, Sequence[Path]] = {}
    for inner in sorted(folder.iterdir()):
        if is_stray(inner.name):
            left_out[STRAYS] += 1
            continue
        if not inner.is_dir():
            left_out["in no class"] += 1
            continue
        classes[inner.name] = sorted(_pictures(inner, left_out))
        if not classes[inner.name]:
            raise refuse(inner, "a class has no image", f"a file ending in {', '.join(ENDINGS)}", 0, LAYOUT)
    return classes


def _pictures(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """The picture files at any depth. Counts other files in `left_out`, by reason."""
    for place, folders, files in os.walk(folder):
        strays = [name for name in (*folders, *files) if is_stray(name)]
        left_out.update({STRAYS: len(strays)} if strays else {})
        folders[:] = [name for name in folders if not is_stray(name)]
        for path in (Path(place, name) for name in files if not is_stray(name)):
            if path.suffix.lower() not in ENDINGS:
                left_out[f"ending in {path.suffix.lower()!r}" if path.suffix else "without an ending"] += 1
            elif not path.is_file():
                left_out["(broken link)" if path.is_symlink() else "(no regular file)"] += 1
            else:
                yield path


def is_stray(name: str) -> bool:
    """Whether it is a hidden file, or one that operating systems and archive tools leave behind."""
    return name.startswith(".") or name.lower() in STRAY


def _check_classes(train_root: Path, train: Classes, test_root: Path | None, test: Classes) -> None:
    if not 2 <= len(train) <= MOST_CLASSES:
        raise refuse(train_root, "wrong number of classes", f"2 to {MOST_CLASSES} folders", len(train), LAYOUT)
    odd = sorted(set(train) ^ set(test)) if test_root is not None else []
    if odd:
        raise refuse(
            test_root or train_root,
            "its classes differ from the training classes",
            ", ".join(list(train)[:20]),
            odd[0],
            LAYOUT,
        )


def _read(train: Classes, test: Classes, train_root: Path, test_root: Path | None, shape: Shape) -> ImageSet:
    part = checked(_part(train, shape), shape, train_root)
    return ImageSet(part, None if test_root is None else checked(_part(test, shape), shape, test_root))


def _part(classes: Classes, shape: Shape) -> Part:
    files = [(path, label) for label, paths in enumerate(classes.values()) for path in paths]
    images = np.empty((len(files), shape.channels, shape.side, shape.side), dtype=np.uint8)
    for place, (path, _) in enumerate(files):
        images[place] = read_picture(path, shape.side)
    return Part(torch.from_numpy(images), torch.tensor([label for _, label in files], dtype=torch.int64))
