"""Runs more training processes, each with its own lease loop, when a study trains fastest in several at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

import structlog

from lehr.errors import InvalidValueError, ServerError
from workers.lease.drain import Drain
from workers.training.failures import ProcessEndedError

JOIN_SECONDS = 5.0
"""How long a worker that shuts down waits for its extra processes, which drain at the same time."""

log = structlog.get_logger(__name__)

IDLE_SECONDS = 30.0
"""A process that has had no trial for this long ends, because it holds device memory."""

Step = Callable[[str], bool]
"""Claims a trial of this study, with a short wait, and trains it. Returns whether there was one."""


class ExtraProcesses:
    """The training processes besides the first: started when wanted, ended when no longer wanted."""

    def __init__(self, open_process: Callable[[], AbstractContextManager[Step]], drain: Drain) -> None:
        """`open_process`: starts a training process that ends when the context exits."""
        self._open_process = open_process
        self._drain = drain
        self._lock = threading.Lock()
        self._study = ""
        self._wanted = 0
        self._threads: dict[int, threading.Thread] = {}

    def want(self, study: str, processes: int) -> None:
        """Train this study in `processes` processes, the first one included. Returns at once."""
        with self._lock:
            self._study, self._wanted = study, processes - 1
            for index in range(self._wanted):
                if index not in self._threads and not self._drain.requested.is_set():
                    thread = threading.Thread(target=self._run, args=(index,), name=f"process-{index + 1}", daemon=True)
                    self._threads[index] = thread
                    thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Drain the processes."""
        self._drain.request()
        with self._lock:
            self._wanted = 0
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(JOIN_SECONDS)

    def _run(self, index: int) -> None:
        try:
            with self._open_process() as step:
                log.info("process_opened", process=index + 1)
                busy_seconds = time.monotonic()
                while (study := self._study_for(index, busy_seconds)) is not None:
                    if step(study):
                        busy_seconds = time.monotonic()
        except (ServerError, InvalidValueError, ProcessEndedError) as error:
            # The thread stays in `_threads`, so that `want` does not start a process again that has failed. The
            # worker's own loop reports the error.
            log.warning("process_failed", process=index + 1, error=str(error))
        else:
            log.info("process_closed", process=index + 1)

    def _study_for(self, index: int, busy_seconds: float) -> str | None:
        """The study to train next, or None when the process should end; `want` may then start it again.

        `busy_seconds`: when the process was last busy.
        """
        is_idle = time.monotonic() - busy_seconds > IDLE_SECONDS
        with self._lock:
            if index < self._wanted and not is_idle and not self._drain.requested.is_set():
                return self._study
            del self._threads[index]
            return None
