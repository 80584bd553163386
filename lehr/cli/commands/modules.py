"""Commands that become the server or a worker: they replace this process."""

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
    typer.Option("--database", metavar="URL", help="sqlite:///FILE or postgresql://…; else LEHR_DATABASE."),
]


def serve(
    *,
    database: DatabaseOption = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; else LEHR_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port, 0 takes a free one; else LEHR_PORT.")
    ] = None,
    allowed_hosts: Annotated[
        str | None,
        typer.Option("--allowed-hosts", metavar="NAME,…", help="Names of this server; else LEHR_ALLOWED_HOSTS."),
    ] = None,
    port_file: Annotated[
        str | None, typer.Option("--port-file", metavar="FILE", help="Where to write the port once it is bound.")
    ] = None,
    migrate: Annotated[bool, typer.Option("--migrate", help="Bring the database to the newest schema first.")] = False,
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
    *,
    server: Annotated[
        str | None, typer.Option("--server", metavar="URL", help="Whom to work for; else LEHR_SERVER.")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda:N; else LEHR_DEVICE.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Its name in lists; else LEHR_WORKER_NAME.")] = None,
    checkpoints: Annotated[
        str | None,
        typer.Option("--checkpoints", metavar="DIR|URL", help="Where trials are saved; else LEHR_CHECKPOINTS."),
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", metavar="DIR", help="Where data sets lie; else LEHR_DATA_DIR.")
    ] = None,
    gpu_memory_share: Annotated[
        float | None,
        typer.Option("--gpu-memory-share", metavar="F", help="Of the GPU's memory; else LEHR_GPU_MEMORY_SHARE."),
    ] = None,
    max_trials: Annotated[int | None, typer.Option("--max-trials", min=1, help="Trials to lease at once.")] = None,
    cohort: Annotated[
        str | None, typer.Option("--cohort", metavar="auto|off|K", help="Trials to train together; else LEHR_COHORT.")
    ] = None,
    cuda_graphs: Annotated[
        str | None,
        typer.Option("--cuda-graphs", metavar="auto|off", help="Replay steps on a GPU; else LEHR_CUDA_GRAPHS."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, metavar="N", help="To train in at once; else LEHR_PROCESSES."),
    ] = None,
    tasks: Annotated[
        str | None, typer.Option("--tasks", metavar="NAME,…", help="What it may train; else LEHR_TASKS.")
    ] = None,
) -> None:
    """Run one worker."""
    options = {
        "--server": server,
        "--device": device,
        "--name": name,
        "--checkpoints": checkpoints,
        "--data-dir": data_dir,
        "--gpu-memory-share": gpu_memory_share,
        "--max-trials": max_trials,
        "--cohort": cohort,
        "--cuda-graphs": cuda_graphs,
        "--processes": processes,
        "--tasks": tasks,
    }
    become("workers", flags(options))


def migrate(database: DatabaseOption = None) -> None:
    """Upgrade a database to the newest schema. `lehr up` does this itself."""
    become("service", ["migrate", *flags({"--database": database})])


def flags(options: Mapping[str, str | float | None]) -> list[str]:
    """The options that were given, as arguments."""
    return [part for name, value in options.items() if value is not None for part in (name, str(value))]


def become(module: str, arguments: list[str]) -> None:
    """Replace this process: signals then reach the module itself, and its exit code is the command's."""
    require(module)
    sys.stdout.flush()
    sys.stderr.flush()
    environment = program_environment(settings.environment())
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)
