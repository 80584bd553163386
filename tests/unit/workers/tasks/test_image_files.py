"""Readers of public image formats: every byte in its place, and clear errors before training for invalid files."""

from __future__ import annotations

import gzip
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lehr.datasets.catalogue import DEBIAN_FASHION_MNIST
from tests.unit.workers.tasks.image_files import (
    drawn,
    idx_bytes,
    write_cifar10_binary,
    write_cifar10_python,
    write_cifar100,
    write_idx,
)
from workers.tasks.files import InvalidDataError, MissingDataError
from workers.tasks.images.imageset import ImageSet
from workers.tasks.images.sources import find

GREY = (drawn(30, (28, 28), 10), drawn(20, (28, 28), 10, seed=1))
COLOUR = [drawn(20, (3, 32, 32), 10, seed=seed) for seed in range(6)]
HUNDRED = [drawn(100, (3, 32, 32), 100, seed=seed) for seed in range(2)]
FIRST_IMAGES = "train-images-idx3-ubyte"
FIRST_LABELS = "train-labels-idx1-ubyte"


def assert_holds(found: ImageSet, train: tuple[Any, Any], test: tuple[Any, Any]) -> None:
    assert found.test is not None
    for part, (images, labels) in ((found.train, train), (found.test, test)):
        assert np.array_equal(part.images.numpy().reshape(images.shape), images)
        assert np.array_equal(part.labels.numpy(), labels)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("folder", ["mnist", "MNIST/raw"])
def test_idx_files_are_read_plain_and_gzipped(folder: str, packed: bool, tmp_path: Path) -> None:
    write_idx(tmp_path / folder, *GREY, packed=packed)
    found = find("mnist", tmp_path).read()
    assert found.train.images.shape == (30, 1, 28, 28)
    assert_holds(found, *GREY)


def test_cifar_10_is_read_in_its_binary_format(tmp_path: Path) -> None:
    write_cifar10_binary(tmp_path / "cifar-10-batches-bin", COLOUR)
    assert_holds(find("cifar10", tmp_path).read(), joined(COLOUR[:5]), COLOUR[5])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_cifar_10_is_read_in_its_python_format(protocol: int, tmp_path: Path) -> None:
    write_cifar10_python(tmp_path / "cifar-10-batches-py", COLOUR, protocol)
    assert_holds(find("cifar10", tmp_path).read(), joined(COLOUR[:5]), COLOUR[5])


@pytest.mark.parametrize("binary", [True, False])
def test_cifar_100_is_read_with_its_fine_labels(binary: bool, tmp_path: Path) -> None:
    write_cifar100(tmp_path / "cifar100", HUNDRED, binary=binary)
    assert_holds(find("cifar100", tmp_path).read(), HUNDRED[0], HUNDRED[1])


def test_a_pickle_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "run"),)

    folder = tmp_path / "cifar10"
    write_cifar10_python(folder, COLOUR)
    (folder / "data_batch_3").write_bytes(pickle.dumps({b"data": Hostile(), b"labels": [0]}))
    with pytest.raises(InvalidDataError, match=r"data_batch_3: this pickle cannot be read: it refers to \w+.mkdir"):
        find("cifar10", tmp_path).read()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "this pickle cannot be read"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8)})[:-40], "this pickle cannot be read"),
        (pickle.dumps([1, 2]), "this pickle is not a dict"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8)}), "an entry is missing"),
        (pickle.dumps({b"data": np.zeros((2, 3071), np.uint8), b"labels": [0, 1]}), "a wrong shape"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.float32), b"labels": [0, 1]}), "unsigned bytes"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}), "differ in number"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": ["a", "b"]}), "not numbers"),
        (pickle.dumps({b"data": [1, 2], b"labels": [0, 1]}), "not numbers"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 10]}), "a label is out of range"),
    ],
)
def test_a_wrong_pickle_is_refused_by_name(content: bytes, said: str, tmp_path: Path) -> None:
    folder = tmp_path / "cifar10"
    write_cifar10_python(folder, COLOUR)
    (folder / "data_batch_1").write_bytes(content)
    with pytest.raises(InvalidDataError, match=said):
        find("cifar10", tmp_path).read()


def test_a_torn_binary_file_is_refused(tmp_path: Path) -> None:
    write_cifar10_binary(tmp_path / "cifar10", COLOUR)
    path = tmp_path / "cifar10" / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        InvalidDataError, match=r"test_batch.bin: the file is damaged \(allowed: a multiple of 3073 bytes"
    ):
        find("cifar10", tmp_path).read()


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (FIRST_IMAGES, lambda content: content[:-1], "the file is damaged"),
        (FIRST_IMAGES, lambda content: content + b"x", "the file is damaged"),
        (FIRST_IMAGES, lambda content: b"", "not an IDX file"),
        (FIRST_IMAGES, lambda content: b"GIF89a" + content, "not an IDX file"),
        (FIRST_IMAGES, lambda content: idx_bytes(np.zeros((30, 27, 28), np.uint8)), "a wrong shape"),
        (FIRST_IMAGES, lambda content: idx_bytes(np.zeros((31, 28, 28), np.uint8)), "differ in number"),
        (FIRST_LABELS, lambda content: content[:-1] + b"\x0a", r"out of range \(allowed: 0 to 9; got 10\)"),
        (FIRST_LABELS, lambda content: idx_bytes(np.arange(30, dtype=np.uint8) % 9), "a class has no image"),
    ],
)
def test_wrong_idx_files_are_refused_by_name(
    name: str, change: Callable[[bytes], bytes], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "mnist"
    write_idx(folder, *GREY, packed=False)
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    with pytest.raises(InvalidDataError, match=said):
        find("mnist", tmp_path).read()


@pytest.mark.parametrize("change", [lambda content: content[:-9], lambda content: b"nonsense"])
def test_a_torn_gzip_file_is_refused(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    write_idx(folder, *GREY, packed=True)
    path = folder / f"{FIRST_IMAGES}.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InvalidDataError, match="the gzip file is damaged"):
        find("mnist", tmp_path).read()


def test_a_gzip_file_that_unpacks_to_more_than_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.tasks.images.idx.LARGEST_BYTES", 10_000)
    write_idx(tmp_path / "mnist", *GREY, packed=True)
    (tmp_path / "mnist" / f"{FIRST_IMAGES}.gz").write_bytes(gzip.compress(bytes(1_000_000)))
    with pytest.raises(InvalidDataError, match="it is too large"):
        find("mnist", tmp_path).read()


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_a_missing_data_set_says_where_it_was_looked_for_and_where_it_comes_from(name: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError) as caught:
        find(name, tmp_path)
    assert str(tmp_path / name) in str(caught.value)
    assert "http" in str(caught.value)


@pytest.mark.skipif(DEBIAN_FASHION_MNIST.exists(), reason="Debian's Fashion-MNIST is here")
def test_fashion_mnist_is_looked_for_where_debian_puts_it(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"/usr/share/datasets/fashion-mnist\. .*dataset-fashion-mnist"):
        find("fashion_mnist", tmp_path)


def test_a_data_set_that_lacks_a_file_names_it(tmp_path: Path) -> None:
    write_idx(tmp_path / "mnist", *GREY, packed=False)
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(MissingDataError, match=r"Looked for: \S+/mnist/t10k-labels-idx1-ubyte\. "):
        find("mnist", tmp_path)
    write_cifar10_binary(tmp_path / "cifar10", COLOUR)
    (tmp_path / "cifar10" / "data_batch_4.bin").unlink()
    with pytest.raises(MissingDataError, match=r"Looked for: \S+/cifar10/data_batch_4.bin\. "):
        find("cifar10", tmp_path)


@pytest.mark.skipif(not DEBIAN_FASHION_MNIST.exists(), reason="Debian's Fashion-MNIST is not here")
def test_debians_fashion_mnist_is_read_whole(tmp_path: Path) -> None:
    found = find("fashion_mnist", tmp_path).read()
    assert found.test is not None
    assert np.bincount(found.train.labels).tolist() == [6000] * 10
    assert np.bincount(found.test.labels).tolist() == [1000] * 10


def joined(parts: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    return np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])
