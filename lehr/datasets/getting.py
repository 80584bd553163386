"""Downloads a data set file by file, verifies it, and only then moves it to where tasks search for it.

Incomplete downloads are in a hidden folder next to the data sets, which no study can name. The folder is kept after
a failure, so that the next attempt resumes from there.
"""

from __future__ import annotations

import fcntl
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lehr.datasets.catalogue import Dataset, RemoteFile
from lehr.datasets.fetching import OnBytes, fetch
from lehr.errors import LehrError

LARGEST_MEMBER_BYTES = 1 << 30
STAGING = ".lehr-get-"


class DataFolderBusyError(LehrError):
    """Another process gets the same data set into the same folder."""


class ArchiveError(LehrError):
    """An archive is torn, or does not hold what it should."""


def get(dataset: Dataset, data_dir: Path, url: str | None = None, on_bytes: OnBytes | None = None) -> Path:
    """Download the data set and return its folder. `url`: an alternative folder with the published files.

    Raises DownloadError, ChecksumError, ArchiveError, DataFolderBusyError; LehrError if writing is not possible.
    """
    target = dataset.places(data_dir)[0]
    base = (url or dataset.url).rstrip("/") + "/"
    try:
        with _staging(data_dir / f"{STAGING}{dataset.name}") as staging:
            for file in dataset.files:
                fetch(base + file.name, staging / file.name, file, on_bytes)
            ready = [path for file in dataset.files for path in _unpacked(staging, file)]
            target.mkdir(parents=True, exist_ok=True)
            for path in ready:
                path.replace(target / path.name)
            shutil.rmtree(staging)
    except OSError as error:
        raise LehrError(f"{error.filename or data_dir} cannot be written: {error.strerror}.") from error
    return target


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """The folder for incomplete downloads, locked for one process at a time. The lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataFolderBusyError(f"Another `lehr data get` works in {folder.parent}. Wait for it.") from None
        yield folder


def _unpacked(staging: Path, file: RemoteFile) -> list[Path]:
    """The file itself, or the members of an archive, each extracted under its base name. Raises ArchiveError."""
    archive = staging / file.name
    if not file.members:
        return [archive]
    lacking = set(file.members)
    try:
        with tarfile.open(archive, "r:gz") as found:
            for member in found:
                # Extracts only the named members, and only regular files.
                if member.name not in lacking or not member.isreg() or member.size > LARGEST_MEMBER_BYTES:
                    continue
                content = found.extractfile(member)
                assert content is not None
                with content, (staging / Path(member.name).name).open("wb") as out:
                    shutil.copyfileobj(content, out)
                lacking.discard(member.name)
    except (tarfile.TarError, EOFError, OSError) as error:
        archive.unlink()
        raise ArchiveError(f"{file.name} cannot be unpacked: {error}. Get it again.") from error
    if lacking:
        archive.unlink()
        raise ArchiveError(f"{file.name} does not hold {', '.join(sorted(lacking))}. Get it from its own page.")
    return [staging / Path(name).name for name in file.members]
