"""The device is what was asked for, or a named refusal."""

from __future__ import annotations

import pytest
import torch

from lehr.errors import InvalidValueError
from workers.device import describe, resolve_device


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
