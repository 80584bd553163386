"""Wakes the calls that wait for something in this process: claims for work, looks for their answer."""

from __future__ import annotations

import asyncio
import contextlib


class WorkSignal:
    """Set whenever a trial may have become free; waiters sleep until then or until their patience ends.

    It only shortens waits: work that another server makes free is found by looking again.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()
        self.is_closing = False

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Must be called from the loop that the waiters run on, before the first `notify`."""
        self._loop = loop

    def notify(self) -> None:
        """Wake everybody. May be called from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the server ends
                self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Send every waiter home: the server ends."""
        self.is_closing = True
        self.notify()

    async def wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)

    def _wake(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()
