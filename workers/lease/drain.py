"""How a worker ends: on the first signal it drains, on the second it is gone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import structlog

OVERDUE_SECONDS = 3.5
"""When a draining worker stops waiting for the server."""
DRAIN_SECONDS = 4.5
"""When it exits, whatever it is doing: 5 s at most, less what a busy machine takes to notice."""
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

log = structlog.get_logger(__name__)


class Drain:
    """Two events: `requested`, to stop training and give back; `overdue`, to stop waiting."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.overdue = threading.Event()

    def install(self) -> None:
        """Drain on SIGTERM and SIGINT. Call from the main thread before any other thread starts.

        The signals are blocked and awaited in a thread rather than handled: a handler runs inside
        the main thread, where setting an event that the same thread is waiting on would deadlock,
        and not before a long operation of the device returns.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._watch, name="signals", daemon=True).start()

    def request(self) -> None:
        """Stop training; `overdue` follows after `OVERDUE_SECONDS`."""
        self.requested.set()
        _later(OVERDUE_SECONDS, self.overdue.set)

    def _watch(self) -> None:
        received = signal.sigwait(SIGNALS)
        log.info("drain_started", signal=signal.Signals(received).name)
        _later(DRAIN_SECONDS, _abandon)
        self.request()
        os._exit(128 + signal.sigwait(SIGNALS))


def _later(seconds: float, function: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()


def _abandon() -> None:
    """Leave: what was not given back is leased again when the lease ends."""
    log.warning("drain_overdue", seconds=DRAIN_SECONDS)
    os._exit(0)
