"""The command line of the server: serve, migrate the database, or print the OpenAPI document."""

from __future__ import annotations

import argparse
import gc
import json
import os
import socket
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError

from service import logs
from service.app import create_app
from service.http.connections import BoundedProtocol
from service.services import Services
from service.settings import Settings
from service.store.database import create_engine_for
from service.store.schema import UnusableDatabaseError, migrate, newest_revision, revision_of, schema_fault

log = structlog.get_logger("lehr.server")


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Returns the exit status: 0, 1 if the server cannot start, or 2 for invalid settings."""
    options = _parser().parse_args(arguments)
    given = {
        name: value for name, value in vars(options).items() if name in Settings.model_fields and value is not None
    }
    try:
        settings = Settings(**given)
        create_engine_for(settings.database).dispose()
    except ValidationError as error:
        return _complain(
            2, "; ".join(f"{_flag(str(fault['loc'][0]), given)}: {fault['msg']}" for fault in error.errors())
        )
    except (ArgumentError, ValueError, ImportError) as error:
        return _complain(2, str(error))
    logs.configure(settings.log_level, settings.log_format)
    command: dict[str, Any] = {"serve": _serve, "migrate": _migrate, "openapi": _print_openapi}
    status: int = command[options.command](settings, options)
    return status


def _flag(setting: str, given: Collection[str]) -> str:
    """The flag or the environment variable that a setting came from."""
    return f"--{setting.replace('_', '-')}" if setting in given else f"LEHR_{setting.upper()}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service", description="the lehr server")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the HTTP server")
    serve.add_argument("--database", metavar="URL")
    serve.add_argument("--host")
    serve.add_argument("--port", type=int, help="0 chooses a free port")
    serve.add_argument("--allowed-hosts", metavar="NAME,...", help="names by which the server is reached")
    serve.add_argument("--port-file", type=Path, metavar="FILE", help="write the port here once it is bound")
    serve.add_argument("--migrate", action="store_true", help="migrate the database to the newest schema first")
    serve.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    serve.add_argument("--log-format", choices=["console", "json"])
    newest = commands.add_parser("migrate", help="migrate a database to the newest schema")
    newest.add_argument("--database", metavar="URL")
    commands.add_parser("openapi", help="print the OpenAPI document")
    return parser


def _serve(settings: Settings, options: argparse.Namespace) -> int:
    try:
        stored = migrate(settings.database) if options.migrate else revision_of(settings.database)
    except UnusableDatabaseError as error:
        return _complain(1, str(error))
    if stored != newest_revision():
        return _complain(1, schema_fault(stored))
    try:
        listener = _listen(settings.host, settings.port)
    except OSError as error:
        return _complain(
            1, f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another --port"
        )
    host, port = listener.getsockname()[:2]
    if options.port_file is not None:
        _write_atomically(options.port_file, str(port))
    app = create_app(settings)
    server = Server(app, listener, f"http://{f'[{host}]' if ':' in host else host}:{port}")
    server.run()
    return 0


class Server(uvicorn.Server):
    """Uvicorn that prints when it is ready, and ends waiting claims before it shuts down."""

    def __init__(self, app: FastAPI, listener: socket.socket, address: str) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                log_config=logs.uvicorn_logging("warning"),
                access_log=False,
                timeout_graceful_shutdown=5,
                lifespan="on",
            )
        )
        self._listener = listener
        self._address = address
        self._services: Services = app.state.services

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        super().run(sockets or [self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is loaded by now is permanent, so the garbage collector need not traverse it again.
        gc.collect()
        gc.freeze()
        if self.started:
            print(f"lehr server ready on {self._address}", flush=True)

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._services.end_waits()
        super().handle_exit(sig, frame)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With an explicit protocol, asyncio sets TCP_NODELAY on accepted sockets; otherwise each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    return listener


def _migrate(settings: Settings, _options: argparse.Namespace) -> int:
    try:
        revision = migrate(settings.database)
    except UnusableDatabaseError as error:
        return _complain(1, str(error))
    print(f"the database has schema {revision}")
    return 0


def _print_openapi(settings: Settings, _options: argparse.Namespace) -> int:
    document = create_app(settings.model_copy(update={"database": "sqlite:///unused.sqlite"})).openapi()
    print(json.dumps(document, indent=2, sort_keys=True))
    return 0


def _write_atomically(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)


def _complain(status: int, message: str) -> int:
    print(f"lehr server: {logs.safe_line(message)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
