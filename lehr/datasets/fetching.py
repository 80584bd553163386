"""Downloads a published file over HTTP: resumes a partial download, and verifies it before it gets its final name."""

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
"""Called with a file and the number of its bytes downloaded so far."""


class DownloadError(LehrError):
    """A file could not be fetched."""


class ChecksumError(LehrError):
    """What was fetched is not the published file."""


def fetch(url: str, path: Path, file: RemoteFile, on_bytes: OnBytes | None = None) -> None:
    """Download the file to `path` if it is not there. Raises DownloadError and ChecksumError.

    An interrupted download is kept next to `path` and resumed later. Without a checksum the download starts over,
    because a file pieced together from two versions would go unnoticed.
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
    # No compression in transit, which would change the checksum and prevent resuming.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={there}-"} if there else {})}
    try:
        with httpx.stream("GET", url, headers=headers, timeout=TIMEOUT, follow_redirects=True) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # Either it is complete already, or it does not match: the checksum will tell.
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
