"""Reads a trial's curve: its reports, or the mean of its trainings' reports if it has several folds or seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from service.answer.statistics import mean_of
from service.store.database import Transaction
from service.store.reports import thinned
from service.store.tables import ReportRow, TrialRow

MOST_READ = 200_000
"""The most reports that are read for one curve, over all its trainings."""


@dataclass(frozen=True, slots=True)
class Report:
    """The values at one step. A value is None if it, or any value of its mean, was not finite."""

    step: int
    epoch: float | None
    lr: float
    train_loss: float | None
    metrics: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Reports:
    """A trial's reports. `mean_of`: the numbers of the trainings that were averaged; None if they are its own."""

    rows: list[Report]
    horizon_steps: int | None
    mean_of: list[int] | None = None


def reports(transaction: Transaction, trial: TrialRow, most: int) -> Reports:
    """At most `most` of the trial's reports, evenly spread, by step.

    A mean is over the trainings that ended in the trial's state (while it is open: that COMPLETED), or over all if
    there are none. It ends where the shortest of them ends.
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
    chosen = [training for training in trainings if training.state == wanted] or trainings
    most = max(2, min(most, MOST_READ // max(1, len(chosen))))
    rows = _rows(transaction, [training.id for training in chosen], most)
    reporting = [training for training in chosen if training.id in rows]
    horizon = next((training.horizon_steps for training in reporting if training.horizon_steps is not None), None)
    averaged = mean([rows[training.id] for training in reporting])
    return Reports(averaged, horizon, [training.number for training in reporting])


def mean(curves: Sequence[Sequence[Report]]) -> list[Report]:
    """The mean report by report, up to the end of the shortest curve: folds of unequal size may differ by a step."""
    return [_mean_report(reports) for reports in zip(*curves, strict=False)]


def _mean_report(reports: Sequence[Report]) -> Report:
    names = dict.fromkeys(name for report in reports for name in report.metrics)
    return Report(
        step=reports[0].step,
        epoch=reports[0].epoch,
        lr=_mean_value([report.lr for report in reports]) or 0.0,
        train_loss=_mean_value([report.train_loss for report in reports]),
        metrics={name: _mean_value([report.metrics.get(name) for report in reports]) for name in names},
    )


def _mean_value(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    # The mean of equal numbers must be exactly that number, because all folds have the same rate.
    return known[0] if min(known) == max(known) else mean_of(known)


def _rows(transaction: Transaction, trials: Sequence[str], most: int) -> dict[str, list[Report]]:
    """The reports of each trial that has any, at the same positions."""
    columns = (ReportRow.step, ReportRow.epoch, ReportRow.lr, ReportRow.train_loss, ReportRow.metrics)
    rows: dict[str, list[Report]] = {}
    for trial, *report in transaction.session.execute(
        thinned(trials, most, ReportRow.trial_id, *columns, aligned=True)
    ):
        rows.setdefault(trial, []).append(Report(*report))
    return rows
