"""Answers looks at data while the worker trains: a thread claims them, and a process of its own does each one."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import structlog
from pydantic import ValidationError

from lehr.errors import ConflictError, NotFoundError, ServerError, UnreachableError
from lehr.wire.data import DataSummary
from lehr.wire.looks import MAX_LOOK_ERROR_CHARACTERS, Look, LookAnswer, LookClaim, LookOrder
from workers.lease.drain import Drain
from workers.lease.retry import keep_trying
from workers.trainer import storable_error
from workers.training.interpreter import interpreter

CLAIM_WAIT_SECONDS = 25.0
LEAST_PAUSE_SECONDS = 1.0
"""Minimum time between two claims, whatever the server answers."""
RETRY_SECONDS = 10.0
LOOK_SECONDS = 60.0
TICK_SECONDS = 0.1

log = structlog.get_logger(__name__)


class LookServer(Protocol):
    """The calls of `lehr.client.Client` for looks."""

    def claim_look(self, claim: LookClaim) -> LookOrder | None: ...

    def answer_look(self, look_id: str, answer: LookAnswer) -> Look: ...


class Looks:
    """Claims and answers looks while the block runs. Claims none if no task describes its data."""

    def __init__(self, server: LookServer, worker: str, tasks: Sequence[str], data_dir: Path, drain: Drain) -> None:
        self._server = server
        self._claim = LookClaim(worker=worker, tasks=list(tasks), wait_seconds=CLAIM_WAIT_SECONDS) if tasks else None
        self._worker = worker
        self._data_dir = data_dir
        self._drain = drain
        self._thread = threading.Thread(target=self._run, name="looks", daemon=True)

    def __enter__(self) -> Self:
        if self._claim is not None:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Does not join the thread: it may wait for the server longer than a worker may take to end."""
        self._drain.request()

    def _run(self) -> None:
        assert self._claim is not None
        while not self._drain.requested.is_set():
            began_seconds = time.monotonic()
            try:
                order = self._server.claim_look(self._claim)
                if order is not None:
                    self._answer(order)
            except (ServerError, UnreachableError) as error:
                # The lease loop logs that the server does not answer; older servers do not have these calls.
                log.debug("no_looks", error=str(error))
                self._drain.requested.wait(RETRY_SECONDS)
            self._drain.requested.wait(began_seconds + LEAST_PAUSE_SECONDS - time.monotonic())

    def _answer(self, order: LookOrder) -> None:
        answer = self._look(order)
        if answer is None:
            return
        try:
            keep_trying(lambda: self._server.answer_look(order.look_id, answer), self._drain.requested, "look")
        except (ConflictError, NotFoundError) as error:
            log.info("look_too_late", look=order.look_id, error=str(error))
        else:
            log.info("looked_at_data", look=order.look_id, task=order.task, error=answer.error)

    def _look(self, order: LookOrder) -> LookAnswer | None:
        """Look in a separate process, because data may be broken or huge. None if the worker drains meanwhile."""
        arguments = ["--task", order.task, "--data-dir", str(self._data_dir)]
        process = subprocess.Popen(
            interpreter("workers.look", "main", arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with process:
            threading.Thread(target=self._end_in_time, args=(process,), daemon=True).start()
            seen, said = process.communicate(json.dumps(order.params).encode())
        if self._drain.requested.is_set():
            return None
        if process.returncode == 0:
            try:
                return LookAnswer(worker=self._worker, data=DataSummary.model_validate_json(seen))
            except ValidationError as error:
                said = str(error).encode()
        elif process.returncode < 0:
            said += f"\nthe look ended by signal {-process.returncode}; it may take {LOOK_SECONDS:g} seconds".encode()
        words = storable_error(said.decode("utf-8", "replace").strip() or "the look ended without a word")
        return LookAnswer(worker=self._worker, error=words[-MAX_LOOK_ERROR_CHARACTERS:])

    def _end_in_time(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + LOOK_SECONDS
        while process.poll() is None:
            if time.monotonic() > until or self._drain.requested.wait(TICK_SECONDS):
                process.kill()
                return
