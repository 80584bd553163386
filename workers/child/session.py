"""Trials of one lease in the training process: told what the server says, watched, and ended if need be."""

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
from workers.child.trial_outcome import Course
from workers.monitor.trial_progress import Usage
from workers.settings import WorkerSettings
from workers.trainer import Finished, Interrupted, Outcome, TrialChannel, storable_error
from workers.training.failures import MIB, HangError, ProcessEndedError, over_limit

TICK_SECONDS = 0.05
"""How long to wait for the process' news."""
LOOK_SECONDS = 0.1
"""How soon the process is told what the server said, and how often it is looked at: as often as reports are sent."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """`hang_seconds`: without a sign of progress. `memory_bytes`: None, no limit. `grace_seconds`: how long a trial
    may take to end when told to; `drain_seconds`: the same where the worker drains.
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
    """One order to the process, from `Train` to `Idle`."""

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
        """`measured`: is told what training has of its device."""
        self._process = process
        self._study = study
        self._channel = channel
        self._limits = limits
        self._measured = measured
        self._courses = {trial.trial: Course(trial) for trial in trials}
        self._passed_on = 0
        self._word = ServerUpdate()
        self._drain_seconds = math.inf
        self._looked_seconds = -math.inf
        self._rested = False
        self._ended = False
        self.wanted = 1
        self.is_sound = True
        """Whether the process may train other trials."""

    def complete(self) -> list[tuple[LeasedTrial, ...]]:
        """Until the process rests or is ended; the trials that are still to be trained, in groups."""
        self._process.output.forget()
        self._process.heard_seconds = time.monotonic()
        self._process.send(Train(self._study, tuple(course.trial for course in self._courses.values())))
        while not (self._rested or self._ended):
            news = self._process.receive(TICK_SECONDS)
            if news is not None:
                self._hear(news)
            elif self._process.is_gone:
                self._fail(ProcessEndedError(self._process.exit_code, self._where()))
            self._attend(time.monotonic())
        self.is_sound = self.is_sound and not descendants(self._process.pid)
        return self._left()

    def _left(self) -> list[tuple[LeasedTrial, ...]]:
        left = [course for course in self._courses.values() if not course.ended]
        together = tuple(course.trial for course in left if not course.suspect)
        return [*((course.trial,) for course in left if course.suspect), *([together] if together else [])]

    def _hear(self, news: News) -> None:
        match news:
            case Idle(wanted):
                self._rested, self.wanted = True, wanted
            case AllEnded(endings):
                courses = [(self._courses[ending.trial], ending.outcome) for ending in endings]
                self._end_all([(course, self._judged(course, outcome)) for course, outcome in courses])
            case Logged(level, event, keys):
                getattr(log, level)(event, **keys)
            case Pulse(steps, usage):
                self._measured(usage)
                # The thread that sends them may be late: then they tell of the session before.
                for trial in steps.keys() & self._courses.keys():
                    self._courses[trial].steps = steps[trial]
                    self._channel.step(trial, steps[trial])
            case Reported(reports):
                for trial, some in reports.items():
                    self._note(self._courses[trial], some)
                self._channel.put_all(reports)
            case Capacity(places, arrived):
                self._want(places, arrived)
            case Started() | Explained() | Opened() | Saved():
                self._hear_of(self._courses[news.trial], news)

    def _hear_of(self, course: Course, news: Started | Explained | Opened | Saved) -> None:
        match news:
            case Started(_, execution):
                course.started = True
                self._channel.start(course.trial, execution)
            case Explained(_, execution):
                self._channel.explain(course.trial, execution)
            case Opened(_, horizon_steps, data):
                course.opened = True
                self._channel.open(course.trial, horizon_steps, data)
            case Saved(trial, checkpoint):
                self._channel.announce(trial, checkpoint)

    def _want(self, places: int, arrived: int) -> None:
        # It may have asked before it heard of those that are on their way: they are what it asked for.
        if arrived == self._passed_on:
            self._channel.want(places)

    def _note(self, course: Course, reports: Sequence[Report]) -> None:
        course.sent += len(reports)
        if reports:
            course.value = reports[-1].metrics.get(str(self._study.objective.get("metric")), course.value)

    def _judged(self, course: Course, outcome: Outcome) -> Outcome:
        if course.verdict is not None:
            return course.verdict
        if isinstance(outcome, Finished) and outcome.state == "FAILED":
            # Where training itself failed, nobody knows what it left behind; a refusal before that leaves nothing.
            self.is_sound = self.is_sound and not course.opened
            return self._failed(outcome.error or "")
        return outcome

    def _end(self, course: Course, outcome: Outcome) -> None:
        self._end_all([(course, outcome)])

    def _end_all(self, endings: Sequence[tuple[Course, Outcome]]) -> None:
        for course, _ in endings:
            course.ended = True
        self._channel.end_all([(course.trial, outcome) for course, outcome in endings])

    def _attend(self, now: float) -> None:
        """Every LOOK_SECONDS: tell the process what is new, and end it if it does not do as it should."""
        if self._ended or now - self._looked_seconds < LOOK_SECONDS:
            return
        self._looked_seconds = now
        self._pass_on(self._channel.arrivals())
        self._tell(now)
        if self._channel.draining:
            self._drain_seconds = min(self._drain_seconds, now)
        used, limit = self._used_bytes(), self._limits.memory_bytes
        if self._is_overdue(now):
            self._cut_short()
        elif limit is not None and used > limit:
            self._fail(over_limit(used, limit, self._where()))
        elif now - self._process.heard_seconds > self._limits.hang_seconds:
            self._process.write_stack()
            self._fail(HangError(self._limits.hang_seconds, self._where()))

    def _pass_on(self, trials: Sequence[LeasedTrial]) -> None:
        """They are the process' now: where it rests before it hears of them, they are left to be trained."""
        if trials:
            self._passed_on += len(trials)
            self._courses.update({trial.trial: Course(trial) for trial in trials})
            self._process.send(AddTrials(tuple(trials)))

    def _used_bytes(self) -> int:
        return memory_bytes(self._process.pid) if self._limits.memory_bytes is not None else 0

    def _is_overdue(self, now: float) -> bool:
        told = min((course.told_seconds for course in self._all if course.is_running), default=math.inf)
        return now - told > self._limits.grace_seconds or now - self._drain_seconds > self._limits.drain_seconds

    def _tell(self, now: float) -> None:
        running = [course for course in self._all if course.is_running]
        for course in running:
            self._ask_for(course, now)
        word = ServerUpdate(
            {course.trial.trial: course.directive for course in running},
            {course.trial.trial: course.sent - len(self._channel.pending(course.trial.trial)) for course in running},
            self._channel.draining,
        )
        if word != self._word:
            self._process.send(word)
            self._word = word

    def _ask_for(self, course: Course, now: float) -> None:
        try:
            course.tell(self._channel.directive(course.trial.trial), now)
        except ServerError:
            course.verdict = Finished("FAILED", error=storable_error(traceback.format_exc()))
            course.tell("cancel", now)

    def _cut_short(self) -> None:
        """It did not end by itself what it was told to."""
        self._end_process()
        for course in self._all:
            if course.is_running and course.told_seconds < math.inf:
                self._end(course, course.outcome_as_told())
            elif course.is_running and self._channel.draining:
                self._end(course, Interrupted())

    def _fail(self, error: LehrError) -> None:
        """Training goes wrong. Where several trials were under way, each gets a chance to show that it was not it."""
        self._end_process()
        left = [course for course in self._all if not course.ended]
        suspects = [course for course in left if course.started] or left
        if len(suspects) == 1:
            self._end(suspects[0], self._failed(f"{type(error).__name__}: {error}"))
        else:
            for course in suspects:
                course.suspect = True

    def _end_process(self) -> None:
        self._process.end()
        self.is_sound, self._ended = False, True

    def _failed(self, error: str) -> Finished:
        words = self._process.last_words()
        return Finished("FAILED", error=storable_error(f"It wrote:\n{words}\n\n{error}" if words else error))

    def _where(self) -> str:
        running = [course for course in self._all if course.is_running]
        if len(running) > 1:
            return f"while it trained {len(running)} trials"
        if not running or not running[0].opened:
            return "before the first step"
        return f"after {running[0].steps} steps or more"

    @property
    def _all(self) -> list[Course]:
        return list(self._courses.values())
