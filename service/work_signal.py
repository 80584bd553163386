"""Wakes calls that wait in this process: claims for work, data previews for their answer."""

from __future__ import annotations

import asyncio
import contextlib


class WorkSignal:
    """Set whenever a trial may have become available. Waiters sleep until then, or until their time is up.

    It only shortens waits: work that another server process makes available is found by polling.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()
        self.is_closing = False

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the event loop of the waiters. Must be called from it, before the first `notify`."""
        self._loop = loop

    def notify(self) -> None:
        """Wake all waiters. May be called from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, because the server is shutting down
                self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Wake all waiters for good, because the server is shutting down."""
        self.is_closing = True
        self.notify()

    async def wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)

    def _wake(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()
