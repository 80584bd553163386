"""Downloads are verified, resumed, complete or absent, and refused by name."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import signal
import socket
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from lehr.datasets import Dataset, RemoteFile, find_dataset
from lehr.datasets.fetching import ChecksumError, DownloadError
from lehr.datasets.getting import ArchiveError, DataFolderBusyError, get
from lehr.errors import LehrError
from tests.support.shared_data import SHAKESPEARE
from tests.unit.cli.conftest import lehr
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


def test_a_download_whose_process_is_killed_goes_on_where_it_was(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files, mirror.breaks_after, mirror.holds = {"/files/a.bin": CONTENT}, 30_000, True
    wanted = dataset(published(CONTENT))
    process = multiprocessing.get_context("spawn").Process(target=get, args=(wanted, tmp_path, mirror.url))
    process.start()
    partial = tmp_path / ".lehr-get-some" / "a.bin.part"
    deadline = time.monotonic() + 30
    while not (partial.exists() and partial.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(DataFolderBusyError):
        get(wanted, tmp_path, mirror.url)
    process.kill()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    there = partial.stat().st_size
    mirror.let_go.set()
    mirror.breaks_after, mirror.holds = None, False
    folder = get(wanted, tmp_path, mirror.url)
    assert mirror.asked[-1] == ("/files/a.bin", f"bytes={there}-")
    assert (folder / "a.bin").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["some"]


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="tiny Shakespeare is not here")
def test_the_command_takes_the_published_shakespeare_and_no_other(mirror: Mirror, tmp_path: Path) -> None:
    arguments = ("data", "get", "tinyshakespeare", "--url", mirror.url, "--data-dir", str(tmp_path))
    whole = SHAKESPEARE.read_bytes()
    mirror.files = {"/files/input.txt": whole[:-1] + b"?"}
    refused = lehr(*arguments)
    assert refused.exit_code == 1
    assert "is not the published input.txt: SHA-256" in " ".join(refused.stderr.split())
    assert find_dataset("tinyshakespeare").find(tmp_path) is None
    mirror.files = {"/files/input.txt": whole}
    assert lehr(*arguments).exit_code == 0
    assert find_dataset("tinyshakespeare").find(tmp_path) == tmp_path / "tinyshakespeare"


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
