"""The catalogue agrees with the loaders that read each data set and the command that downloads it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from lehr.datasets import DATASETS, Dataset, find_dataset
from lehr.datasets.getting import get
from lehr.errors import InvalidValueError
from tests.support.shared_data import SHAKESPEARE
from tests.unit.cli.conftest import lehr
from tests.unit.datasets.conftest import Mirror
from tests.unit.workers.tasks.image_files import drawn, write_cifar10_binary, write_cifar100, write_idx
from workers.tasks.images.params import PublishedName
from workers.tasks.images.sources import find

GREY = (drawn(30, (28, 28), 10), drawn(20, (28, 28), 10, seed=1))
IMAGES = get_args(PublishedName)


def served(name: str, mirror: Mirror, folder: Path) -> Dataset:
    """A small data set of that name in the published files, at the mirror; the entry with its checksums."""
    if name in ("mnist", "fashion_mnist"):
        write_idx(folder, *GREY, packed=True)
        contents = [(folder / file.name).read_bytes() for file in DATASETS[name].files]
    else:
        if name == "cifar10":
            write_cifar10_binary(folder, [drawn(20, (3, 32, 32), 10, seed=seed) for seed in range(6)])
        else:
            write_cifar100(folder, [drawn(100, (3, 32, 32), 100, seed=seed) for seed in range(2)], binary=True)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for member in DATASETS[name].files[0].members:
                archive.add(folder / Path(member).name, member)
        contents = [buffer.getvalue()]
    files = []
    for file, content in zip(DATASETS[name].files, contents, strict=True):
        mirror.files[f"/files/{file.name}"] = content
        files.append(replace(file, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
    return replace(DATASETS[name], files=tuple(files))


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_got_is_what_the_task_reads(name: PublishedName, mirror: Mirror, tmp_path: Path) -> None:
    entry = served(name, mirror, tmp_path / "published")
    folder = get(entry, tmp_path / "data", mirror.url)
    found = find(name, tmp_path / "data")
    assert {path.parent for path in found.files} == {folder}
    assert len(found.read().train.images) in (30, 100)
    assert entry.find(tmp_path / "data") == folder


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_entry_is_verified_and_public(name: str) -> None:
    entry = DATASETS[name]
    assert entry.url.startswith("https://")
    assert entry.url.endswith("/")
    for file in entry.files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256 or "")
        assert file.size_bytes > 0


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="tiny Shakespeare is not here")
def test_tiny_shakespeare_has_the_checksum_of_the_catalogue() -> None:
    content = SHAKESPEARE.read_bytes()
    (file,) = DATASETS["tinyshakespeare"].files
    assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size_bytes, file.sha256)


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InvalidValueError, match="one of mnist, fashion_mnist, cifar10, cifar100, tinyshakespeare"):
        find_dataset("imagenet")


def test_the_command_gets_a_data_set_once_and_lists_it(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = served("mnist", mirror, tmp_path / "published")
    monkeypatch.setattr("lehr.cli.commands.data.DATASETS", {"mnist": entry})
    monkeypatch.setattr("lehr.cli.commands.data.find_dataset", lambda name: entry)
    monkeypatch.setenv("LEHR_DATA_DIR", str(tmp_path / "data"))
    (before,) = json.loads(lehr("data", "list", "--json").stdout)
    assert (before["found"], before["looked_for"][0]) == (None, str(tmp_path / "data" / "mnist"))
    first = lehr("data", "get", "mnist", "--url", mirror.url)
    assert (first.exit_code, first.stdout) == (0, f"{tmp_path}/data/mnist\n")
    asked = len(mirror.asked)
    again = lehr("data", "get", "mnist", "--url", mirror.url)
    assert (again.exit_code, len(mirror.asked)) == (0, asked)
    assert "already on this machine" in again.stderr
    (after,) = json.loads(lehr("data", "list", "--json").stdout)
    assert after["found"] == str(tmp_path / "data" / "mnist")
    assert str(tmp_path / "data" / "mnist") in "".join(lehr("data", "list").stdout.split())


def test_the_command_says_what_it_could_not_verify(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = served("cifar100", mirror, tmp_path / "published")
    entry = replace(entry, files=tuple(replace(file, sha256=None) for file in entry.files))
    monkeypatch.setattr("lehr.cli.commands.data.find_dataset", lambda name: entry)
    said = lehr("data", "get", "cifar100", "--url", mirror.url, "--data-dir", str(tmp_path / "data"))
    assert said.exit_code == 0
    assert "could not verify cifar-100-binary.tar.gz: no checksum is known" in said.stderr


def test_the_command_fails_in_words(mirror: Mirror, tmp_path: Path) -> None:
    failed = lehr("data", "get", "cifar10", "--url", mirror.url, "--data-dir", str(tmp_path))
    assert failed.exit_code == 1
    assert "cifar-10-binary.tar.gz cannot be fetched: the answer is 404" in failed.stderr
    unknown = lehr("data", "get", "imagenet")
    assert unknown.exit_code == 2
    assert "no such data set" in unknown.stderr
