"""Supervises trials in the training process: relays messages, enforces limits, and decides outcomes on failure."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import structlog

from lehr.errors import LehrError, ServerError
from lehr.wire.leases import LeasedStudy, LeasedTrial, Report
from workers.child.census import descendants, memory_bytes
from workers.child.messages import (
    AddTrials,
    AllEnded,
    Capacity,
    Explained,
    Idle,
    Logged,
    News,
    Opened,
    Pulse,
    Reported,
    Saved,
    ServerUpdate,
    Started,
    Train,
)
from workers.child.process import TrainingProcess
from workers.child.trial_outcome import TrackedTrial
from workers.monitor.trial_progress import Usage
from workers.settings import WorkerSettings
from workers.trainer import Finished, Interrupted, Outcome, TrialChannel, storable_error
from workers.training.failures import MIB, HangError, ProcessEndedError, over_limit

TICK_SECONDS = 0.05
"""How long to wait for a message of the process."""
CHECK_SECONDS = 0.1
"""How often the process gets server updates and its limits are checked: as often as reports are sent."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the training process.

    `hang_seconds`: maximum time without a sign of progress. `memory_bytes`: None for no limit. `grace_seconds`: how
    long a trial may take to end when told to. `drain_seconds`: the same when the worker drains.
    """

    hang_seconds: float
    memory_bytes: int | None = None
    grace_seconds: float = 10.0
    drain_seconds: float = 2.5

    @classmethod
    def of(cls, settings: WorkerSettings) -> Self:
        memory = settings.memory_limit_mib
        return cls(settings.hang_seconds, None if memory is None else int(memory * MIB))


class Session:
    """The work on one lease in the process, from `Train` to `Idle`."""

    def __init__(
        self,
        process: TrainingProcess,
        study: LeasedStudy,
        trials: Sequence[LeasedTrial],
        *,
        channel: TrialChannel,
        limits: Limits,
        measured: Callable[[Usage], object],
    ) -> None:
        """`measured`: called with the training's use of its device."""
        self._process = process
        self._study = study
        self._channel = channel
        self._limits = limits
        self._measured = measured
        self._tracked = {trial.trial: TrackedTrial(trial) for trial in trials}
        self._added = 0
        self._update = ServerUpdate()
        self._drain_seconds = math.inf
        self._checked_seconds = -math.inf
        self._idle = False
        self._ended = False
        self.wanted = 1
        self.is_sound = True
        """Whether the process may train other trials."""

    def complete(self) -> list[tuple[LeasedTrial, ...]]:
        """Run until the process is idle or ended. Returns the trials still to be trained, in groups."""
        self._process.output.forget()
        self._process.progress_seconds = time.monotonic()
        self._process.send(Train(self._study, tuple(tracked.trial for tracked in self._tracked.values())))
        while not (self._idle or self._ended):
            news = self._process.receive(TICK_SECONDS)
            if news is not None:
                self._handle(news)
            elif self._process.is_gone:
                self._fail(ProcessEndedError(self._process.exit_code, self._where()))
            self._check(time.monotonic())
        self.is_sound = self.is_sound and not descendants(self._process.pid)
        return self._left()

    def _left(self) -> list[tuple[LeasedTrial, ...]]:
        left = [tracked for tracked in self._tracked.values() if not tracked.ended]
        together = tuple(tracked.trial for tracked in left if not tracked.suspect)
        return [*((tracked.trial,) for tracked in left if tracked.suspect), *([together] if together else [])]

    def _handle(self, news: News) -> None:
        match news:
            case Idle(wanted):
                self._idle, self.wanted = True, wanted
            case AllEnded(endings):
                ended = [(self._tracked[ending.trial], ending.outcome) for ending in endings]
                self._end_all([(tracked, self._final_outcome(tracked, outcome)) for tracked, outcome in ended])
            case Logged(level, event, keys):
                getattr(log, level)(event, **keys)
            case Pulse(steps, usage):
                self._measured(usage)
                # A late message may still name trials of the previous session.
                for trial in steps.keys() & self._tracked.keys():
                    self._tracked[trial].steps = steps[trial]
                    self._channel.step(trial, steps[trial])
            case Reported(reports):
                for trial, new in reports.items():
                    self._record(self._tracked[trial], new)
                self._channel.put_all(reports)
            case Capacity(places, arrived):
                self._want(places, arrived)
            case Started() | Explained() | Opened() | Saved():
                self._handle_of(self._tracked[news.trial], news)

    def _handle_of(self, tracked: TrackedTrial, news: Started | Explained | Opened | Saved) -> None:
        match news:
            case Started(_, execution):
                tracked.started = True
                self._channel.start(tracked.trial, execution)
            case Explained(_, execution):
                self._channel.explain(tracked.trial, execution)
            case Opened(_, horizon_steps, data):
                tracked.opened = True
                self._channel.open(tracked.trial, horizon_steps, data)
            case Saved(trial, checkpoint):
                self._channel.announce(trial, checkpoint)

    def _want(self, places: int, arrived: int) -> None:
        # If added trials are still in transit, the process asked before it received them, and they fill these places.
        if arrived == self._added:
            self._channel.want(places)

    def _record(self, tracked: TrackedTrial, reports: Sequence[Report]) -> None:
        tracked.reports += len(reports)
        if reports:
            tracked.value = reports[-1].metrics.get(str(self._study.objective.get("metric")), tracked.value)

    def _final_outcome(self, tracked: TrackedTrial, outcome: Outcome) -> Outcome:
        if tracked.verdict is not None:
            return tracked.verdict
        if isinstance(outcome, Finished) and outcome.state == "FAILED":
            # A failed training may leave the process in any state; an error before the training leaves it unharmed.
            self.is_sound = self.is_sound and not tracked.opened
            return self._failed(outcome.error or "")
        return outcome

    def _end(self, tracked: TrackedTrial, outcome: Outcome) -> None:
        self._end_all([(tracked, outcome)])

    def _end_all(self, endings: Sequence[tuple[TrackedTrial, Outcome]]) -> None:
        for tracked, _ in endings:
            tracked.ended = True
        self._channel.end_all([(tracked.trial, outcome) for tracked, outcome in endings])

    def _check(self, now: float) -> None:
        """Every CHECK_SECONDS, send updates to the process, and end it if it exceeds a limit."""
        if self._ended or now - self._checked_seconds < CHECK_SECONDS:
            return
        self._checked_seconds = now
        self._add(self._channel.arrivals())
        self._send_update(now)
        if self._channel.draining:
            self._drain_seconds = min(self._drain_seconds, now)
        used, limit = self._used_bytes(), self._limits.memory_bytes
        if self._is_overdue(now):
            self._end_overdue()
        elif limit is not None and used > limit:
            self._fail(over_limit(used, limit, self._where()))
        elif now - self._process.progress_seconds > self._limits.hang_seconds:
            self._process.write_stack()
            self._fail(HangError(self._limits.hang_seconds, self._where()))

    def _add(self, trials: Sequence[LeasedTrial]) -> None:
        """Send more trials to the process. If it becomes idle before it receives them, `complete` returns them."""
        if trials:
            self._added += len(trials)
            self._tracked.update({trial.trial: TrackedTrial(trial) for trial in trials})
            self._process.send(AddTrials(tuple(trials)))

    def _used_bytes(self) -> int:
        return memory_bytes(self._process.pid) if self._limits.memory_bytes is not None else 0

    def _is_overdue(self, now: float) -> bool:
        ending = min((tracked.ending_seconds for tracked in self._all if tracked.is_running), default=math.inf)
        return now - ending > self._limits.grace_seconds or now - self._drain_seconds > self._limits.drain_seconds

    def _send_update(self, now: float) -> None:
        running = {tracked.trial.trial: tracked for tracked in self._all if tracked.is_running}
        for tracked in running.values():
            self._read_directive(tracked, now)
        update = ServerUpdate(
            {trial: tracked.directive for trial, tracked in running.items()},
            {trial: tracked.reports - len(self._channel.pending(trial)) for trial, tracked in running.items()},
            self._channel.draining,
        )
        if update != self._update:
            self._process.send(update)
            self._update = update

    def _read_directive(self, tracked: TrackedTrial, now: float) -> None:
        try:
            tracked.direct(self._channel.directive(tracked.trial.trial), now)
        except ServerError:
            tracked.verdict = Finished("FAILED", error=storable_error(traceback.format_exc()))
            tracked.direct("cancel", now)

    def _end_overdue(self) -> None:
        """End the process, because it did not end its trials in time."""
        self._end_process()
        for tracked in self._all:
            if tracked.is_running and tracked.ending_seconds < math.inf:
                self._end(tracked, tracked.forced_outcome())
            elif tracked.is_running and self._channel.draining:
                self._end(tracked, Interrupted())

    def _fail(self, error: LehrError) -> None:
        """End the process after a failure. If several trials were training, each is trained again alone."""
        self._end_process()
        left = [tracked for tracked in self._all if not tracked.ended]
        suspects = [tracked for tracked in left if tracked.started] or left
        if len(suspects) == 1:
            self._end(suspects[0], self._failed(f"{type(error).__name__}: {error}"))
        else:
            for tracked in suspects:
                tracked.suspect = True

    def _end_process(self) -> None:
        self._process.end()
        self.is_sound, self._ended = False, True

    def _failed(self, error: str) -> Finished:
        output = self._process.output_tail()
        return Finished("FAILED", error=storable_error(f"Last output:\n{output}\n\n{error}" if output else error))

    def _where(self) -> str:
        running = [tracked for tracked in self._all if tracked.is_running]
        if len(running) > 1:
            return f"while it trained {len(running)} trials"
        if not running or not running[0].opened:
            return "before the first step"
        return f"after {running[0].steps} steps or more"

    @property
    def _all(self) -> list[TrackedTrial]:
        return list(self._tracked.values())
