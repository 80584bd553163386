"""A trial's curve: its reports, or, where it is trained on several folds and seeds, the mean of its trainings'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from service.answer.statistics import mean_of
from service.store.database import Transaction
from service.store.reports import thinned
from service.store.tables import ReportRow, TrialRow

MOST_READ = 200_000
"""Reports of all the trainings that a curve is the mean of."""


@dataclass(frozen=True, slots=True)
class Report:
    """At a step. Values that were not finite are None, and so is a mean of which one was not."""

    step: int
    epoch: float | None
    lr: float
    train_loss: float | None
    metrics: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Reports:
    """`mean_of`: the numbers of the trainings that these are the means of; None where they are the trial's own."""

    rows: list[Report]
    horizon_steps: int | None
    mean_of: list[int] | None = None


def reports(transaction: Transaction, trial: TrialRow, most: int) -> Reports:
    """At most `most` of them, evenly spread, by step.

    The mean is over the trainings that ended as the trial did, while it is open over those that COMPLETED, and over all
    that have reported where none has; it goes as far as all of them have reported.
    """
    if trial.evaluations is None:
        return Reports(_rows(transaction, [trial.id], most).get(trial.id, []), trial.horizon_steps)
    query = (
        select(TrialRow.id, TrialRow.number, TrialRow.state, TrialRow.horizon_steps)
        .where(TrialRow.study_id == trial.study_id, TrialRow.evaluates == trial.number)
        .order_by(TrialRow.number)
    )
    trainings = transaction.session.execute(query).all()
    wanted = "COMPLETED" if trial.state in ("WAITING", "RUNNING") else trial.state
    chosen = [one for one in trainings if one.state == wanted] or trainings
    most = max(2, min(most, MOST_READ // max(1, len(chosen))))
    rows = _rows(transaction, [one.id for one in chosen], most)
    reporting = [one for one in chosen if one.id in rows]
    horizon = next((one.horizon_steps for one in reporting if one.horizon_steps is not None), None)
    return Reports(mean([rows[one.id] for one in reporting]), horizon, [one.number for one in reporting])


def mean(curves: Sequence[Sequence[Report]]) -> list[Report]:
    """Report by report, as far as the shortest curve goes: folds of unequal size may differ by a step."""
    return [_mean(at_once) for at_once in zip(*curves, strict=False)]


def _mean(at_once: Sequence[Report]) -> Report:
    names = dict.fromkeys(name for one in at_once for name in one.metrics)
    return Report(
        step=at_once[0].step,
        epoch=at_once[0].epoch,
        lr=_of([one.lr for one in at_once]) or 0.0,
        train_loss=_of([one.train_loss for one in at_once]),
        metrics={name: _of([one.metrics.get(name) for one in at_once]) for name in names},
    )


def _of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    # A mean of equal numbers is that number, to the last digit: the rate of all folds is one.
    return known[0] if min(known) == max(known) else mean_of(known)


def _rows(transaction: Transaction, trials: Sequence[str], most: int) -> dict[str, list[Report]]:
    """Of each trial that has reported, at the same places."""
    columns = (ReportRow.step, ReportRow.epoch, ReportRow.lr, ReportRow.train_loss, ReportRow.metrics)
    found: dict[str, list[Report]] = {}
    for trial, *report in transaction.session.execute(
        thinned(trials, most, ReportRow.trial_id, *columns, aligned=True)
    ):
        found.setdefault(trial, []).append(Report(*report))
    return found
