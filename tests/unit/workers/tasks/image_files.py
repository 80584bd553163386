"""Writes small image data sets in the public formats, independently of the product's code."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np

Images = Any
Labels = Any


def drawn(count: int, shape: tuple[int, ...], classes: int, seed: int = 0) -> tuple[Images, Labels]:
    """Images that differ by class, with the classes in turn."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = generator.integers(0, 60, (count, *shape), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., label % shape[-1], :] += 190
    return images, labels.astype(np.uint8)


def idx_bytes(array: Any) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + bytes(array.tobytes())


def write_idx(folder: Path, train: tuple[Images, Labels], test: tuple[Images, Labels], *, packed: bool) -> None:
    folder.mkdir(parents=True)
    for stem, (images, labels) in (("train", train), ("t10k", test)):
        for name, array in ((f"{stem}-images-idx3-ubyte", images), (f"{stem}-labels-idx1-ubyte", labels)):
            content = idx_bytes(array)
            (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)


def write_cifar10_binary(folder: Path, batches: list[tuple[Images, Labels]]) -> None:
    """Five training batches and one test batch, as records of a label and 3072 bytes."""
    folder.mkdir(parents=True)
    for name, (images, labels) in zip(cifar10_names(".bin"), batches, strict=True):
        records = np.concatenate([labels[:, None], images.reshape(len(images), -1)], axis=1).astype(np.uint8)
        (folder / name).write_bytes(records.tobytes())


def write_cifar10_python(folder: Path, batches: list[tuple[Images, Labels]], protocol: int = 2) -> None:
    folder.mkdir(parents=True)
    for name, (images, labels) in zip(cifar10_names(""), batches, strict=True):
        found = {b"batch_label": b"x", b"labels": labels.tolist(), b"data": images.reshape(len(images), -1)}
        (folder / name).write_bytes(pickle.dumps(found, protocol=protocol))


def write_cifar100(folder: Path, parts: list[tuple[Images, Labels]], *, binary: bool) -> None:
    folder.mkdir(parents=True)
    for name, (images, fine) in zip(("train", "test"), parts, strict=True):
        pixels, coarse = images.reshape(len(images), -1), fine // 5
        if binary:
            records = np.concatenate([coarse[:, None], fine[:, None], pixels], axis=1).astype(np.uint8)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
        else:
            found = {b"data": pixels, b"fine_labels": fine.tolist(), b"coarse_labels": coarse.tolist()}
            (folder / name).write_bytes(pickle.dumps(found, protocol=2))


def cifar10_names(ending: str) -> list[str]:
    return [f"{name}{ending}" for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")]
