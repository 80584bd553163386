"""How much memory a device has left, as far as it tells."""

from __future__ import annotations

import resource
from pathlib import Path

import torch

_KIB = 1024


def free_bytes(device: torch.device) -> int | None:
    """None where the system does not tell."""
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
    """The most that this process has ever held at once there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB


def is_out_of_memory(error: BaseException) -> bool:
    """The CPU's allocator has no class of its own for it."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)
