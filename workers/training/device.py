"""Finds and configures the device that a worker trains on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch
import torch.utils.deterministic

from lehr.errors import Fault, InvalidValueError

_DETERMINISTIC: Any = torch.utils.deterministic


def resolve_device(name: str) -> torch.device:
    """The torch device. `auto` prefers CUDA, then MPS, then the CPU. Raises InvalidValueError for a missing device."""
    if name == "auto":
        return _best_device()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise _refused(name, "unknown kind of device") from None
    if device.type == "cpu" and device.index in (None, 0):
        return torch.device("cpu")
    if device.type == "mps" and torch.backends.mps.is_available():
        return torch.device("mps")
    if device.type == "cuda" and (device.index or 0) < torch.cuda.device_count():
        return torch.device("cuda", device.index or 0)
    raise _refused(name, "this machine has no such device")


def describe(device: torch.device) -> str:
    """The device's name for users, such as `cuda:0 NVIDIA H200`."""
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return f"{device} {hardware}".strip()[:200]


def configure_torch(device: torch.device, threads: int) -> None:
    """Use deterministic kernels, so that a seed always gives the same result. `threads`: CPU threads per operation.

    Only the CPU has a deterministic kernel for every operation; elsewhere torch warns about those that lack one.
    """
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    torch.backends.cudnn.benchmark = False
    # On a GPU, filling uninitialized memory costs one more kernel per operation, and torch's own operations do not
    # need it. On the CPU it costs little and exposes models that read memory they never wrote.
    _DETERMINISTIC.fill_uninitialized_memory = device.type != "cuda"


def bound_memory(device: torch.device, share: float | None) -> None:
    """Limit this process to a share of the GPU's memory; without effect on other devices.

    A process that needs more gets the out-of-memory error itself, instead of another worker on the same GPU.
    """
    if share is not None and device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(share, device)


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")


def _refused(name: str, message: str) -> InvalidValueError:
    devices = ["auto", "cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return InvalidValueError(Fault("device", message, f"one of {', '.join(devices)}", name, "Use one of these."))


def _processor() -> str:
    """The processor's name; empty when the system does not report it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
