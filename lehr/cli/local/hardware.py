"""Detects this machine's GPUs, cores and memory without loading a framework."""

from __future__ import annotations

import os
from pathlib import Path

WORKER_BYTES = 2 << 30
"""Memory that a worker is assumed to need: half a GiB for itself and torch, the rest for its data."""
CGROUP = Path("/sys/fs/cgroup")


def gpu_count() -> int:
    """The number of NVIDIA GPUs, counted by their device files."""
    return sum(path.name[len("nvidia") :].isdigit() for path in Path("/dev").glob("nvidia[0-9]*"))


def core_count() -> int:
    """The cores that this process may use, which a container or taskset may limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read("cpu.max").partition(" ")
    return min(cores, max(1, int(quota) // int(period))) if quota.isdigit() else cores


def memory_bytes() -> int:
    """The machine's memory, or the container's limit."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read("memory.max")
    return min(whole, int(limit)) if limit.isdigit() else whole


def worker_count() -> int:
    """The default number of workers: one per GPU; without a GPU, one per core if there is enough memory."""
    return gpu_count() or max(1, min(core_count(), memory_bytes() // WORKER_BYTES))


def _read(name: str) -> str:
    """A limit of this process's control group; empty if there is none."""
    try:
        return (CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
