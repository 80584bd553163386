"""Data sets are got whole or not at all: verified, resumed, and refused by name."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from lehr.datasets import Dataset, RemoteFile
from lehr.datasets.fetching import ChecksumError, DownloadError
from lehr.datasets.getting import ArchiveError, DataFolderBusyError, get
from lehr.errors import LehrError
from tests.unit.datasets.conftest import Mirror

CONTENT = bytes(range(256)) * 200


def published(content: bytes, name: str = "a.bin", members: tuple[str, ...] = ()) -> RemoteFile:
    return RemoteFile(name, len(content), hashlib.sha256(content).hexdigest(), members)


def dataset(*files: RemoteFile) -> Dataset:
    return Dataset("some", "Some", "http://page.invalid", "http://home.invalid/", files, ("some",), ((),), "")


def packed(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("data/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


def test_files_are_put_where_tasks_look_and_nothing_else_stays(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files = {"/files/a.bin": CONTENT, "/files/b.bin": b"b"}
    folder = get(dataset(published(CONTENT), published(b"b", "b.bin")), tmp_path, mirror.url)
    assert folder == tmp_path / "some"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.bin": CONTENT, "b.bin": b"b"}
    assert [path.name for path in tmp_path.iterdir()] == ["some"]


def test_a_download_that_broke_off_goes_on_where_it_was(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files, mirror.breaks_after = {"/files/a.bin": CONTENT}, 30_000
    with pytest.raises(DownloadError, match=r"a\.bin cannot be fetched: .* Try again, which goes on"):
        get(dataset(published(CONTENT)), tmp_path, mirror.url)
    assert not (tmp_path / "some").exists()
    mirror.breaks_after = None
    folder = get(dataset(published(CONTENT)), tmp_path, mirror.url)
    assert mirror.asked == [("/files/a.bin", None), ("/files/a.bin", "bytes=30000-")]
    assert (folder / "a.bin").read_bytes() == CONTENT


def test_files_that_came_whole_are_not_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    both = dataset(published(CONTENT), published(b"b", "b.bin"))
    mirror.files = {"/files/a.bin": CONTENT}
    with pytest.raises(DownloadError, match=r"b\.bin cannot be fetched: the answer is 404"):
        get(both, tmp_path, mirror.url)
    mirror.files = {"/files/b.bin": b"b"}
    assert (get(both, tmp_path, mirror.url) / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("resumes", [True, False])
@pytest.mark.parametrize("there", [b"x" * 1000, CONTENT[:1000], CONTENT, CONTENT + b"x"])
def test_whatever_lies_there_from_before_the_result_is_the_published_file(
    there: bytes, resumes: bool, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.files, mirror.resumes = {"/files/a.bin": CONTENT}, resumes
    (tmp_path / ".lehr-get-some").mkdir()
    (tmp_path / ".lehr-get-some" / "a.bin.part").write_bytes(there)
    assert (get(dataset(published(CONTENT)), tmp_path, mirror.url) / "a.bin").read_bytes() == CONTENT


def test_without_a_checksum_a_broken_download_begins_anew(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files = {"/files/a.bin": CONTENT}
    (tmp_path / ".lehr-get-some").mkdir()
    (tmp_path / ".lehr-get-some" / "a.bin.part").write_bytes(b"of another file")
    folder = get(dataset(RemoteFile("a.bin", len(CONTENT), None)), tmp_path, mirror.url)
    assert (folder / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", CONTENT[:-1], CONTENT[:-1] + b"x", CONTENT + b"x"])
def test_another_file_is_refused_and_never_seen_by_a_task(content: bytes, mirror: Mirror, tmp_path: Path) -> None:
    mirror.files = {"/files/a.bin": content}
    with pytest.raises(ChecksumError, match=r"not the published a\.bin"):
        get(dataset(published(CONTENT)), tmp_path, mirror.url)
    assert not (tmp_path / "some").exists()
    mirror.files = {"/files/a.bin": CONTENT}
    assert (get(dataset(published(CONTENT)), tmp_path, mirror.url) / "a.bin").read_bytes() == CONTENT


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(DownloadError, match=r"/a\.bin cannot be fetched: .*refused.* --url"):
            get(dataset(published(CONTENT)), tmp_path, url)


def test_of_an_archive_only_the_named_files_are_taken(mirror: Mirror, tmp_path: Path) -> None:
    inside = {"data/train.bin": b"train", "data/other.bin": b"other", "../escape.bin": b"escape", "/abs.bin": b"abs"}
    archive = packed(inside)
    mirror.files = {"/files/a.tar.gz": archive}
    folder = get(dataset(published(archive, "a.tar.gz", ("data/train.bin",))), tmp_path / "deep", mirror.url)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"train.bin": b"train"}
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["some"]


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (packed({"data/test.bin": b"test"}), r"does not hold data/train\.bin"),
        (packed({"data/train.bin": os.urandom(9000)})[:-2000], "cannot be unpacked"),
        (b"no archive", "cannot be unpacked"),
    ],
)
def test_an_archive_without_its_files_is_refused(archive: bytes, said: str, mirror: Mirror, tmp_path: Path) -> None:
    mirror.files = {"/files/a.tar.gz": archive}
    with pytest.raises(ArchiveError, match=said):
        get(dataset(published(archive, "a.tar.gz", ("data/train.bin",))), tmp_path, mirror.url)
    assert not (tmp_path / "some").exists()


def test_only_one_process_gets_a_data_set_at_a_time(mirror: Mirror, tmp_path: Path) -> None:
    from lehr.datasets import getting

    with (
        getting._staging(tmp_path / ".lehr-get-some"),
        pytest.raises(DataFolderBusyError, match=f"works in {tmp_path}"),
    ):
        get(dataset(published(CONTENT)), tmp_path, mirror.url)
    assert mirror.asked == []


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LehrError, match=r"file.* cannot be written"):
        get(dataset(published(CONTENT)), tmp_path / "file", "http://127.0.0.1:9")
