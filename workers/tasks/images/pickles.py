"""Pickled dicts of arrays, read without running what a pickle may ask to run.

A pickle names functions to call. Here only the few names that numpy writes for an array of bytes
are known, and they lead to stand-ins of this file: nothing else of Python can be reached.
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
        """Raises ValueError when bytes and shape disagree."""
        if not isinstance(self.content, bytes | bytearray) or len(self.content) != math.prod(self.shape):
            raise ValueError("an array's bytes do not fill its shape")
        return torch.frombuffer(bytearray(self.content), dtype=torch.uint8).reshape(tuple(self.shape))


class _PickledType:
    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else code

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment: single bytes have none."""


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> PickledArray:
    array = PickledArray()
    array.__setstate__((1, shape, dtype, order not in ("C", b"C"), bytes(content)))
    return array


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """How protocol 2 writes bytes."""
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
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data set needs")
        return _KNOWN[module, name]


def read_dict(path: Path, content: bytes) -> dict[str, Any]:
    """The pickled dict, its keys as text. Raises InvalidDataError."""
    try:
        # Python 2 wrote the published files: its strings are bytes.
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    # A pickle is a program, and a torn or hostile one may raise nearly anything: each of it means the same here.
    except Exception as error:  # noqa: BLE001
        raise refuse(path, f"this pickle is not read: {error}", "a dict of byte arrays", path.name, GET_AGAIN) from None
    if not isinstance(found, dict):
        raise refuse(path, "this pickle holds no dict", "a dict of byte arrays", type(found).__name__, GET_AGAIN)
    return {key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key): found[key] for key in found}
