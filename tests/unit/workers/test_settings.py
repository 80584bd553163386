"""Settings come from flags, then from `LEHR_*` variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from workers.settings import WorkerSettings


def test_the_environment_sets_what_no_flag_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "LEHR_SERVER": "http://there:1",
        "LEHR_DEVICE": "cpu",
        "LEHR_CHECKPOINTS": "/somewhere",
        "LEHR_DATA_DIR": "/data",
        "LEHR_WORKER_NAME": "box/0",
        "LEHR_TASKS": " digits , digits",
        "LEHR_COHORT": "off",
        "LEHR_CALIBRATION": "/measured",
        "LEHR_GPU_MEMORY_SHARE": "0.25",
        "LEHR_LOG_LEVEL": "WARNING",
        "LEHR_CUDA_GRAPHS": "off",
        "LEHR_PROCESSES": "3",
        "LEHR_LOG_FORMAT": "json",
        "LEHR_SOMETHING_OF_THE_SERVER": "1",
    }.items():
        monkeypatch.setenv(name, value)
    settings = WorkerSettings(device="mps")
    assert settings.model_dump(
        exclude={"trials_per_lease", "threads", "checkpoint_seconds", "hang_seconds", "memory_limit_mib", "probe_after"}
    ) == {
        "server": "http://there:1",
        "device": "mps",
        "checkpoints": "/somewhere",
        "data_dir": Path("/data"),
        "worker_name": "box/0",
        "tasks": ("digits",),
        "cohort": 1,
        "calibration": Path("/measured"),
        "gpu_memory_share": 0.25,
        "cuda_graphs": "off",
        "processes": 3,
        "log_level": "warning",
        "log_format": "json",
    }


def test_an_unknown_task_is_refused_with_what_is_installed() -> None:
    with pytest.raises(ValidationError, match="not installed: magic"):
        WorkerSettings(tasks=("magic",))


@pytest.mark.parametrize(("given", "meant"), [("auto", None), ("off", 1), ("8", 8)])
def test_a_cohort_is_as_many_as_are_fastest_none_or_a_number(given: str, meant: int | None) -> None:
    assert WorkerSettings(cohort=given).cohort == meant


@pytest.mark.parametrize("given", ["0", "many", "1025"])
def test_another_cohort_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="cohort"):
        WorkerSettings(cohort=given)
