"""Reads the loss curves that the law is fitted to from the database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy import select

from lehr.schedules import Schedule, schedule_from_dict
from lehr.wire.base import LARGEST_VALUE
from service.parts import Parts
from service.search.law import Array, LossCurve
from service.store.database import Transaction
from service.store.reports import thinned
from service.store.tables import ReportRow, StudyRow, TrialRow

MOST = 24
"""How many trainings a law is fitted to, evenly spread over all. More would hardly improve it, and be slower."""
REPORTS = 200
"""How many reports of a training are read, evenly spread."""
GRID = 400
TRAIN_LOSS = "train_loss"
VAL_LOSS = "val_loss"
WHOLE = 0.9
"""The fraction of the horizon that a training must have reported to be used."""


def held_out_loss(study: StudyRow) -> str:
    """The study's objective if it is a loss, otherwise the held-out loss that tasks also report."""
    objective = study.spec.objective
    is_loss = objective.direction == "minimize" and "loss" in objective.metric
    return str(objective.metric) if is_loss else VAL_LOSS


def completed_curves(transaction: Transaction, study: StudyRow, parts: Parts) -> dict[str, list[LossCurve]]:
    """The complete curves of each loss, from completed search trials over the study's horizon, one per schedule."""
    names = (held_out_loss(study), TRAIN_LOSS)
    found: dict[str, list[LossCurve]] = {name: [] for name in names}
    horizon = study.horizon_steps
    if horizon is None:
        return found
    trials = _spread(_completed(transaction, study, horizon))
    reports = read_reports(transaction, [trial.id for trial in trials])
    for trial in trials:
        rows = reports.get(trial.id, [])
        for name in names:
            curve = parts.get("trials", partial(_curve_of, trial, horizon, rows, name), None)
            if curve is not None and curve.steps[-1] + 1 >= WHOLE * horizon:
                found[name].append(curve)
    return found


def _curve_of(trial: Any, horizon: int, rows: Sequence[Any], name: str) -> LossCurve | None:
    return loss_curve(schedule_from_dict(trial.schedule), horizon, rows, name)


def loss_curve(schedule: Schedule, horizon: int, rows: Sequence[Any], name: str) -> LossCurve | None:
    """The curve of a loss that a training has reported; None without reports, or if a rate exceeds LARGEST_VALUE."""
    pairs = [(row.step, value) for row in rows if (value := _loss(row, name)) is not None]
    if not pairs:
        return None
    steps, losses = (np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))
    grid, rates = rates_of(schedule, horizon) if not schedule.adaptive else _recorded(rows, schedule)
    return LossCurve(grid, rates, steps, losses) if rates.max() <= LARGEST_VALUE else None


def rates_of(schedule: Schedule, horizon: int) -> tuple[Array, Array]:
    """A grid of steps over the horizon, and the rates at them."""
    grid = np.unique(np.linspace(0, horizon - 1, min(horizon, GRID)).round())
    return grid, schedule.lr_array(grid / max(1, horizon - 1))


def read_reports(transaction: Transaction, trials: list[str]) -> dict[str, list[Any]]:
    """Evenly spread reports of each trial, by step."""
    columns = (ReportRow.trial_id, ReportRow.step, ReportRow.lr, ReportRow.train_loss, ReportRow.metrics)
    found: dict[str, list[Any]] = {}
    for row in transaction.connection.execute(thinned(trials, REPORTS, *columns)):
        found.setdefault(row.trial_id, []).append(row)
    return found


def _completed(transaction: Transaction, study: StudyRow, horizon: int) -> list[Any]:
    query = (
        select(TrialRow.id, TrialRow.number, TrialRow.schedule)
        .where(
            TrialRow.study_id == study.id,
            TrialRow.purpose.in_(("search", "evaluation")),
            TrialRow.state == "COMPLETED",
            TrialRow.horizon_steps == horizon,
        )
        .order_by(TrialRow.number)
    )
    # Only one of equal schedules is used: otherwise the law would be fitted to the curve that is left out.
    distinct = {str(sorted(row.schedule.items())): row for row in transaction.connection.execute(query)}
    return list(distinct.values())


def _spread(trials: list[Any]) -> list[Any]:
    if len(trials) <= MOST:
        return trials
    return [trials[round(index * (len(trials) - 1) / (MOST - 1))] for index in range(MOST)]


def _loss(row: Any, name: str) -> float | None:
    """The loss in a report; None if it is missing, or beyond LARGEST_VALUE, as old databases may have some."""
    value = row.train_loss if name == TRAIN_LOSS else row.metrics.get(name)
    return float(value) if value is not None and abs(value) <= LARGEST_VALUE else None


def _recorded(rows: Sequence[Any], schedule: Schedule) -> tuple[Array, Array]:
    """An adaptive schedule's recorded rates at the first step and at each report."""
    rates = {0: schedule.start_lr} | {row.step: row.lr for row in rows}
    return np.array(list(rates), dtype=np.float64), np.array(list(rates.values()), dtype=np.float64)
