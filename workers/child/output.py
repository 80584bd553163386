"""Reads the output of a process and keeps its last lines."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

TAIL_BYTES = 8192
TAIL_LINES = 40
_CHUNK_BYTES = 1 << 20


class Output:
    """Reads a pipe in a background thread, so that the writer never blocks. `copy`: called with every chunk."""

    def __init__(self, descriptor: int, copy: Callable[[bytes], object] | None = None) -> None:
        """Takes ownership of the descriptor, and closes it at the end of the output."""
        self._descriptor = descriptor
        self._copy = copy
        self._tail = b""
        self._thread = threading.Thread(target=self._read, name="training-output", daemon=True)
        self._thread.start()

    def tail(self, *, wait_seconds: float) -> str:
        """The last lines. Waits up to `wait_seconds` for the end of the output."""
        self._thread.join(wait_seconds)
        lines = self._tail.decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def forget(self) -> None:
        self._tail = b""

    def _read(self) -> None:
        while chunk := os.read(self._descriptor, _CHUNK_BYTES):
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]
            if self._copy is not None:
                self._copy(chunk)
        os.close(self._descriptor)
