"""A folder of pictures: one sub-folder for each class, picture files in each, also in its own sub-folders.

`NAME/cat/1.png` and so on; or `NAME/train/cat/1.png` with `NAME/test/cat/2.png` (or `val`) for pictures
to validate on. The classes are the sub-folders of the training pictures by name.
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
"""Of all pictures, once they are cut to size."""
LAYOUT = "Put one folder for each class there, with .png, .jpg or .webp files in it; or the same under train and test."

Classes = Mapping[str, Sequence[Path]]
"""The files of each class, both in the order of their names."""


def find(name: str, side: int, data_dir: Path) -> Found:
    """The folder's files; each picture is to be cut to a square, and scaled to `side` pixels.

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
        raise refuse(root, "it holds too much", f"at most {LARGEST_BYTES} bytes", size, "Choose a smaller side.")
    shape = Shape(channels=CHANNELS, side=side, classes=len(train))
    counts = {name: len(paths) + len(test.get(name, ())) for name, paths in train.items()}
    read = partial(_read, train, test, train_root, test_root, shape)
    return Found(files, shape, read, classes=counts, left_out=dict(left_out))


def _parts(root: Path) -> Mapping[str, Path]:
    """The folders of the training and of the test pictures by name; empty where the root holds the classes itself.

    Raises InvalidDataError for test pictures without training pictures: their folders are no classes.
    """
    found = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
    parts = {name: found[name] for name in (TRAIN_PART, *TEST_PARTS) if name in found}
    if TRAIN_PART in parts:
        return parts
    if parts and found.keys() <= {*TEST_PARTS, "training", "testing"}:
        raise refuse(root, "there are no training pictures", "a folder train", ", ".join(sorted(found)), LAYOUT)
    return {}


def _classes(folder: Path, left_out: Counter[str]) -> Classes:
    """By class. Raises InvalidDataError for a class without a picture."""
    found: dict[str, Sequence[Path]] = {}
    for inner in sorted(folder.iterdir()):
        if is_stray(inner.name):
            left_out[STRAYS] += 1
            continue
        if not inner.is_dir():
            left_out["in no class"] += 1
            continue
        found[inner.name] = sorted(_pictures(inner, left_out))
        if not found[inner.name]:
            raise refuse(inner, "a class has no image", f"a file ending in {', '.join(ENDINGS)}", 0, LAYOUT)
    return found


def _pictures(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """At any depth. Counts what is left out by its reason."""
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
    """Whether it is what operating systems and archives leave behind, and plainly no data."""
    return name.startswith(".") or name.lower() in STRAY


def _check_classes(train_root: Path, train: Classes, test_root: Path | None, test: Classes) -> None:
    if not 2 <= len(train) <= MOST_CLASSES:
        raise refuse(train_root, "no fit number of classes", f"2 to {MOST_CLASSES} folders", len(train), LAYOUT)
    odd = sorted(set(train) ^ set(test)) if test_root is not None else []
    if odd:
        raise refuse(
            test_root or train_root, "its classes are not those trained on", ", ".join(list(train)[:20]), odd[0], LAYOUT
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
