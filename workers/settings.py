"""The worker's settings. No other file of the worker reads the environment."""

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
    """Each setting is read from `LEHR_<NAME>` in the environment, unless a command-line flag sets it."""

    model_config = SettingsConfigDict(env_prefix="LEHR_", extra="ignore", frozen=True)

    server: Annotated[str, Field(pattern=r"^https?://", description="server URL")] = DEFAULT_SERVER
    device: Annotated[str, Field(description="auto, cpu, mps or cuda:N")] = "auto"
    checkpoints: Annotated[
        str, Field(min_length=1, description="where checkpoints are stored: a folder or an fsspec URL")
    ] = "lehr-data/checkpoints"
    data_dir: Annotated[Path, Field(description="folder that holds the data sets")] = DEFAULT_DATA_DIR
    worker_name: Annotated[str | None, Field(min_length=1, max_length=200, description="default: host/process")] = None
    tasks: Annotated[tuple[str, ...], NoDecode, Field(min_length=1, description="tasks to offer, with commas")] = tuple(
        TASKS
    )
    trials_per_lease: Annotated[int, Field(ge=1, le=1024, description="number of trials to lease at once")] = 1
    cohort: Annotated[
        int | None, Field(ge=1, le=1024, description="trials to train together; auto: the fastest number")
    ] = 1
    probe_after: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False, description="seconds to train a task alone before `cohort` auto measures it"),
    ] = 20.0
    processes: Annotated[
        int | None,
        Field(ge=1, le=64, description="maximum number of concurrent training processes"),
    ] = None
    calibration: Annotated[Path, Field(description="folder of measured cohort sizes")] = Path("lehr-data/calibration")
    threads: Annotated[int, Field(ge=1, le=1024, description="CPU threads for each operation")] = 1
    checkpoint_seconds: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="seconds between two checkpoints of a trial")
    ] = 60.0
    hang_seconds: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="seconds without a step after which a trial fails")
    ] = 600.0
    memory_limit_mib: Annotated[
        float | None,
        Field(gt=0, allow_inf_nan=False, description="maximum memory for training in MiB; default: no limit"),
    ] = None
    gpu_memory_share: Annotated[
        float | None, Field(gt=0, le=1, description="share of the GPU's memory to use; default: no limit")
    ] = None
    cuda_graphs: Annotated[
        Literal["auto", "off"], Field(description="on a GPU, replay the steps of cohorts as CUDA graphs")
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
    """Configure cuBLAS for reproducible results. Call before torch is imported.

    https://docs.nvidia.com/cuda/cublas/index.html#results-reproducibility
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
