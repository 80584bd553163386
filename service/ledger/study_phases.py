"""Advances a study through its phases: range test, search, confirmation, end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from lehr.schedules import schedule_from_dict
from lehr.wire.ranges import RangeResult
from lehr.wire.studies import FINISHED_STUDY_STATES, StudyState
from service.answer.finalists import SearchTrial
from service.ledger.confirmation_stage import advance_confirmation, start_confirmation
from service.ledger.failing import reason_of
from service.ledger.lifecycle import ASKING_STATES, bump_revision, settle
from service.ledger.range_test_stage import finish_range_test
from service.ledger.stop_rules import has_rules, reason_to_stop
from service.parts import Make, directly
from service.ranges.bounds import found_bounds
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow
from service.store.trials import count_by_state, count_open, is_searched, open_trials

LONGEST_ERROR = 500
"""How many characters of a trial's error a study's reason quotes."""
EARLY_FAILURES = 10
"""A study whose first 10 trials all fail ends, because its training code must be broken."""

log = structlog.get_logger("lehr.ledger")


def advance(transaction: Transaction, study: StudyRow) -> None:
    """Start the study's next phase if its current one is complete. Needs the study's lock.

    If that raises an error, the study becomes FAILED, so that the calling transaction can still store its result.
    """
    try:
        _advance(transaction, study)
    except (SQLAlchemyError, MemoryError):
        raise
    except Exception as error:
        log.error("study_broken", study=study.id, exc_info=error)
        if study.state not in FINISHED_STUDY_STATES:
            cancel_open_trials(transaction, study)
            end(transaction, study, "FAILED", reason_of("the study could not continue", error))


def _advance(transaction: Transaction, study: StudyRow) -> None:
    transaction.flush()
    if study.state in ASKING_STATES and _is_hopeless(transaction, study):
        _fail_early(transaction, study)
        return
    # This comes before the range test is finished, because a rule may cancel the last waiting sweep.
    if study.state in ASKING_STATES and has_rules(study):
        _stop_if_due(transaction, study)
    if study.is_sweeping and study.state in (*ASKING_STATES, "STOPPING"):
        finish_range_test(transaction, study)
        if _has_no_range(study):
            cancel_open_trials(transaction, study)
            end(transaction, study, "FAILED", (study.range_test or {})["reason"])
            return
    if study.is_range_test:
        if not study.is_sweeping and study.state not in FINISHED_STUDY_STATES:
            _end_range_test(transaction, study)
        return
    if study.state in (*ASKING_STATES, "STOPPING"):
        is_spent = study.trials_created >= study.budget_trials or study.state == "STOPPING"
        if is_spent and count_open(transaction, study.id) == 0:
            _end_search(transaction, study)
    elif (
        study.state == "CONFIRMING"
        and count_open(transaction, study.id) == 0
        and not advance_confirmation(transaction, study)
    ):
        end(transaction, study, "COMPLETED")


def _has_no_range(study: StudyRow) -> bool:
    """Whether the study's range test has ended without bounds to search."""
    return not study.is_range_test and study.range_test is not None and found_bounds(study) is None


def _end_range_test(transaction: Transaction, study: StudyRow) -> None:
    result = RangeResult.model_validate(study.range_test)
    if study.state == "STOPPING" and not result.found:
        end(transaction, study, "CANCELLED", "stopped before its sweeps found a range")
    else:
        end(transaction, study, "COMPLETED" if result.found else "FAILED", None if result.found else result.reason)


def end(transaction: Transaction, study: StudyRow, state: StudyState, reason: str | None = None) -> None:
    """End the study in this state. Without a `reason`, it keeps the one for which its search stopped."""
    study.state = state
    study.reason = reason or study.reason
    study.finished_at = transaction.now
    bump_revision(study)
    log.info("study_finished", study=study.id, state=state, reason=reason)


def cancel_open_trials(transaction: Transaction, study: StudyRow) -> None:
    """Cancel all waiting and running trials. Their workers learn of it with their next call."""
    trials = open_trials(transaction, study.id)
    for trial in trials:
        settle(transaction, study, trial, "CANCELLED")
    bump_revision(study, *trials)


def cancel_waiting(transaction: Transaction, study: StudyRow) -> None:
    """Cancel the waiting trials, except evaluations of search trials that are running."""
    running = {trial.number for trial in open_trials(transaction, study.id, "RUNNING")}
    trials = [trial for trial in open_trials(transaction, study.id, "WAITING") if trial.evaluates not in running]
    for trial in trials:
        settle(transaction, study, trial, "CANCELLED")
    bump_revision(study, *trials)


def _stop_if_due(transaction: Transaction, study: StudyRow) -> None:
    reason = reason_to_stop(transaction, study)
    if reason is None:
        return
    cancel_waiting(transaction, study)
    study.state = "STOPPING"
    study.reason = reason
    bump_revision(study)
    transaction.flush()
    log.info("search_stopped", study=study.id, reason=reason)


def _end_search(transaction: Transaction, study: StudyRow) -> None:
    counts = _count_by_state(transaction, study)
    if not counts.get("COMPLETED"):
        by_user = study.state == "STOPPING" and study.reason is None
        error = _first_error(transaction, study)
        outcome = "stopped before any trial had completed" if by_user else _why_nothing(counts, error, study.reason)
        end(transaction, study, "CANCELLED" if by_user else "FAILED", outcome)
    elif (confirm := study.spec.confirm) is None:
        end(transaction, study, "COMPLETED")
    else:
        start_confirmation(
            transaction, study, confirm, search_trials(transaction, study, states=("COMPLETED", "DIVERGED"))
        )


def search_trials(
    transaction: Transaction,
    study: StudyRow,
    numbers: Sequence[int] | None = None,
    states: Sequence[str] = ("COMPLETED",),
    make: Make = directly,
) -> list[SearchTrial]:
    """The study's search trials in these states, limited to `numbers` if given. `make` reads each."""
    query = select(*SEARCHED).where(is_searched(study.id, *states)).order_by(TrialRow.number)
    if numbers is not None:
        query = query.where(TrialRow.number.in_(numbers))
    trials = [make("trials", partial(as_search_trial, row), None) for row in transaction.session.execute(query)]
    return [trial for trial in trials if trial is not None]


SEARCHED = (
    TrialRow.number,
    TrialRow.schedule,
    TrialRow.state,
    TrialRow.value,
    TrialRow.evaluations,
    TrialRow.std,
    TrialRow.violation,
    TrialRow.measured,
)
"""The columns of a search trial that an answer needs."""


def as_search_trial(row: Any) -> SearchTrial:
    """A search trial from a row with the columns of SEARCHED."""
    schedule = schedule_from_dict(row.schedule)
    return SearchTrial(
        row.number, schedule, row.state, row.value, row.evaluations, row.std, row.violation, row.measured
    )


def _count_by_state(transaction: Transaction, study: StudyRow) -> dict[str, int]:
    return count_by_state(transaction, [study.id], TrialRow.purpose == "search").get(study.id, {})


def _is_hopeless(transaction: Transaction, study: StudyRow) -> bool:
    if study.trials_created < EARLY_FAILURES:
        return False
    good = select(TrialRow.number).where(is_searched(study.id, "COMPLETED", "PRUNED", "DIVERGED")).limit(1)
    if transaction.connection.execute(good).first() is not None:
        return False
    return _count_by_state(transaction, study).get("FAILED", 0) >= EARLY_FAILURES


def _fail_early(transaction: Transaction, study: StudyRow) -> None:
    cancel_open_trials(transaction, study)
    error = _first_error(transaction, study)
    end(
        transaction,
        study,
        "FAILED",
        f"the first {EARLY_FAILURES} trials all failed; the first error ends with: {error}",
    )


def _first_error(transaction: Transaction, study: StudyRow) -> str:
    """The last line of the first failed trial's error."""
    first = (
        select(TrialRow.error)
        .where(TrialRow.study_id == study.id, TrialRow.state == "FAILED", TrialRow.error.is_not(None))
        .order_by(TrialRow.number)
        .limit(1)
    )
    error = (transaction.session.execute(first).scalar_one_or_none() or "").strip().splitlines()
    return error[-1][:LONGEST_ERROR] if error else "unknown"


def _why_nothing(counts: dict[str, int], error: str, rule: str | None) -> str:
    outcome = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    remedy = (
        "Lower space.start_lr (and peak_lr): the learning rates are too high."
        if counts.get("DIVERGED", 0) >= counts.get("FAILED", 0)
        else f"The first error ends with: {error}"
    )
    if rule is not None:
        return f"{rule}, and no trial had completed ({outcome}). Raise the bound. {remedy}"
    return f"no trial completed ({outcome}). {remedy}"
