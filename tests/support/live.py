"""A listening server: uvicorn in a thread, on a free port of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from service.app import create_app
from service.http.connections import BoundedProtocol
from tests.support.ledgers import settings_for

START_SECONDS = 30.0


@contextmanager
def listening(database_url: str, *, port: int = 0, **changes: Any) -> Iterator[str]:
    """The server's URL. `changes`: settings other than the tests' usual ones."""
    app = create_app(settings_for(database_url, **changes))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=BoundedProtocol,
            host="127.0.0.1",
            port=port,
            log_level="warning",
            access_log=False,
            lifespan="on",
        )
    )
    thread = threading.Thread(target=server.run, name="server", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start in time"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        app.state.services.end_waits()
        server.should_exit = True
        thread.join(START_SECONDS)
        assert not thread.is_alive(), "the server did not end"
