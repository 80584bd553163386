"""What the training process has of its device: memory, and how busy it keeps it."""

from __future__ import annotations

import os
import time

import torch

from workers.child.census import memory_bytes
from workers.monitor.trial_progress import Usage

SAMPLE_SECONDS = 2.0
"""Between two looks: what is read costs up to milliseconds, and a share of time needs some time to be one."""


class Gauge:
    """Looks from the training process itself: from outside a container's processes have other numbers."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._usage = Usage()
        self._looked_seconds = -SAMPLE_SECONDS
        self._busy = (time.monotonic(), time.process_time())
        self._tells_utilisation = True

    def read(self) -> Usage:
        """At most `SAMPLE_SECONDS` old."""
        now = time.monotonic()
        if now - self._looked_seconds >= SAMPLE_SECONDS:
            self._looked_seconds = now
            self._usage = Usage(self._memory_bytes(), self._utilisation())
        return self._usage

    def _memory_bytes(self) -> int | None:
        """Held by torch's allocator, freed blocks that it keeps included; the driver's context comes on top."""
        match self._device.type:
            case "cuda":
                return torch.cuda.memory_reserved(self._device)
            case "mps":
                return torch.mps.driver_allocated_memory()
        return memory_bytes(os.getpid()) or None

    def _utilisation(self) -> float | None:
        match self._device.type:
            case "cuda":
                return self._cuda_utilisation()
            case "cpu":
                return self._cpu_utilisation()
        return None

    def _cuda_utilisation(self) -> float | None:
        """Of the whole GPU, whoever uses it: NVML's, where its package nvidia-ml-py is installed."""
        try:
            return torch.cuda.utilization(self._device) / 100 if self._tells_utilisation else None
        except Exception:  # noqa: BLE001 - no package, no driver library, no permission: nothing that training needs
            self._tells_utilisation = False
            return None

    def _cpu_utilisation(self) -> float | None:
        before, self._busy = self._busy, (time.monotonic(), time.process_time())
        passed, busy = self._busy[0] - before[0], self._busy[1] - before[1]
        return round(min(1.0, busy / passed / torch.get_num_threads()), 3) if passed > 0 else None
