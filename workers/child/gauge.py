"""Measures the training process's device memory and device utilisation."""

from __future__ import annotations

import os
import time

import torch

from workers.child.census import memory_bytes
from workers.monitor.trial_progress import Usage

SAMPLE_SECONDS = 2.0
"""Seconds between two samples: a sample costs up to milliseconds, and a utilisation needs some time to average over."""


class Gauge:
    """Samples from inside the training process, since process ids in a container differ from those outside."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._usage = Usage()
        self._sampled_seconds = -SAMPLE_SECONDS
        self._busy = (time.monotonic(), time.process_time())
        self._has_utilisation = True

    def read(self) -> Usage:
        """The usage, at most `SAMPLE_SECONDS` old."""
        now = time.monotonic()
        if now - self._sampled_seconds >= SAMPLE_SECONDS:
            self._sampled_seconds = now
            self._usage = Usage(self._memory_bytes(), self._utilisation())
        return self._usage

    def _memory_bytes(self) -> int | None:
        """Memory of torch's allocator, with the freed blocks that it keeps, but without the driver's context."""
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
        """Utilisation of the whole GPU, by all processes, from NVML; None unless nvidia-ml-py is installed."""
        try:
            return torch.cuda.utilization(self._device) / 100 if self._has_utilisation else None
        except Exception:  # noqa: BLE001 - a missing package, driver library or permission must not stop training
            self._has_utilisation = False
            return None

    def _cpu_utilisation(self) -> float | None:
        before, self._busy = self._busy, (time.monotonic(), time.process_time())
        passed, busy = self._busy[0] - before[0], self._busy[1] - before[1]
        return round(min(1.0, busy / passed / torch.get_num_threads()), 3) if passed > 0 else None
