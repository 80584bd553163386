"""Measures a device's free and used memory, and recognizes out-of-memory errors."""

from __future__ import annotations

import resource
from pathlib import Path

import torch

_KIB = 1024


def free_bytes(device: torch.device) -> int | None:
    """Free memory of the device; None if the system does not report it."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    if device.type != "cpu":
        return None
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * _KIB for line in lines if line.startswith("MemAvailable:")), None)


def used_bytes(device: torch.device) -> int:
    """The peak memory of this process on the device."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out. The CPU's allocator raises a plain RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)
