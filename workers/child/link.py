"""The training process's end of the pipe to the worker, and the channel of its trainers."""

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
"""How often the worker is sent the steps done: short enough for users and long enough to cost little."""


class ForkedError(RuntimeError):
    """A fork of the training process, made by the task, made a call that only the original may make."""


class Link:
    """Sends the trainers' events to the worker. A thread receives orders, and sends the steps done.

    When the worker is gone, the thread kills the whole process group.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._orders: queue.SimpleQueue[Setup | Train] = queue.SimpleQueue()
        self._update = ServerUpdate()
        self._added: deque[LeasedTrial] = deque()
        self._arrivals = 0
        self._pending: dict[str, list[Report]] = {}
        self._acknowledged: dict[str, int] = {}
        self._steps: dict[str, int] = {}
        self.gauge: Callable[[], Usage] = Usage
        """Measures the device usage that is sent with the steps."""
        self._is_fork = False
        os.register_at_fork(after_in_child=self._disconnect_fork)
        threading.Thread(target=self._listen, name="worker", daemon=True).start()

    def next_order(self) -> Setup | Train:
        """Wait for the next order."""
        return self._orders.get()

    def send(self, news: News) -> None:
        """Send a message. Raises ForkedError in a fork of the process."""
        self._check()
        with self._sending:
            self._connection.send(news)

    @property
    def draining(self) -> bool:
        return self._update.draining

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
        for trial, new in reports.items():
            self._pending[trial].extend(new)
        self.send(Reported(reports))

    def pending(self, trial: str) -> list[Report]:
        acknowledged = self._update.acknowledged.get(trial, 0)
        del self._pending[trial][: acknowledged - self._acknowledged[trial]]
        self._acknowledged[trial] = acknowledged
        return list(self._pending[trial])

    def announce(self, trial: str, checkpoint: str) -> None:
        self.send(Saved(trial, checkpoint))

    def directive(self, trial: str) -> Directive:
        self._check()
        return self._update.directives.get(trial, "continue")

    def end(self, trial: LeasedTrial, outcome: Outcome) -> None:
        self.end_all([(trial, outcome)])

    def end_all(self, outcomes: Sequence[tuple[LeasedTrial, Outcome]]) -> None:
        self._pulse()
        self.send(AllEnded(tuple(Ended(trial.trial, outcome) for trial, outcome in outcomes)))
        for trial, _ in outcomes:
            for by_trial in (self._pending, self._acknowledged, self._steps):
                by_trial.pop(trial.trial, None)

    def want(self, places: int) -> None:
        self.send(Capacity(places, self._arrivals))

    def arrivals(self) -> list[LeasedTrial]:
        arrived = []
        while self._added:
            arrived.append(self._added.popleft())
        self._arrivals += len(arrived)
        return arrived

    def _listen(self) -> None:
        sent: Mapping[str, int] = {}
        due = time.monotonic() + PULSE_SECONDS
        try:
            while True:
                # By the clock: frequent orders must not delay the pulse.
                if self._connection.poll(max(0.0, due - time.monotonic())):
                    self._receive(self._connection.recv())
                if time.monotonic() >= due:
                    due = time.monotonic() + PULSE_SECONDS
                    sent = sent if sent == self._steps else self._pulse()
        except (EOFError, OSError):
            os.killpg(0, signal.SIGKILL)

    def _receive(self, order: Order) -> None:
        if isinstance(order, ServerUpdate):
            self._update = order
        elif isinstance(order, AddTrials):
            self._added.extend(order.trials)
        else:
            # Updates and added trials of the previous lease are void; trials that arrived too late will be sent again.
            self._update = ServerUpdate()
            self._added.clear()
            self._arrivals = 0
            self._orders.put(order)

    def _pulse(self) -> Mapping[str, int]:
        steps = dict(self._steps)
        self.send(Pulse(steps, self.gauge()))
        return steps

    def _check(self) -> None:
        if self._is_fork:
            raise ForkedError

    def _disconnect_fork(self) -> None:
        # The fork has no listener thread, and the worker would take its messages for those of the original.
        self._is_fork = True
        self._sending = threading.Lock()
        self._connection.close()
