"""Stores checkpoints, as bytes by name, in a folder or at any URL that fsspec supports (s3://, gs://, sftp://, …)."""

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
"""Age at which an unfinished file counts as left behind by a killed worker."""


class Storage(Protocol):
    """A store of files. Every call raises OSError when the store does not answer or is full."""

    def place(self, name: str) -> str:
        """The location by which another worker can find the file."""

    def names(self, prefix: str) -> list[str]:
        """The names of all files that start with the prefix."""

    def read(self, name: str) -> bytes: ...

    def write(self, name: str, content: bytes) -> None: ...

    def delete(self, name: str) -> None:
        """Delete a file, which may no longer exist."""


def open_storage(url: str) -> Storage:
    """A folder, by path or `file://` URL, which is created if necessary; or any other URL, by fsspec.

    Raises InvalidValueError for a folder that cannot be created, or an unsupported protocol.
    """
    storage = storage_at(url)
    if isinstance(storage, FolderStorage):
        try:
            storage.prepare()
        except OSError as error:
            raise _refused(url, f"cannot be used: {error.strerror}", "Use a writable folder.") from None
    return storage


def storage_at(url: str) -> Storage:
    """The same, but creates nothing. Raises InvalidValueError for an unsupported protocol."""
    protocol, separator, rest = url.partition("://")
    if not separator:
        return FolderStorage(Path(url))
    return FolderStorage(Path(rest)) if protocol == "file" else RemoteStorage(url)


def split_place(place: str) -> tuple[str, str]:
    """The storage and the name of a location."""
    folder, _, name = place.rpartition("/")
    return folder, name


class FolderStorage:
    """A folder that several workers may share. Files appear in full or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def prepare(self) -> None:
        """Create the folder, and delete unfinished files of killed workers."""
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
        """Write a temporary file, flush it to disk, and rename it."""
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._folder / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._flush()

    def delete(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def _flush(self) -> None:
        """Flush the folder; without this, a power failure may undo the rename."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class RemoteError(OSError):
    """Remote storage refused a call or did not answer."""


class RemoteStorage:
    """Storage at a URL that fsspec supports. Files may be torn, so readers must check them."""

    def __init__(self, url: str) -> None:
        import fsspec

        self._files: Any
        try:
            self._files, self._root = fsspec.url_to_fs(url.rstrip("/"))
        except (ImportError, ValueError) as error:
            raise _refused(url, str(error), "Install the package that fsspec needs for it on this worker.") from None

    def place(self, name: str) -> str:
        return str(self._files.unstrip_protocol(self._path(name)))

    def names(self, prefix: str) -> list[str]:
        try:
            paths = self._call("ls", self._root, detail=False, refresh=True)
        except FileNotFoundError:
            return []
        names = [PurePosixPath(str(path)).name for path in paths]
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
        except Exception as error:  # every protocol has its own exceptions
            raise RemoteError(f"{type(error).__name__}: {error}") from error


def _refused(url: str, message: str, remedy: str) -> InvalidValueError:
    shown = without_passwords(url)
    return InvalidValueError(Fault("checkpoints", message, "a folder, or a URL that fsspec supports", shown, remedy))
