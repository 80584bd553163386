"""What a process and those it started use of the machine, where the system tells it (Linux)."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def descendants(pid: int) -> list[int]:
    """The processes that it started, and those that these started; those whose parent is gone are not found."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def memory_bytes(pid: int) -> int:
    """Resident memory of the process and its descendants; 0 where the system does not tell."""
    return sum(map(_resident_bytes, [pid, *descendants(pid)]))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for each in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            found += map(int, each.read_text().split())
        except OSError:
            continue
    return found


def _resident_bytes(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
