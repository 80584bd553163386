"""The worker's settings: the one file that reads its environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from workers.tasks.files import DEFAULT_DATA_DIR
from workers.tasks.installed import GROUP
from workers.tasks.registry import TASKS, unknown

DEFAULT_SERVER = "http://127.0.0.1:8765"


class WorkerSettings(BaseSettings):
    """Each is `LEHR_<NAME>` in the environment; a flag of the command line comes first."""

    model_config = SettingsConfigDict(env_prefix="LEHR_", extra="ignore", frozen=True)

    server: Annotated[str, Field(pattern=r"^https?://", description="the server's URL")] = DEFAULT_SERVER
    device: Annotated[str, Field(description="auto, cpu, mps or cuda:N")] = "auto"
    checkpoints: Annotated[
        str, Field(min_length=1, description="where trials are saved: a folder, or a URL of fsspec")
    ] = "lehr-data/checkpoints"
    data_dir: Annotated[Path, Field(description="folder where data sets are looked for")] = DEFAULT_DATA_DIR
    worker_name: Annotated[str | None, Field(min_length=1, max_length=200, description="default: host/process")] = None
    tasks: Annotated[tuple[str, ...], NoDecode, Field(min_length=1, description="tasks to offer, by commas")] = tuple(
        TASKS
    )
    trials_per_lease: Annotated[int, Field(ge=1, le=1024, description="trials to take at once")] = 1
    cohort: Annotated[
        int | None, Field(ge=1, le=1024, description="trials to train together; auto: as many as are fastest")
    ] = 1
    probe_after: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False, description="seconds a task trains alone before `cohort` auto measures it"),
    ] = 20.0
    processes: Annotated[
        int | None,
        Field(ge=1, le=64, description="that may train at once on the device, where `cohort` auto finds it faster"),
    ] = None
    calibration: Annotated[Path, Field(description="folder of what was measured for `cohort`")] = Path(
        "lehr-data/calibration"
    )
    threads: Annotated[int, Field(ge=1, le=1024, description="CPU threads per operation")] = 1
    checkpoint_seconds: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="between two saves of a trial")
    ] = 60.0
    hang_seconds: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="without a step, after which a trial is ended")
    ] = 600.0
    memory_limit_mib: Annotated[
        float | None, Field(gt=0, allow_inf_nan=False, description="that training may use; default: no limit")
    ] = None
    gpu_memory_share: Annotated[
        float | None, Field(gt=0, le=1, description="of the GPU's memory, that this worker may use; default: no limit")
    ] = None
    cuda_graphs: Annotated[
        Literal["auto", "off"], Field(description="replay the steps of cohorts on a GPU from CUDA graphs of them")
    ] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    @field_validator("tasks", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("tasks")
    @classmethod
    def _installed(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        missing = unknown(names)
        if missing:
            raise ValueError(
                f"not installed: {', '.join(missing)} (built in: {', '.join(TASKS)}; a task of another package needs "
                f"that package in this environment, with an entry point of the group {GROUP!r})"
            )
        return tuple(dict.fromkeys(names))

    @field_validator("cohort", mode="before")
    @classmethod
    def _chosen(cls, value: Any) -> Any:
        return {"auto": None, "off": 1}.get(value, value) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value


def prepare_environment() -> None:
    """Ask cuBLAS for reproducible sums. Call before torch is imported.

    https://docs.nvidia.com/cuda/cublas/index.html#results-reproducibility
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
