"""Reads the observations for a search from the rows of its study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select, union_all

from service.search.observations import Observation
from service.search.registry import curve_pruner
from service.search.searcher import Searcher
from service.store.database import Transaction
from service.store.tables import ReportRow, StudyRow, TrialRow

Reports = tuple[tuple[int, float], ...]

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
"""The trials that may have changed since the last read: those that the search does not know, and those still open.

The query finds them by number, so that it needs no index of revisions, which each report would have to update.
The purpose is filtered afterwards: in the query, it would make SQLite scan all trials with that purpose.
"""


def changed_trials(transaction: Transaction, study_id: str, searcher: Searcher, seen: int) -> list[Any]:
    """The trials that changed after the revision `seen`, in order of change."""
    known = {"unknown": searcher.next_number, "open": searcher.open_numbers}
    rows = transaction.connection.execute(CHANGED_TRIALS, {"study": study_id, "seen": seen, **known})
    return sorted((row for row in rows if row.purpose == "search"), key=lambda row: (row.revision, row.number))


def observations(transaction: Transaction, study: StudyRow, trials: Sequence[Any]) -> list[Observation]:
    reports: dict[str, Reports] = {}
    prunes = curve_pruner(study.spec.pruner.name) is not None
    # A worker may itself stop a trial; the sampler then learns from its results so far.
    reporting = [trial.id for trial in trials if prunes or trial.state == "PRUNED"]
    if reporting:
        reports = reports_of(transaction, reporting, study.spec.objective.metric)
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
    """The mean value of a pruned trial over its trained folds and seeds, which ranks it among pruned trials."""
    return ((0, trial.value),) if trial.state == "PRUNED" and trial.value is not None else ()


def reports_of(transaction: Transaction, trial_ids: list[str], metric: str) -> dict[str, Reports]:
    """The objective's finite values by step, for each trial."""
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
