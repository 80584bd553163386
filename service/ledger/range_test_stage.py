"""Runs a study's range test in the ledger: enqueues its sweeps, and starts the search after they have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import exists, select

from lehr.errors import InvalidSpaceError
from lehr.schedules import schedule_from_dict
from lehr.wire.base import Warning_
from lehr.wire.ranges import RangeResult, RangeSpec, RangeTestSpec
from service.ledger.lifecycle import bump_revision
from service.ranges.bounds import searched_space
from service.ranges.loss_by_rate import Sweep
from service.ranges.range_test import range_test, with_usual_bounds
from service.ranges.standalone import USUAL_METRIC
from service.ranges.sweep import sweep_schedule
from service.search.searcher_cache import new_trial
from service.store.database import Transaction
from service.store.seeds import sweep_seed
from service.store.tables import ReportRow, StudyRow, TrialRow
from service.store.trials import OPEN_TRIAL_STATES, is_searched

MOST_REPORTS = 500
"""The most reports of a sweep. With more steps, each report has a mean loss: the curve is smoothed more than that."""
MOST_ERRORS, MOST_ERROR_CHARACTERS = 3, 500
"""How many different errors of sweeps the reason quotes, and how many characters of each."""
TRAINED_STATES = ("COMPLETED", "PRUNED", "DIVERGED")
USUAL_FRACTION = 0.1
"""The fraction of the horizon, for workers that do not support a sweep's own number of steps."""

log = structlog.get_logger("lehr.ledger")


def enqueue_sweeps(transaction: Transaction, study: StudyRow) -> None:
    """Enqueue the sweeps of a study that is being created. The search waits for them."""
    spec = study.spec.range_test or RangeTestSpec()
    schedule = sweep_schedule(spec.low, spec.high).to_dict()
    for index in range(spec.seeds):
        trial = new_trial(study, schedule, purpose="range_test", origin="range_test")
        trial.seed = sweep_seed(study.spec.sampler.seed, index)
        trial.horizon_fraction = USUAL_FRACTION
        trial.queued_at = transaction.now
        transaction.session.add(trial)
    study.is_sweeping = True


def sweep_length(study: StudyRow) -> dict[str, int]:
    """The fields of a leased trial that give a sweep's length."""
    steps = (study.spec.range_test or RangeTestSpec()).steps
    return {"horizon_steps": steps, "report_every_steps": -(-steps // MOST_REPORTS)}


def finish_range_test(transaction: Transaction, study: StudyRow) -> None:
    """If all sweeps have ended, store their result and let the search start. Needs the study's lock."""
    if _any(transaction, *_of(study, *OPEN_TRIAL_STATES)):
        return
    result = _result(transaction, study)
    study.range_test = result.model_dump(mode="json")
    study.is_sweeping = False
    if result.bounds is not None:
        _widen_to_feasible(study, result.bounds)
        _warn_if_not_found(study)
    bump_revision(study, *_compute_points(transaction, study))
    log.info("range_test_ended", study=study.id, found=result.found, bounds=study.range_test["bounds"])


def _result(transaction: Transaction, study: StudyRow) -> RangeResult:
    """The range test's result. If no range was found, the study gets the usual bounds, unless all trainings failed."""
    result = range_test(_sweeps(transaction, study))
    if result.found:
        return result
    count, errors = len(result.trials), _errors(transaction, study)
    none_ran = not _any(transaction, *_of(study, *TRAINED_STATES, "CANCELLED"))
    if none_ran:
        which = f"all {count} sweeps" if count > 1 else "the sweep"
        reason = f"{which} of the range test failed: {errors or 'no error was reported'}"
    else:
        reason = f"{result.reason}; the sweeps failed: {errors}" if errors else result.reason
    result = result.model_copy(update={"reason": reason})
    is_broken = none_ran and not _any(transaction, TrialRow.study_id == study.id, TrialRow.state.in_(TRAINED_STATES))
    return result if study.is_range_test or is_broken else with_usual_bounds(result)


def _any(transaction: Transaction, *conditions: Any) -> bool:
    return bool(transaction.session.execute(select(exists().where(*conditions))).scalar_one())


def _of(study: StudyRow, *states: str) -> tuple[Any, ...]:
    return TrialRow.study_id == study.id, TrialRow.purpose == "range_test", TrialRow.state.in_(states)


def _sweeps(transaction: Transaction, study: StudyRow) -> list[Sweep]:
    """Every sweep that has ended. FAILED sweeps are included, because their curves may be usable."""
    trials = transaction.session.execute(
        select(TrialRow.id, TrialRow.number, TrialRow.state)
        .where(*_of(study, "COMPLETED", "DIVERGED", "PRUNED", "FAILED"))
        .order_by(TrialRow.number)
    ).all()
    query = (
        select(ReportRow.trial_id, ReportRow.lr, ReportRow.train_loss, ReportRow.metrics)
        .where(ReportRow.trial_id.in_([trial.id for trial in trials]))
        .order_by(ReportRow.trial_id, ReportRow.step)
    )
    curves: dict[str, list[tuple[float, float | None, float | None]]] = {trial.id: [] for trial in trials}
    for trial_id, lr, loss, metrics in transaction.session.execute(query):
        curves[trial_id].append((lr, loss, metrics.get(USUAL_METRIC)))
    return [_sweep(trial.number, curves[trial.id], diverged=trial.state == "DIVERGED") for trial in trials]


def _errors(transaction: Transaction, study: StudyRow) -> str:
    """The different errors of FAILED sweeps; empty if none failed, or none reported an error."""
    query = select(TrialRow.error).where(*_of(study, "FAILED"), TrialRow.error.is_not(None)).order_by(TrialRow.number)
    tracebacks = [(error or "").strip().splitlines() for error in transaction.session.execute(query).scalars()]
    errors = dict.fromkeys(lines[-1][:MOST_ERROR_CHARACTERS] for lines in tracebacks if lines)
    return "; ".join(list(errors)[:MOST_ERRORS])


def _sweep(number: int, rows: Sequence[tuple[float, float | None, float | None]], *, diverged: bool) -> Sweep:
    return Sweep(
        number,
        rates=tuple(lr for lr, _, _ in rows),
        losses=tuple(loss for _, loss, _ in rows),
        diverged=diverged,
        held_out=tuple(held_out for _, _, held_out in rows),
    )


def _widen_to_feasible(study: StudyRow, found: RangeSpec) -> None:
    """Widen the bounds to the user's other ranges if the two leave some family without a valid schedule."""
    try:
        searched_space(study)
    except ValidationError:
        space = study.spec.space
        bounds = {"low": found.low, "high": max(found.high, space.end_lr.low)}
        if space.peak_lr is not None:
            bounds["low"] = min(bounds["low"], space.peak_lr.high)
        study.range_test = {**(study.range_test or {}), "bounds": bounds}
        message = (
            f"the range test found {found.low:g} to {found.high:g}, which allows no valid schedule within the other "
            f"ranges of space; start_lr is searched from {bounds['low']:g} to {bounds['high']:g} instead. Lower "
            "space.end_lr.low, or raise space.peak_lr.high"
        )
        _warn(study, Warning_(code="range_test_contradicts", field="space.start_lr", message=message))


def _warn_if_not_found(study: StudyRow) -> None:
    assert study.range_test is not None
    if not study.range_test["found"]:
        reason = study.range_test["reason"]
        _warn(study, Warning_(code="range_test_failed", field="space.start_lr", message=reason))


def _warn(study: StudyRow, warning: Warning_) -> None:
    study.warnings = [*study.warnings, warning.model_dump(mode="json")]


def _compute_points(transaction: Transaction, study: StudyRow) -> list[TrialRow]:
    """Compute the points of schedules that no sampler drew. The space had no bounds when they were enqueued."""
    space = searched_space(study).to_space()
    query = select(TrialRow).where(is_searched(study.id), TrialRow.origin != "sampler")
    trials = list(transaction.session.execute(query).scalars())
    for trial in trials:
        try:
            trial.point = dict(space.point(schedule_from_dict(trial.schedule)))
        except InvalidSpaceError:
            trial.point = None
    return trials
