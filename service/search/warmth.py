"""Searchers kept warm, one a study: asking reads only the trials that changed since the last time.

A searcher is used under its study's lock alone. It may know of trials whose transaction never
came through; the next ask then meets a number that was asked before, and the searcher is built
again from the rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, union_all

from lehr.schedules import schedule_from_dict
from service.database import Transaction
from service.ranges.bounds import found_bounds, searched_space
from service.search.observations import Observation
from service.search.searcher import Searcher, judges_curves
from service.seeds import search_seed
from service.tables import ReportRow, StudyRow, TrialRow

CAPACITY = 256
"""Searchers kept warm. One of them holds at most a few thousand small records."""

PRUNERS_REMEMBERED = 4096

Reports = tuple[tuple[int, float], ...]


@dataclass
class Warm:
    """A searcher and the study's revision up to which it was told everything.

    `found`: the bounds that a range test had found when it was made, in whatever process that was.
    """

    searcher: Searcher
    found: dict[str, Any] | None
    revision: int = -1
    last_asked: int = -1


class Searches:
    """The searchers of this process, the least lately used dropped first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._warm: OrderedDict[str, Warm] = OrderedDict()
        self._pruners: OrderedDict[str, bool] = OrderedDict()
        self._guard = threading.Lock()

    def ask(self, transaction: Transaction, study: StudyRow, count: int) -> list[TrialRow]:
        """Create `count` trials by the search and spend their budget. Needs the study's lock."""
        if count <= 0:
            return []
        warm = self._synced(transaction, study)
        if study.next_number <= warm.last_asked:
            self.forget(study.id)
            warm = self._synced(transaction, study)
        return [self._ask_one(transaction, study, warm) for _ in range(count)]

    def should_prune(self, transaction: Transaction, study: StudyRow, trial: TrialRow) -> bool:
        """Whether the search gives up on a running trial after its last report. Needs the study's lock."""
        if trial.horizon_steps is None:
            return False
        # This very report has moved the revision on, but may yet be rolled back: what it touched is read again.
        warm = self._synced(transaction, study, sure_revision=study.revision - 1)
        reports = _reports(transaction, [trial.id], study.spec["objective"]["metric"]).get(trial.id, ())
        schedule = schedule_from_dict(trial.schedule)
        return warm.searcher.should_prune(
            trial.number, schedule, trial.horizon_steps, reports, guessed=trial.origin != "sampler"
        )

    def may_prune(self, study_id: str) -> bool:
        """Whether the study has a pruner, as far as is remembered; `prunes` is sure."""
        with self._guard:
            return self._pruners.get(study_id, True)

    def prunes(self, transaction: Transaction, study_id: str) -> bool:
        """Whether the study has a pruner that judges reports; remembered, since every report asks it."""
        with self._guard:
            known = self._pruners.get(study_id)
        if known is None:
            known = judges_curves(transaction.known_study(study_id).spec["pruner"]["name"])
            with self._guard:
                self._pruners[study_id] = known
                while len(self._pruners) > PRUNERS_REMEMBERED:
                    self._pruners.popitem(last=False)
        return known

    def forget(self, study_id: str) -> None:
        with self._guard:
            self._warm.pop(study_id, None)

    def _ask_one(self, transaction: Transaction, study: StudyRow, warm: Warm) -> TrialRow:
        number = study.next_number
        suggestion = warm.searcher.ask(number)
        warm.last_asked = number
        trial = new_trial(study, suggestion.schedule.to_dict(), purpose="search", origin="sampler")
        trial.point = dict(suggestion.point)
        trial.queued_at = transaction.now
        study.trials_created += 1
        transaction.session.add(trial)
        return trial

    def _synced(self, transaction: Transaction, study: StudyRow, sure_revision: int | None = None) -> Warm:
        """The study's searcher, told all there is; `sure_revision`: the last one that is committed."""
        with self._guard:
            warm = self._warm.pop(study.id, None)
            if warm is None or warm.found != found_bounds(study):
                warm = Warm(_searcher(study), found_bounds(study))
            self._warm[study.id] = warm
            while len(self._warm) > self._capacity:
                self._warm.popitem(last=False)
        changed = _changed_trials(transaction, study.id, warm)
        for observation in _observations(transaction, study, changed):
            warm.searcher.tell(observation)
        warm.revision = study.revision if sure_revision is None else sure_revision
        return warm


def new_trial(study: StudyRow, schedule: dict[str, Any], *, purpose: str, origin: str) -> TrialRow:
    """A waiting trial with the study's next number, and the seed that a trial of the search with it has."""
    trial = TrialRow(
        id=f"{study.id}-{study.next_number}",
        study_id=study.id,
        number=study.next_number,
        purpose=purpose,
        origin=origin,
        state="WAITING",
        seed=search_seed(study.spec["sampler"]["seed"], study.next_number),
        family=schedule["family"],
        schedule=schedule,
        attempt=0,
        losses=0,
        horizon_fraction=1.0,
        revision=study.revision + 1,
    )
    study.next_number += 1
    return trial


def _searcher(study: StudyRow) -> Searcher:
    spec = study.spec
    return Searcher(
        space=searched_space(study).to_space(),
        direction=spec["objective"]["direction"],
        sampler=spec["sampler"]["name"],
        seed=spec["sampler"]["seed"],
        trials_budget=study.budget_trials,
        pruner=spec["pruner"]["name"],
    )


_CHANGED = select(
    TrialRow.id,
    TrialRow.number,
    TrialRow.family,
    TrialRow.point,
    TrialRow.state,
    TrialRow.value,
    TrialRow.evaluations,
    TrialRow.violation,
    TrialRow.revision,
    TrialRow.purpose,
).where(TrialRow.study_id == bindparam("study"), TrialRow.revision > bindparam("seen"))
CHANGED_TRIALS = union_all(
    _CHANGED.where(TrialRow.number >= bindparam("unknown")),
    _CHANGED.where(TrialRow.number.in_(bindparam("open", expanding=True))),
)
"""The trials that may have changed since the search last looked: those that it does not know, and that had not ended.

They are found by their numbers, so that no index of revisions is needed, which each report would have to write to.
The purpose is looked at afterwards: asked for it, SQLite would go through all trials that have it.
"""


def _changed_trials(transaction: Transaction, study_id: str, warm: Warm) -> list[Any]:
    """What the search is told of, in the order of change."""
    known = {"unknown": warm.searcher.next_number, "open": warm.searcher.open_numbers}
    rows = transaction.connection.execute(CHANGED_TRIALS, {"study": study_id, "seen": warm.revision, **known})
    return sorted((row for row in rows if row.purpose == "search"), key=lambda row: (row.revision, row.number))


def _observations(transaction: Transaction, study: StudyRow, trials: Sequence[Any]) -> list[Observation]:
    reports: dict[str, Reports] = {}
    prunes = judges_curves(study.spec["pruner"]["name"])
    # A worker may stop a trial on its own account; what it had reached by then informs the sampler.
    reporting = [trial.id for trial in trials if prunes or trial.state == "PRUNED"]
    if reporting:
        reports = _reports(transaction, reporting, study.spec["objective"]["metric"])
    return [
        Observation(
            number=trial.number,
            family=trial.family,
            point=trial.point,
            state="RUNNING" if trial.state == "WAITING" else trial.state,
            value=trial.value,
            reports=_mean_so_far(trial) if trial.evaluations is not None else reports.get(trial.id, ()),
            violation=trial.violation,
        )
        for trial in trials
    ]


def _mean_so_far(trial: Any) -> Reports:
    """What a pruned trial came to on the folds and seeds that it was trained on; ranks it among its like."""
    return ((0, trial.value),) if trial.state == "PRUNED" and trial.value is not None else ()


def _reports(transaction: Transaction, trial_ids: list[str], metric: str) -> dict[str, Reports]:
    """The objective's finite values by step, of each trial."""
    query = (
        select(ReportRow.trial_id, ReportRow.step, ReportRow.metrics)
        .where(ReportRow.trial_id.in_(trial_ids))
        .order_by(ReportRow.trial_id, ReportRow.step)
    )
    found: dict[str, list[tuple[int, float]]] = {}
    for trial_id, step, metrics in transaction.session.execute(query):
        if metrics.get(metric) is not None:
            found.setdefault(trial_id, []).append((step, metrics[metric]))
    return {trial_id: tuple(pairs) for trial_id, pairs in found.items()}
