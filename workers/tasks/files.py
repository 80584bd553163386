"""Finds and reads data files, and defines the errors for missing and invalid data.

All data is in one folder, chosen by the worker's operator. A study may name files inside it and nothing outside: a name
has no `..`, no leading `/`, no hidden part and no backslash. Symbolic links are followed, because only the operator can
create them.
"""

from __future__ import annotations

import gzip
import unicodedata
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import StringConstraints

from lehr import datasets
from lehr.errors import Fault, InvalidValueError, NotFoundError

DEFAULT_DATA_DIR = datasets.DEFAULT_DATA_DIR
_PART = r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*"
FileName = Annotated[str, StringConstraints(pattern=rf"^{_PART}(/{_PART})*$", max_length=200)]

Stamp = tuple[tuple[Path, int, int], ...]
"""The state of files at one time: path, modification time in ns, and size in bytes."""


def below(data_dir: Path, name: str) -> Path:
    """The path of a name. Tries both Unicode forms of accented letters, since macOS writes them as two characters."""
    path = data_dir / name
    if path.exists() or name.isascii():
        return path
    forms = (data_dir / unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    return next((form for form in forms if form.exists()), path)


class MissingDataError(NotFoundError):
    """A data set is in none of the expected places."""

    def __init__(self, name: str, places: Sequence[Path], remedy: str) -> None:
        paths = ", ".join(str(place.absolute()) for place in places)
        super().__init__(f"The data set {name!r} is not on this worker's machine. Looked for: {paths}. {remedy}")


class InvalidDataError(InvalidValueError):
    """A data set is damaged or has invalid content."""


def refuse(path: Path | str, message: str, bound: str, value: Any, remedy: str) -> InvalidDataError:
    """An InvalidDataError with one fault of a file or a part of it."""
    return InvalidDataError(Fault(str(path), message, bound, value, remedy))


def stamp(files: Sequence[Path]) -> Stamp:
    """The current state of files; compare it to an earlier one to detect changes."""
    return tuple((path, (status := path.stat()).st_mtime_ns, status.st_size) for path in files)


def read_up_to(path: Path, limit_bytes: int) -> bytes:
    """The file's content, decompressed if its name ends in `.gz`. Raises InvalidDataError.

    `limit_bytes`: maximum size of the decompressed content; a larger file is refused before memory runs out.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise refuse(path, f"the gzip file is damaged: {error}", "a whole gzip file", path.name, GET_AGAIN) from None
    except OSError as error:
        raise refuse(path, f"it cannot be read: {error.strerror}", "a readable file", path.name, GET_AGAIN) from None
    if len(content) > limit_bytes:
        raise refuse(path, "it is too large", f"at most {limit_bytes} bytes", "more", "Name a smaller file.")
    return content


GET_AGAIN = "Get the file again."
