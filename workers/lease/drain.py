"""Shuts a worker down: the first signal starts a drain, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import structlog

OVERDUE_SECONDS = 3.5
"""How long a draining worker waits for the server."""
DRAIN_SECONDS = 4.5
"""When a draining worker exits, whatever it is doing. The promise is 5 s; a busy machine may notice late."""
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

log = structlog.get_logger(__name__)


class Drain:
    """Two events: `requested` stops training and releases trials; `overdue` stops waiting for the server."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.overdue = threading.Event()

    def install(self) -> None:
        """Drain on SIGTERM and SIGINT. Call from the main thread before any other thread starts.

        The signals are blocked, and a thread waits for them. A signal handler would run in the main thread: it would
        deadlock when it sets an event that this thread is waiting on, and it would start only after a long device
        operation has returned.
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
    """Exit. Trials that were not released are leased again when their lease expires."""
    log.warning("drain_overdue", seconds=DRAIN_SECONDS)
    os._exit(0)
