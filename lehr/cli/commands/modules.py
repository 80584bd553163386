"""Commands that run the server, a worker or a migration by replacing this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from lehr.cli import settings
from lehr.cli.local.process import program_environment, require

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database", metavar="URL", help="Database URL: sqlite:///FILE or postgresql://…; else LEHR_DATABASE."
    ),
]

_Server = Annotated[str | None, typer.Option("--server", metavar="URL", help="Server URL; else LEHR_SERVER.")]
_Device = Annotated[
    str | None, typer.Option("--device", metavar="auto|cpu|mps|cuda:N", help="Device to train on; else LEHR_DEVICE.")
]
_Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Name shown in lists of workers; else LEHR_WORKER_NAME.")
]
_Tasks = Annotated[
    str | None,
    typer.Option("--tasks", metavar="NAME,…", help="Tasks to offer; else LEHR_TASKS."),
]
_DataDir = Annotated[
    str | None, typer.Option("--data-dir", metavar="DIR", help="Folder that holds the data sets; else LEHR_DATA_DIR.")
]
_Checkpoints = Annotated[
    str | None,
    typer.Option("--checkpoints", metavar="DIR|URL", help="Where checkpoints are stored; else LEHR_CHECKPOINTS."),
]
_CheckpointSeconds = Annotated[
    float | None,
    typer.Option(
        "--checkpoint-seconds",
        metavar="S",
        help="Seconds between checkpoints of a trial; else LEHR_CHECKPOINT_SECONDS.",
    ),
]
_HangSeconds = Annotated[
    float | None,
    typer.Option(
        "--hang-seconds",
        metavar="S",
        help="Fail a trial that makes no progress for this many seconds; else LEHR_HANG_SECONDS.",
    ),
]
_MemoryLimitMib = Annotated[
    float | None,
    typer.Option("--memory-limit-mib", metavar="MIB", help="Memory limit for training; else LEHR_MEMORY_LIMIT_MIB."),
]
_GpuMemoryShare = Annotated[
    float | None,
    typer.Option(
        "--gpu-memory-share",
        metavar="F",
        help="Fraction of the GPU's memory to use, in (0, 1]; else LEHR_GPU_MEMORY_SHARE.",
    ),
]
_MaxTrials = Annotated[
    int | None,
    typer.Option("--max-trials", metavar="K", min=1, help="Trials to lease at once; else LEHR_TRIALS_PER_LEASE."),
]
_Cohort = Annotated[
    str | None,
    typer.Option("--cohort", metavar="auto|off|K", help="Trials to train together as one model; else LEHR_COHORT."),
]
_ProbeAfter = Annotated[
    float | None,
    typer.Option(
        "--probe-after",
        metavar="S",
        help="Seconds of solo training before `--cohort auto` benchmarks a task; else LEHR_PROBE_AFTER.",
    ),
]
_Processes = Annotated[
    int | None,
    typer.Option(
        "--processes", metavar="N", min=1, help="Maximum number of concurrent training processes; else LEHR_PROCESSES."
    ),
]
_Calibration = Annotated[
    str | None,
    typer.Option("--calibration", metavar="DIR", help="Folder for measured cohort sizes; else LEHR_CALIBRATION."),
]
_CudaGraphs = Annotated[
    str | None,
    typer.Option(
        "--cuda-graphs", metavar="auto|off", help="Replay training steps as CUDA graphs; else LEHR_CUDA_GRAPHS."
    ),
]
_Threads = Annotated[
    int | None, typer.Option("--threads", metavar="N", min=1, help="CPU threads for each operation; else LEHR_THREADS.")
]
_LogLevel = Annotated[
    str | None,
    typer.Option(
        "--log-level", metavar="debug|info|warning|error", help="Lowest severity to log; else LEHR_LOG_LEVEL."
    ),
]
_LogFormat = Annotated[
    str | None, typer.Option("--log-format", metavar="console|json", help="Log format; else LEHR_LOG_FORMAT.")
]


def serve(
    *,
    database: DatabaseOption = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; else LEHR_HOST.")] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port to listen on, 0 for any free port; else LEHR_PORT."),
    ] = None,
    allowed_hosts: Annotated[
        str | None,
        typer.Option("--allowed-hosts", metavar="NAME,…", help="Host names of this server; else LEHR_ALLOWED_HOSTS."),
    ] = None,
    port_file: Annotated[
        str | None, typer.Option("--port-file", metavar="FILE", help="File to write the port to once it is bound.")
    ] = None,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="Upgrade the database to the newest schema first.")
    ] = False,
) -> None:
    """Run the server alone."""
    options = {
        "--database": database,
        "--host": host,
        "--port": port,
        "--allowed-hosts": allowed_hosts,
        "--port-file": port_file,
    }
    become("service", ["serve", *flags(options), *(["--migrate"] if migrate else [])])


def worker(
    context: typer.Context,
    *,
    server: _Server = None,
    device: _Device = None,
    name: _Name = None,
    tasks: _Tasks = None,
    data_dir: _DataDir = None,
    checkpoints: _Checkpoints = None,
    checkpoint_seconds: _CheckpointSeconds = None,
    hang_seconds: _HangSeconds = None,
    memory_limit_mib: _MemoryLimitMib = None,
    gpu_memory_share: _GpuMemoryShare = None,
    max_trials: _MaxTrials = None,
    cohort: _Cohort = None,
    probe_after: _ProbeAfter = None,
    processes: _Processes = None,
    calibration: _Calibration = None,
    cuda_graphs: _CudaGraphs = None,
    threads: _Threads = None,
    log_level: _LogLevel = None,
    log_format: _LogFormat = None,
) -> None:
    """Run one worker."""
    become("workers", flags({f"--{name.replace('_', '-')}": value for name, value in context.params.items()}))


def migrate(database: DatabaseOption = None) -> None:
    """Upgrade a database to the newest schema. `lehr up` does this itself."""
    become("service", ["migrate", *flags({"--database": database})])


def flags(options: Mapping[str, str | float | None]) -> list[str]:
    """The options that are set, as command-line arguments."""
    return [part for name, value in options.items() if value is not None for part in (name, str(value))]


def become(module: str, arguments: list[str]) -> None:
    """Replace this process by the module, so that the module gets signals directly and sets the exit code."""
    require(module)
    sys.stdout.flush()
    sys.stderr.flush()
    environment = program_environment(settings.environment())
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)
