"""Where checkpoints lie: a folder, or any place that fsspec reaches (s3://, gs://, sftp://, …). Bytes by name."""

from __future__ import annotations

import glob
import os
import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from lehr.errors import Fault, InvalidValueError
from lehr.tracebacks import without_passwords

STALE_SECONDS = 3600.0
"""Age at which an unfinished file is what a killed worker left behind."""


class Storage(Protocol):
    """Every call raises OSError when the place does not answer or has no room."""

    def place(self, name: str) -> str:
        """What another worker needs to know to find it."""

    def names(self, prefix: str) -> list[str]:
        """Of all that lies there and begins so."""

    def read(self, name: str) -> bytes: ...

    def write(self, name: str, content: bytes) -> None: ...

    def delete(self, name: str) -> None:
        """It may be gone already."""


def open_storage(url: str) -> Storage:
    """A folder, by its path or `file://` URL, made if need be; anything else by fsspec.

    Raises InvalidValueError for a folder that cannot be made, or a protocol that is not there.
    """
    storage = storage_at(url)
    if isinstance(storage, FolderStorage):
        try:
            storage.prepare()
        except OSError as error:
            raise _refused(url, f"cannot be used: {error.strerror}", "Name a folder that can be written.") from None
    return storage


def storage_at(url: str) -> Storage:
    """The same, but nothing is made. Raises InvalidValueError."""
    protocol, separator, rest = url.partition("://")
    if not separator:
        return FolderStorage(Path(url))
    return FolderStorage(Path(rest)) if protocol == "file" else RemoteStorage(url)


def split_place(place: str) -> tuple[str, str]:
    """A place's storage and name."""
    folder, _, name = place.rpartition("/")
    return folder, name


class FolderStorage:
    """A folder that several workers may share. What is written appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def prepare(self) -> None:
        """Make it, and sweep it of what killed workers left unfinished."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob(".*.tmp"):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink(missing_ok=True)

    def place(self, name: str) -> str:
        return str(self._folder / name)

    def names(self, prefix: str) -> list[str]:
        return [path.name for path in self._folder.glob(f"{glob.escape(prefix)}*")]

    def read(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Written beside, flushed to the disk, renamed."""
        descriptor, beside = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._folder / name)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
        self._flush()

    def delete(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def _flush(self) -> None:
        """Without this the rename itself may be lost with the machine's power."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class RemoteError(OSError):
    """A remote place refused, or did not answer."""


class RemoteStorage:
    """A place that fsspec reaches. It may hold a torn file: who reads must check."""

    def __init__(self, url: str) -> None:
        import fsspec

        self._files: Any
        try:
            self._files, self._root = fsspec.url_to_fs(url.rstrip("/"))
        except (ImportError, ValueError) as error:
            raise _refused(url, str(error), "Install what fsspec needs for it on this worker.") from None

    def place(self, name: str) -> str:
        return str(self._files.unstrip_protocol(self._path(name)))

    def names(self, prefix: str) -> list[str]:
        try:
            found = self._call("ls", self._root, detail=False, refresh=True)
        except FileNotFoundError:
            return []
        names = [PurePosixPath(str(path)).name for path in found]
        return [name for name in names if name.startswith(prefix)]

    def read(self, name: str) -> bytes:
        return bytes(self._call("cat_file", self._path(name)))

    def write(self, name: str, content: bytes) -> None:
        self._call("makedirs", self._root, exist_ok=True)
        self._call("pipe_file", self._path(name), content)

    def delete(self, name: str) -> None:
        try:
            self._call("rm_file", self._path(name))
        except FileNotFoundError:
            return

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._files, method)(*arguments, **options)
        except OSError:
            raise
        except Exception as error:  # every protocol has errors of its own
            raise RemoteError(f"{type(error).__name__}: {error}") from error


def _refused(url: str, message: str, remedy: str) -> InvalidValueError:
    shown = without_passwords(url)
    return InvalidValueError(Fault("checkpoints", message, "a folder, or a URL that fsspec knows", shown, remedy))
