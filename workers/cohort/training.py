"""Trains leased trials as a cohort, with their reports, directives and checkpoints."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from lehr.errors import ServerError
from lehr.wire.leases import LeasedTrial, Report
from workers.checkpoints.saving import Cadence, Checkpoints
from workers.cohort.cohort import Cohort
from workers.cohort.member import Member
from workers.cohort.vacancy_forecast import VacancyForecast
from workers.trainer import Dropped, Finished, Interrupted, Outcome, TrialChannel, storable_error
from workers.training.run import OUT_OF_RANGE, DivergedError

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Entrant:
    """A leased trial as a member of a cohort. `value` is the objective's last reported value."""

    trial: LeasedTrial
    member: Member
    fingerprint: str
    state: dict[str, Any] | None = None
    value: float | None = None


class Supply(Protocol):
    """A source of trials for free places."""

    def want(self, places: int) -> None:
        """Ask for trials for `places` places that are free or will be soon."""

    def take(self, places: int) -> Sequence[Entrant]:
        """Up to `places` new trials."""


REFILL_SHARE = 8
"""Places are refilled once at least one in this many is free, because adding members copies all rows."""
AHEAD_SECONDS = 0.5
"""How long before places become free trials are asked for: about the time of a claim and of the search's suggestion.
Not longer, because a trial suggested now cannot use the results of the meantime."""


class CohortTraining:
    """Trains trials that are at the same position within their epochs."""

    def __init__(
        self,
        cohort: Cohort,
        entrants: Sequence[Entrant],
        *,
        metric: str,
        channel: TrialChannel,
        end: Callable[[Sequence[tuple[LeasedTrial, Outcome]]], None],
        note: Callable[[str], None],
        supply: Supply,
        checkpoints: Checkpoints,
        cadence: Cadence,
    ) -> None:
        """`end`: called with the trials that end together. `note`: called once with the reason if steps are not
        replayed. `supply`: new trials for free places.
        """
        self._cohort = cohort
        self._entrants = {entrant.member: entrant for entrant in entrants}
        self._metric = metric
        self._channel = channel
        self._on_end = end
        self._note = note
        self._noted = False
        self._supply = supply
        self._places = len(entrants)
        self._checkpoints = checkpoints
        self._cadence = cadence
        self._vacancies = VacancyForecast(cohort, len(entrants))

    def complete(self) -> None:
        """Train until all trials have ended. Raises the exceptions of training; trials may then be left over."""
        entrants = list(self._entrants.values())
        self._cohort.join([entrant.member for entrant in entrants], [entrant.state for entrant in entrants])
        self._end({entrant.member: self._finished(entrant) for entrant in entrants if entrant.member.finished})
        while self._cohort.members:
            self._end(self._ended_from_outside())
            if self._cohort.members:
                self._advance()
                self._refill()
                self._request_trials()

    def _refill(self) -> None:
        """Between epochs, fill free places with new trials. An empty cohort is not refilled but ends."""
        free = self._places - len(self._cohort.members)
        if self._cohort.position or not self._cohort.members or free < max(1, self._places // REFILL_SHARE):
            return
        entrants = [] if self._channel.draining else list(self._supply.take(free))
        if entrants:
            self._entrants.update({entrant.member: entrant for entrant in entrants})
            self._cohort.join([entrant.member for entrant in entrants], [None] * len(entrants))

    def _request_trials(self) -> None:
        free = self._vacancies.free_soon(time.monotonic(), AHEAD_SECONDS)
        if free >= max(1, self._places // REFILL_SHARE) and not self._channel.draining:
            self._supply.want(free)

    def _advance(self) -> None:
        ended: dict[Member, Outcome] = {}
        reports: dict[str, list[Report]] = {}
        results = self._cohort.advance()
        # Before any trial ends, so that every result carries the note.
        self._note_if_not_replayed()
        for member, result in results:
            entrant = self._entrants[member]
            if isinstance(result, DivergedError):
                reports[entrant.trial.trial] = [result.report]
                ended[member] = Finished("DIVERGED", error=str(result))
                continue
            entrant.value = result.metrics[self._metric]
            reports[entrant.trial.trial] = [result]
            if member.finished:
                ended[member] = self._finished(entrant)
        if reports:
            self._channel.put_all(reports)
        for member in self._cohort.members:
            self._channel.step(member.name, member.step)
        self._end(ended)
        if self._cadence.due(time.monotonic()):
            self._save(self._cohort.members)

    def _note_if_not_replayed(self) -> None:
        if self._cohort.not_replayed and not self._noted:
            self._noted = True
            self._note(self._cohort.not_replayed)

    def _ended_from_outside(self) -> dict[Member, Outcome]:
        if self._channel.draining:
            self._save(self._cohort.members)
            return {member: Interrupted() for member in self._cohort.members}
        outcomes = {member: self._directed_outcome(self._entrants[member]) for member in self._cohort.members}
        return {member: outcome for member, outcome in outcomes.items() if outcome is not None}

    def _directed_outcome(self, entrant: Entrant) -> Outcome | None:
        try:
            directive = self._channel.directive(entrant.trial.trial)
        except ServerError:
            return Finished("FAILED", error=storable_error(traceback.format_exc()))
        if directive == "continue":
            return None
        return Finished("PRUNED", entrant.value) if directive == "prune" else Dropped(directive)

    def _finished(self, entrant: Entrant) -> Outcome:
        if entrant.value is None:
            step = entrant.member.step - 1
            return Finished("DIVERGED", error=f"{self._metric} {OUT_OF_RANGE} at step {step}")
        return Finished("COMPLETED", entrant.value)

    def _end(self, outcomes: dict[Member, Outcome]) -> None:
        if not outcomes:
            return
        self._cohort.leave(outcomes)
        self._on_end([(self._entrants.pop(member).trial, outcome) for member, outcome in outcomes.items()])

    def _save(self, members: Sequence[Member]) -> None:
        started = time.monotonic()
        for member in members:
            entrant = self._entrants[member]
            name = entrant.trial.trial
            # Unacknowledged reports are saved too, as in solo training.
            pending = [report.model_dump_json() for report in self._channel.pending(name)]
            run = self._cohort.state(member)
            state = {"fingerprint": entrant.fingerprint, "run": run, "value": entrant.value, "reports": pending}
            try:
                place = self._checkpoints.save(name, member.step, state)
            except OSError as error:
                log.warning("checkpoint_failed", trial=name, step=member.step, error=str(error))
            else:
                self._channel.announce(name, place)
        log.debug("cohort_saved", trials=len(members))
        self._cadence.saved(started, time.monotonic())


def resume(entrant: Entrant, channel: TrialChannel, checkpoints: Checkpoints) -> None:
    """Continue from the last checkpoint, and resend the reports that were unacknowledged when it was saved."""
    trial = entrant.trial
    state = checkpoints.load(trial.trial, entrant.fingerprint, trial.checkpoint)
    if state is None:
        return
    entrant.state, entrant.value = state["run"], state["value"]
    entrant.member.step = state["run"]["step"]
    channel.put(trial.trial, [Report.model_validate_json(report) for report in state["reports"]])
    log.info("trial_resumed", trial=trial.trial, step=entrant.member.step)
