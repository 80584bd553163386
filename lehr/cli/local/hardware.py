"""What this machine has for workers: GPUs, cores and memory, told without loading a framework."""

from __future__ import annotations

import os
from pathlib import Path

WORKER_BYTES = 2 << 30
"""Of memory that a worker is reckoned to need: half a GiB for itself and torch, the rest for its data."""
CGROUP = Path("/sys/fs/cgroup")


def gpu_count() -> int:
    """By their device files."""
    return sum(path.name[len("nvidia") :].isdigit() for path in Path("/dev").glob("nvidia[0-9]*"))


def core_count() -> int:
    """Cores that this process may use: fewer than the machine's in a container or under taskset."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read("cpu.max").partition(" ")
    return min(cores, max(1, int(quota) // int(period))) if quota.isdigit() else cores


def memory_bytes() -> int:
    """The machine's memory, or the container's share of it."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read("memory.max")
    return min(whole, int(limit)) if limit.isdigit() else whole


def worker_count() -> int:
    """How many workers suit it: one for each GPU; without one, one for each core, as far as memory reaches."""
    return gpu_count() or max(1, min(core_count(), memory_bytes() // WORKER_BYTES))


def _read(name: str) -> str:
    """A limit of this process's control group; empty where there is none."""
    try:
        return (CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
