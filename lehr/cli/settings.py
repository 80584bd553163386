"""Environment variables and shared options of the CLI. No other file of the CLI reads the environment.

Flags take precedence over variables. The server and the workers read their own variables.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lehr.client.exchange import DEFAULT_URL

SERVER_VARIABLE = "LEHR_SERVER"
HOST_VARIABLE = "LEHR_HOST"
PORT_VARIABLE = "LEHR_PORT"
DEVICE_VARIABLE = "LEHR_DEVICE"
DATA_VARIABLE = "LEHR_DATA"
DATA_DIR_VARIABLE = "LEHR_DATA_DIR"
CHECKPOINTS_VARIABLE = "LEHR_CHECKPOINTS"
CALIBRATION_VARIABLE = "LEHR_CALIBRATION"
GPU_MEMORY_VARIABLE = "LEHR_GPU_MEMORY_SHARE"
VARIABLES = (SERVER_VARIABLE, HOST_VARIABLE, PORT_VARIABLE, DEVICE_VARIABLE, DATA_VARIABLE, DATA_DIR_VARIABLE)

DEFAULT_DATA = Path("lehr-data")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

ServerOption = Annotated[str, typer.Option("--server", metavar="URL", envvar=SERVER_VARIABLE, help="Server URL.")]
HostOption = Annotated[str, typer.Option("--host", envvar=HOST_VARIABLE, help="Address to listen on.")]
PortOption = Annotated[
    int, typer.Option("--port", envvar=PORT_VARIABLE, min=0, max=65535, help="Port to listen on; 0 for any free port.")
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        envvar=DEVICE_VARIABLE,
        help="Device to train on: auto, cpu or cuda:N. With auto, worker N uses GPU N.",
    ),
]
DataOption = Annotated[
    Path,
    typer.Option(
        "--data", metavar="DIR", envvar=DATA_VARIABLE, help="Folder for the database, checkpoints, data sets and logs."
    ),
]
DataDirOption = Annotated[
    Path,
    typer.Option("--data-dir", metavar="DIR", envvar=DATA_DIR_VARIABLE, help="Folder that holds the data sets."),
]
DEFAULT_SERVER = DEFAULT_URL


def is_set(variable: str) -> bool:
    """Whether this process, and so its children, have the variable set."""
    return bool(os.environ.get(variable))


def environment() -> dict[str, str]:
    """A copy of this process's environment."""
    return dict(os.environ)


def child_environment(threads: int) -> dict[str, str]:
    """This process's environment for a child that computes with `threads` threads, unless a variable already sets them.

    Otherwise each worker would use all cores, and N workers would be slower than one.
    """
    environment = dict(os.environ)
    if not any(environment.get(name) for name in THREAD_VARIABLES):
        environment.update(dict.fromkeys(THREAD_VARIABLES, str(max(1, threads))))
    return environment
