"""Reads pickled dicts of arrays safely, without running code of the pickle.

A pickle names functions to call. This reader accepts only the few names that numpy writes for an array of bytes, and
maps them to replacements in this file, so that a pickle can reach no other Python code.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workers.tasks.files import GET_AGAIN, refuse


class PickledArray:
    """An array's shape and bytes, as numpy pickles them."""

    def __init__(self, *_: Any) -> None:
        self.shape: Any = ()
        self.content: Any = b""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, dtype, fortran, self.content = state
        if not isinstance(dtype, _PickledType) or dtype.code != "u1" or fortran:
            raise pickle.UnpicklingError("an array holds something else than unsigned bytes in C order")

    def tensor(self) -> Tensor:
        """The array as a tensor. Raises ValueError if bytes and shape disagree."""
        if not isinstance(self.content, bytes | bytearray) or len(self.content) != math.prod(self.shape):
            raise ValueError("an array's bytes do not fill its shape")
        return torch.frombuffer(bytearray(self.content), dtype=torch.uint8).reshape(tuple(self.shape))


class _PickledType:
    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else code

    def __setstate__(self, state: Any) -> None:
        """Ignore byte order and alignment, which single bytes do not have."""


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> PickledArray:
    array = PickledArray()
    array.__setstate__((1, shape, dtype, order not in ("C", b"C"), bytes(content)))
    return array


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Decode bytes as protocol 2 writes them."""
    return str(text).encode("latin1")


_KNOWN: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): _PickledType,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): PickledArray for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no data set needs")
        return _KNOWN[module, name]


def read_dict(path: Path, content: bytes) -> dict[str, Any]:
    """The pickled dict with text keys. Raises InvalidDataError."""
    try:
        # The published files were written by Python 2, whose strings are bytes.
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    # A pickle is a program, so a damaged or malicious one may raise any exception.
    except Exception as error:  # noqa: BLE001
        raise refuse(
            path, f"this pickle cannot be read: {error}", "a dict of byte arrays", path.name, GET_AGAIN
        ) from None
    if not isinstance(found, dict):
        raise refuse(path, "this pickle is not a dict", "a dict of byte arrays", type(found).__name__, GET_AGAIN)
    return {key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key): found[key] for key in found}
