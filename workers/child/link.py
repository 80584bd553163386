"""The training process' end of the pipe: the channel of its trainers."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection

from lehr.wire.data import DataSummary
from lehr.wire.leases import Directive, LeasedTrial, Report
from lehr.wire.trials import Execution
from workers.child.messages import (
    AddTrials,
    AllEnded,
    Capacity,
    Ended,
    Explained,
    News,
    Opened,
    Order,
    Pulse,
    Reported,
    Saved,
    ServerUpdate,
    Setup,
    Started,
    Train,
)
from workers.monitor.trial_progress import Usage
from workers.trainer import Outcome

PULSE_SECONDS = 0.5
"""How soon the worker learns of a step: short against any patience, long against what it costs to say."""


class ForkedError(RuntimeError):
    """A copy of the training process, made by the task, went on where only the process itself may."""


class Link:
    """Sends what trainers hand in; a thread listens for orders and tells of steps meanwhile.

    When the worker is gone the thread ends the whole group of processes.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._orders: queue.SimpleQueue[Setup | Train] = queue.SimpleQueue()
        self._word = ServerUpdate()
        self._arrived: deque[LeasedTrial] = deque()
        self._arrivals = 0
        self._pending: dict[str, list[Report]] = {}
        self._acknowledged: dict[str, int] = {}
        self._steps: dict[str, int] = {}
        self.gauge: Callable[[], Usage] = Usage
        """What training has of its device; told with the steps."""
        self._is_copy = False
        os.register_at_fork(after_in_child=self._disown)
        threading.Thread(target=self._listen, name="worker", daemon=True).start()

    def next_order(self) -> Setup | Train:
        """Waits for it."""
        return self._orders.get()

    def send(self, news: News) -> None:
        """Raises ForkedError in a copy of the process."""
        self._check()
        with self._sending:
            self._connection.send(news)

    @property
    def draining(self) -> bool:
        return self._word.draining

    def start(self, trial: LeasedTrial, execution: Execution) -> None:
        self._pending[trial.trial] = []
        self._acknowledged[trial.trial] = 0
        self.send(Started(trial.trial, execution))

    def explain(self, trial: LeasedTrial, execution: Execution) -> None:
        self.send(Explained(trial.trial, execution))

    def open(self, trial: LeasedTrial, horizon_steps: int, data: DataSummary | None = None) -> None:
        self.send(Opened(trial.trial, horizon_steps, data))

    def step(self, trial: str, step: int) -> None:
        self._steps[trial] = step

    def put(self, trial: str, reports: Sequence[Report]) -> None:
        self.put_all({trial: reports})

    def put_all(self, reports: Mapping[str, Sequence[Report]]) -> None:
        for trial, some in reports.items():
            self._pending[trial].extend(some)
        self.send(Reported(reports))

    def pending(self, trial: str) -> list[Report]:
        known = self._word.acknowledged.get(trial, 0)
        del self._pending[trial][: known - self._acknowledged[trial]]
        self._acknowledged[trial] = known
        return list(self._pending[trial])

    def announce(self, trial: str, checkpoint: str) -> None:
        self.send(Saved(trial, checkpoint))

    def directive(self, trial: str) -> Directive:
        self._check()
        return self._word.directives.get(trial, "continue")

    def end(self, trial: LeasedTrial, outcome: Outcome) -> None:
        self.end_all([(trial, outcome)])

    def end_all(self, outcomes: Sequence[tuple[LeasedTrial, Outcome]]) -> None:
        self._pulse()
        self.send(AllEnded(tuple(Ended(trial.trial, outcome) for trial, outcome in outcomes)))
        for trial, _ in outcomes:
            for kept in (self._pending, self._acknowledged, self._steps):
                kept.pop(trial.trial, None)

    def want(self, places: int) -> None:
        self.send(Capacity(places, self._arrivals))

    def arrivals(self) -> list[LeasedTrial]:
        came = []
        while self._arrived:
            came.append(self._arrived.popleft())
        self._arrivals += len(came)
        return came

    def _listen(self) -> None:
        told: Mapping[str, int] = {}
        due = time.monotonic() + PULSE_SECONDS
        try:
            while True:
                # By the clock: words that come more often than pulses are due must not keep them back.
                if self._connection.poll(max(0.0, due - time.monotonic())):
                    self._hear(self._connection.recv())
                if time.monotonic() >= due:
                    due = time.monotonic() + PULSE_SECONDS
                    told = told if told == self._steps else self._pulse()
        except (EOFError, OSError):
            os.killpg(0, signal.SIGKILL)

    def _hear(self, order: Order) -> None:
        if isinstance(order, ServerUpdate):
            self._word = order
        elif isinstance(order, AddTrials):
            self._arrived.extend(order.trials)
        else:
            # What was said of the lease before is not meant for this one; who came too late for it comes again.
            self._word = ServerUpdate()
            self._arrived.clear()
            self._arrivals = 0
            self._orders.put(order)

    def _pulse(self) -> Mapping[str, int]:
        steps = dict(self._steps)
        self.send(Pulse(steps, self.gauge()))
        return steps

    def _check(self) -> None:
        if self._is_copy:
            raise ForkedError

    def _disown(self) -> None:
        # The copy has no thread that listens, and what it said would be taken for the process' own word.
        self._is_copy = True
        self._sending = threading.Lock()
        self._connection.close()
