"""Further lease loops of a worker, where a study trains fastest in several processes at once: one for each."""

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
"""How long a worker that ends waits for its processes: they drain as it does."""

log = structlog.get_logger(__name__)

IDLE_SECONDS = 30.0
"""A process ends after this long without a trial: it holds memory of the device."""

Step = Callable[[str], bool]
"""Claim a trial of this study, waiting a little for it, and train it; whether there was one."""


class ExtraProcesses:
    """Training processes beside the first: opened when wanted, closed once no longer wanted."""

    def __init__(self, open_process: Callable[[], AbstractContextManager[Step]], drain: Drain) -> None:
        """`open_process`: a new process for training, to be ended with the block."""
        self._open_process = open_process
        self._drain = drain
        self._lock = threading.Lock()
        self._study = ""
        self._wanted = 0
        self._threads: dict[int, threading.Thread] = {}

    def want(self, study: str, processes: int) -> None:
        """The worker trains a trial of this study, which so many processes at once would do best. Returns at once."""
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
        """Drain them: the worker ends, for whatever reason."""
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
            # It stays among the threads: what failed once is not begun again, the worker's own loop tells of it.
            log.warning("process_failed", process=index + 1, error=str(error))
        else:
            log.info("process_closed", process=index + 1)

    def _study_for(self, index: int, busy_seconds: float) -> str | None:
        """What the process, last busy at this time, is to train next; None where it ends, and may be opened again."""
        is_idle = time.monotonic() - busy_seconds > IDLE_SECONDS
        with self._lock:
            if index < self._wanted and not is_idle and not self._drain.requested.is_set():
                return self._study
            del self._threads[index]
            return None
