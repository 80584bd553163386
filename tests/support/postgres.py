"""A temporary PostgreSQL cluster for the tests, on a socket in a temporary folder.

PostgreSQL refuses to run as root, so root's tests run it as another user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

START_SECONDS = 30
SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "listen_addresses=")


class PostgresAbsentError(RuntimeError):
    """No PostgreSQL server is installed."""


def binaries() -> Path:
    """The folder of initdb and postgres. Raises PostgresAbsentError."""
    found = shutil.which("postgres")
    if found:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not folders:
        raise PostgresAbsentError("no `postgres` on the PATH or in /usr/lib/postgresql; install PostgreSQL")
    return folders[-1].parent


def other_user() -> str | None:
    """Whom to run the server as: None for ourselves, another user for root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def cluster(*, durable: bool = False) -> Iterator[str]:
    """A running cluster; gives its folder of sockets. `durable` keeps fsync, for measuring."""
    folder = Path(tempfile.mkdtemp(prefix="lehr-pg-", dir="/tmp"))
    user = other_user()
    try:
        if user is not None:
            shutil.chown(folder, user)
        _run(
            [
                str(binaries() / "initdb"),
                "-D",
                str(folder / "data"),
                "-U",
                "lehr",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                *([] if durable else ["-N"]),
            ],
            user,
            folder,
        )
        settings = SETTINGS[-2:] if durable else SETTINGS
        flags = [part for setting in settings for part in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [str(binaries() / "postgres"), "-D", str(folder / "data"), "-k", str(folder), *flags],
                stdout=log,
                stderr=subprocess.STDOUT,
                user=user,
                cwd=folder,
                start_new_session=True,
            )
        try:
            _await_start(server, folder)
            yield str(folder)
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown: clients are sent away
            server.wait(START_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def url(folder: str, database: str) -> str:
    return f"postgresql+psycopg://lehr@/{database}?host={quote(folder, safe='')}"


def execute(folder: str, statement: str) -> None:
    with psycopg.connect(host=folder, user="lehr", dbname="postgres", autocommit=True) as connection:
        connection.execute(statement)


def _run(command: list[str], user: str | None, folder: Path) -> None:
    done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr}")


def _await_start(server: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(host=str(folder), user="lehr", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}") from None
            time.sleep(0.05)
