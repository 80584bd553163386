"""What a process writes: read as it comes, all but the last lines forgotten."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

TAIL_BYTES = 8192
TAIL_LINES = 40
_CHUNK_BYTES = 1 << 20


class Output:
    """Reads a pipe from a thread of its own, however much comes, so that who writes never waits.

    `copy`: is given every piece as it comes.
    """

    def __init__(self, descriptor: int, copy: Callable[[bytes], object] | None = None) -> None:
        """Takes the descriptor over, and closes it at the end of what comes."""
        self._descriptor = descriptor
        self._copy = copy
        self._tail = b""
        self._thread = threading.Thread(target=self._read, name="training-output", daemon=True)
        self._thread.start()

    def tail(self, *, wait_seconds: float) -> str:
        """The last lines; waits a moment for those that are on their way."""
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
