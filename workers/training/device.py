"""The device a worker trains on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch
import torch.utils.deterministic

from lehr.errors import Fault, InvalidValueError

_DETERMINISTIC: Any = torch.utils.deterministic


def resolve_device(name: str) -> torch.device:
    """`auto`: CUDA if there is any, else MPS, else the CPU. Raises InvalidValueError for a device that is not there."""
    if name == "auto":
        return _best_device()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise _refused(name, "there is no such kind of device") from None
    if device.type == "cpu" and device.index in (None, 0):
        return torch.device("cpu")
    if device.type == "mps" and torch.backends.mps.is_available():
        return torch.device("mps")
    if device.type == "cuda" and (device.index or 0) < torch.cuda.device_count():
        return torch.device("cuda", device.index or 0)
    raise _refused(name, "this machine has no such device")


def describe(device: torch.device) -> str:
    """For people, as `cuda:0 NVIDIA H200`."""
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return f"{device} {hardware}".strip()[:200]


def configure_torch(device: torch.device, threads: int) -> None:
    """One result per seed: deterministic kernels. `threads`: of the CPU, per operation.

    Only the CPU promises it of every operation; elsewhere torch warns of those that cannot.
    """
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    torch.backends.cudnn.benchmark = False
    # Torch's operations write all that they return; on a GPU, filling it before is a kernel more for each of them. A
    # CPU hardly notices, and a model that reads what it never wrote is found out there.
    _DETERMINISTIC.fill_uninitialized_memory = device.type != "cuda"


def bound_memory(device: torch.device, share: float | None) -> None:
    """Let this process have so much of the GPU's memory: what it asks for beyond is its own out-of-memory error, not
    that of another worker on the same GPU. Elsewhere there is nothing to bound.
    """
    if share is not None and device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(share, device)


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")


def _refused(name: str, message: str) -> InvalidValueError:
    known = ["auto", "cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        known.append("mps")
    return InvalidValueError(Fault("device", message, f"one of {', '.join(known)}", name, "Name one of these."))


def _processor() -> str:
    """The processor's name; empty where the system does not tell."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
