"""A folder of pictures: one sub-folder for each class, PNG or JPEG files in each.

`NAME/cat/1.png` and so on; or `NAME/train/cat/1.png` with `NAME/test/cat/2.png` (or `val`) for pictures
to validate on. The classes are the sub-folders of the training pictures by name.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workers.tasks.files import GET_AGAIN, MissingDataError, below, refuse
from workers.tasks.images.imageset import Found, ImageSet, Part, Shape, checked

ENDINGS = (".png", ".jpg", ".jpeg")
TEST_PARTS = ("test", "val", "valid", "validation")
CHANNELS = 3
MOST_CLASSES = 1000
LARGEST_BYTES = 1 << 32
"""Of all pictures, once they are cut to size."""
LAYOUT = "Put one folder for each class there, with .png, .jpg or .jpeg files in it; or the same under train and test."

Classes = Mapping[str, Sequence[Path]]
"""The files of each class, both in the order of their names."""


def find(name: str, side: int, data_dir: Path) -> Found:
    """The folder's files; each picture is to be cut to a square, and scaled to `side` pixels.

    Raises MissingDataError and InvalidDataError.
    """
    root = below(data_dir, name)
    if not root.is_dir():
        raise MissingDataError(name, [root], LAYOUT)
    train_root = root / "train" if (root / "train").is_dir() else root
    test_root = next((root / part for part in TEST_PARTS if train_root != root and (root / part).is_dir()), None)
    train = _classes(train_root)
    test = {} if test_root is None else _classes(test_root)
    _check_classes(train_root, train, test_root, test)
    files = [path for part in (train, test) for paths in part.values() for path in paths]
    size = len(files) * CHANNELS * side**2
    if size > LARGEST_BYTES:
        raise refuse(root, "it holds too much", f"at most {LARGEST_BYTES} bytes", size, "Choose a smaller side.")
    shape = Shape(channels=CHANNELS, side=side, classes=len(train))
    return Found(files, shape, partial(_read, train, test, train_root, test_root, shape))


def _classes(folder: Path) -> Classes:
    """By class. Raises InvalidDataError for a class without a picture."""
    found: dict[str, Sequence[Path]] = {}
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        found[inner.name] = sorted(path for path in inner.iterdir() if path.suffix.lower() in ENDINGS)
        if not found[inner.name]:
            raise refuse(inner, "a class has no image", f"a file ending in {', '.join(ENDINGS)}", 0, LAYOUT)
    return found


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
        images[place] = _picture(path, shape.side)
    return Part(torch.from_numpy(images), torch.tensor([label for _, label in files], dtype=torch.int64))


def _picture(path: Path, side: int) -> NDArray[np.uint8]:
    """(3, side, side): the middle square, upright, in colour. Raises InvalidDataError."""
    # Only folders need Pillow: all other data sets are read without it.
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # A small file that unpacks to gigabytes is warned of first.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as file:
                # JPEG files are unpacked no larger than they are needed.
                file.draft("RGB", (side, side))
                upright: Any = ImageOps.exif_transpose(file)
                square = ImageOps.fit(upright.convert("RGB"), (side, side), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise refuse(path, f"this picture is not read: {error}", "a whole PNG or JPEG", path.name, GET_AGAIN) from None
    return np.asarray(square, dtype=np.uint8).transpose(2, 0, 1)
