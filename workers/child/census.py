"""Finds a process's descendants and their memory use (on Linux)."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def descendants(pid: int) -> list[int]:
    """The process's children and their children; processes whose parent has ended are not found."""
    pids: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop())
        pids += children
        waiting += children
    return pids


def memory_bytes(pid: int) -> int:
    """Resident memory of the process and its descendants; 0 where the system does not report it."""
    return sum(map(_resident_bytes, [pid, *descendants(pid)]))


def _children(pid: int) -> list[int]:
    pids: list[int] = []
    for path in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            pids += map(int, path.read_text().split())
        except OSError:
            continue
    return pids


def _resident_bytes(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
