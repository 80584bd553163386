"""Finds real data beside the checkout or in `LEHR_SHARED_DATA`; the repository has none."""

from __future__ import annotations

import io
import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(os.environ.get("LEHR_SHARED_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
SHAKESPEARE = FOLDER / "tinyshakespeare.txt"
CIFAR_10 = {"train": FOLDER / "cifar10_train.npz.xz", "test": FOLDER / "cifar10_test.npz.xz"}
BATCHES = 5


def write_cifar10(folder: Path, train: int = 50_000, test: int = 10_000) -> None:
    """CIFAR-10's binary format from the packed JPEG files: the first so many images of each part, drawn by seed 0.

    Needs Pillow. The images were compressed anew, so figures are not exactly those of the original ones.
    """
    folder.mkdir(parents=True)
    records = np.concatenate(list(_records("train", train)))
    for number, batch in enumerate(np.array_split(records, BATCHES), start=1):
        (folder / f"data_batch_{number}.bin").write_bytes(batch.tobytes())
    (folder / "test_batch.bin").write_bytes(np.concatenate(list(_records("test", test))).tobytes())


def _records(part: str, count: int) -> Iterator[Any]:
    """(1, 3073) uint8 each: the label, then red, green and blue, row by row."""
    from PIL import Image

    with lzma.open(CIFAR_10[part]) as file:
        packed = np.load(io.BytesIO(file.read()))
    jpeg, offsets, labels = packed["jpeg"], packed["offsets"], packed["labels"]
    # Drawn, since the file may lie sorted by class.
    for at in np.random.default_rng(0).permutation(len(labels))[:count]:
        picture = Image.open(io.BytesIO(jpeg[offsets[at] : offsets[at + 1]].tobytes())).convert("RGB")
        pixels = np.asarray(picture).transpose(2, 0, 1).reshape(-1)
        yield np.concatenate([[labels[at]], pixels]).astype(np.uint8)[None]
