"""The default number of workers for a machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lehr.cli.local import hardware
from lehr.cli.local.supervisor import Plan

GIB = 1 << 30


@pytest.mark.parametrize(
    ("gpus", "cores", "gibibytes", "workers"),
    [(0, 2, 8, 2), (0, 16, 64, 16), (0, 16, 8, 4), (0, 4, 1, 1), (1, 16, 64, 1), (8, 16, 64, 8)],
)
def test_one_worker_is_for_each_gpu_or_else_for_each_core_that_has_memory(
    gpus: int, cores: int, gibibytes: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "gpu_count", lambda: gpus)
    monkeypatch.setattr(hardware, "core_count", lambda: cores)
    monkeypatch.setattr(hardware, "memory_bytes", lambda: gibibytes * GIB)
    assert Plan("127.0.0.1", 0).worker_count == workers
    assert Plan("127.0.0.1", 0, workers=3).worker_count == 3


@pytest.mark.parametrize(
    ("quota", "limit", "cores", "memory"),
    [("150000 100000", "4294967296", 1, 4 * GIB), ("50000 100000", "max", 1, None), ("max 100000", "max", None, None)],
)
def test_a_containers_limits_count(
    quota: str, limit: str, cores: int | None, memory: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)), raising=False)
    whole = hardware.memory_bytes()
    assert hardware.core_count() == 12
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert hardware.core_count() == (cores or 12)
    assert hardware.memory_bytes() == min(memory or whole, whole)
