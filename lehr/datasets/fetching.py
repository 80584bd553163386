"""One published file over HTTP: resumed where it broke off, and verified before it bears its name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx

from lehr.datasets.catalogue import RemoteFile
from lehr.errors import LehrError
from lehr.tracebacks import without_passwords

TIMEOUT = httpx.Timeout(60.0, connect=15.0)
PARTIAL = ".part"

OnBytes = Callable[[RemoteFile, int], None]
"""Told of a file how many of its bytes are there."""


class DownloadError(LehrError):
    """A file could not be fetched."""


class ChecksumError(LehrError):
    """What was fetched is not the published file."""


def fetch(url: str, path: Path, file: RemoteFile, on_bytes: OnBytes | None = None) -> None:
    """Have the file at `path`, whole. Raises DownloadError and ChecksumError.

    Broken off, what came is kept beside it and gone on from; without a checksum it begins anew, since
    nobody could tell a file put together from two.
    """
    if path.exists():
        return
    partial = path.with_name(path.name + PARTIAL)
    if file.sha256 is None:
        partial.unlink(missing_ok=True)
    resumed = partial.exists()
    _download(url, partial, file, on_bytes)
    if resumed and not _is_whole(partial, file):
        partial.unlink()
        _download(url, partial, file, on_bytes)
    _check(url, partial, file)
    partial.replace(path)


def _download(url: str, partial: Path, file: RemoteFile, on_bytes: OnBytes | None) -> None:
    there = partial.stat().st_size if partial.exists() else 0
    # As it is: a file that the server packs on the way would have another checksum, and no place to go on from.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={there}-"} if there else {})}
    try:
        with httpx.stream("GET", url, headers=headers, timeout=TIMEOUT, follow_redirects=True) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # All of it is there already, or nothing fits: the checksum tells.
            answer.raise_for_status()
            goes_on = answer.headers.get("Content-Range", "").startswith(f"bytes {there}-")
            with partial.open("ab" if there and goes_on else "wb") as out:
                for piece in answer.iter_raw():
                    out.write(piece)
                    _check_size(url, out.tell(), file)
                    if on_bytes is not None:
                        on_bytes(file, out.tell())
    except httpx.HTTPStatusError as error:
        raise _failed(url, f"the answer is {error.response.status_code} {error.response.reason_phrase}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _failed(url, str(error) or type(error).__name__) from error


def _failed(url: str, reason: str) -> DownloadError:
    place = without_passwords(url)
    return DownloadError(
        f"{place} cannot be fetched: {reason}. Try again, which goes on where it broke off; or name a folder elsewhere "
        "that has the files with --url; or get the files by other means: `lehr data list` says where they belong."
    )


def _check_size(url: str, size: int, file: RemoteFile) -> None:
    if file.sha256 is not None and size > file.size_bytes:
        place = without_passwords(url)
        raise ChecksumError(f"{place} gives more than {file.size_bytes} bytes: it is not the published {file.name}.")


def _is_whole(path: Path, file: RemoteFile) -> bool:
    return path.exists() and _digest(path) == file.sha256


def _check(url: str, partial: Path, file: RemoteFile) -> None:
    if file.sha256 is None:
        return
    found = _digest(partial)
    if found != file.sha256:
        size = partial.stat().st_size
        place = without_passwords(url)
        partial.unlink()
        raise ChecksumError(
            f"{place} is not the published {file.name}: SHA-256 {found}, {size} bytes; expected {file.sha256}, "
            f"{file.size_bytes} bytes. What came was deleted. Name another folder with --url."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
