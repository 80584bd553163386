"""Reads a text and tokenizes it by characters or bytes."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workers.tasks.files import MissingDataError, Stamp, below, read_up_to, refuse, stamp
from workers.tasks.text.params import STDLIB, TokenName

LARGEST_BYTES = 1 << 30
MOST_CHARACTERS = 1 << 14
"""The maximum size of a vocabulary of characters; for larger ones, bytes are better tokens."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """tokens: (n,) int64 in [0, vocabulary)"""

    tokens: Tensor
    vocabulary: int


def load(file: str, tokens: TokenName, data_dir: Path) -> Corpus:
    """The tokens of a file. Raises MissingDataError and InvalidDataError."""
    return _load(stamp(_files(file, data_dir)), tokens)


def _files(file: str, data_dir: Path) -> list[Path]:
    if file == STDLIB:
        folder = Path(sysconfig.get_path("stdlib"))
        files = sorted(folder.glob("*.py"))
        if not files:
            raise MissingDataError(STDLIB, [folder], "This Python came without its sources: name a text file instead.")
        return files
    path = below(data_dir, file)
    if not path.is_file():
        raise MissingDataError(
            file, [path], f"Put a text file there, or name `{STDLIB}` for the Python library's own sources."
        )
    return [path]


@lru_cache(maxsize=1)
def _load(files: Stamp, tokens: TokenName) -> Corpus:
    content = b"".join(read_up_to(path, LARGEST_BYTES) for path, _, _ in files)
    if tokens == "byte":
        return Corpus(torch.from_numpy(np.frombuffer(content, dtype=np.uint8).astype(np.int64)), 256)
    return _characters(content, files[0][0])


def _characters(content: bytes, source: Path) -> Corpus:
    """The tokens of a text whose vocabulary is its characters, sorted by code point."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refuse(
            source, "the text is not UTF-8", "UTF-8", f"byte {content[error.start]:#04x} at {error.start}", _AS_BYTES
        ) from None
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    characters, tokens = np.unique(points, return_inverse=True)
    if len(characters) > MOST_CHARACTERS:
        raise refuse(source, "too many different characters", f"at most {MOST_CHARACTERS}", len(characters), _AS_BYTES)
    return Corpus(torch.from_numpy(tokens.astype(np.int64)), len(characters))


_AS_BYTES = "Ask for `tokens: byte`."
