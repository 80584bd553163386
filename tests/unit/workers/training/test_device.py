"""`resolve_device` returns the requested device, or refuses it with a clear error."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.utils.deterministic

from lehr.errors import InvalidValueError
from workers.training.device import bound_memory, configure_torch, describe, resolve_device


def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, expected in [(True, True, "cuda:0"), (False, True, "mps"), (False, False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=cuda: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=mps: there)
        assert str(resolve_device("auto")) == expected


@pytest.mark.parametrize("name", ["cuda:99", "mps:7", "cpu:1", "meta", "", "gpu", "cuda:-1"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InvalidValueError) as caught:
        resolve_device(name)
    (fault,) = caught.value.faults
    assert fault.field == "device"
    assert "cpu" in fault.bound
    assert fault.value == name


def test_the_cpu_is_named_by_its_model() -> None:
    assert describe(torch.device("cpu")).startswith("cpu")


def test_memory_is_bounded_on_a_gpu_alone_and_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    bounded: list[tuple[float, torch.device]] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *asked: bounded.append(asked))
    for device, share in [("cpu", 0.5), ("cuda:1", None), ("cuda:1", 0.5)]:
        bound_memory(torch.device(device), share)
    assert bounded == [(0.5, torch.device("cuda:1"))]


def test_new_memory_is_filled_on_a_cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for change in ("use_deterministic_algorithms", "set_num_threads"):
        monkeypatch.setattr(torch, change, lambda *_, **__: None)
    deterministic: Any = torch.utils.deterministic
    settings: dict[str, bool] = {}
    try:
        for device in ("cuda:0", "cpu"):
            configure_torch(torch.device(device), threads=1)
            settings[device] = deterministic.fill_uninitialized_memory
    finally:
        deterministic.fill_uninitialized_memory = True
    assert settings == {"cuda:0": False, "cpu": True}
