"""Reports are heard: the most frequent call of all, in as few statements as it can be.

The study is locked and given its next revision, the trials note how far they are, the reports are
kept. The second of these is the fence as well: it changes only what is held, and tells what that was.

PostgreSQL does all three in one statement. Its snapshot may be older than the lock that the
statement waits for, but a row that changed meanwhile is looked at again before it is written, fence
included (READ COMMITTED: PostgreSQL manual, section 13.2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, Update, bindparam, func, literal, select, update

from lehr.wire.leases import TrialReports
from service.database import Transaction, database_time, upsert_from
from service.given import Columns, column_type, given_parameters, given_rows
from service.ledger.holdings import Holdings, look, no_such_lease
from service.tables import STUDIES, TRIALS, LeaseRow, ReportRow, TrialRow

INSERT_ROWS = 2000
"""Rows to an INSERT: 7 values each stay below SQLite's 32,766 parameters."""

NOTE_HORIZON = update(STUDIES).where(STUDIES.c.id == bindparam("study")).values(horizon_steps=bindparam("horizon"))

PROGRESS: Columns = {
    "trial": Text(),
    "attempt": BigInteger(),
    "horizon": BigInteger(),
    "step": BigInteger(),
    "saved": Text(),
}
"""What a report tells of its trial: (trial, attempt) is heard, or it is not."""

REPORT_KEY = ("trial_id", "step")
REPORT = (*REPORT_KEY, "attempt", "epoch", "lr", "train_loss", "metrics")
REPORT_COLUMNS: Columns = {name: column_type(ReportRow, name) for name in REPORT}


def hear(transaction: Transaction, lease_id: str, entries: Sequence[TrialReports]) -> Holdings:
    """Keep the reports of the trials that are held under this lease with this attempt, and tell how all stand.

    Raises LostLeaseError when none of them is held, settled or cancelled under this lease.
    """
    if transaction.connection.dialect.name == "sqlite":
        study, heard = _hear_step_by_step(transaction, lease_id, entries)
    else:
        study, heard = _hear_at_once(transaction, lease_id, entries)
    transaction.learn_time(study.now)
    holdings = Holdings(lease_id, study.study_id, study.worker_id, study.expires_at)
    if len(heard) == len(entries):
        holdings.trials = {trial.id: trial for trial in heard}
        holdings.standings = dict.fromkeys(holdings.trials, "held")
        holdings.to_prune = {trial.id for trial in heard if trial.directive == "prune"}
    else:
        look(transaction, holdings, entries)
    if study.horizon_steps is None:
        _note_horizon(transaction, holdings, entries)
    return holdings


def _hear_at_once(transaction: Transaction, lease_id: str, entries: Sequence[TrialReports]) -> tuple[Any, list[Any]]:
    reports = list(_reports(entries).values())
    told = {
        "lease": lease_id,
        **given_parameters("postgresql", PROGRESS, _progress(entries)),
        **given_parameters("postgresql", REPORT_COLUMNS, reports, "report"),
    }
    rows = transaction.connection.execute(_change_all(), told).all()
    if not rows:
        raise no_such_lease(lease_id)
    return rows[0], [row for row in rows if row.id is not None]


def _hear_step_by_step(
    transaction: Transaction, lease_id: str, entries: Sequence[TrialReports]
) -> tuple[Any, list[Any]]:
    connection = transaction.connection
    study = connection.execute(_change_study("sqlite"), {"lease": lease_id}).one_or_none()
    if study is None:
        raise no_such_lease(lease_id)
    told = {"lease": lease_id, "revision": study.revision, **given_parameters("sqlite", PROGRESS, _progress(entries))}
    heard = list(connection.execute(_note_progress_alone("sqlite"), told))
    held = {trial.id for trial in heard}
    rows = [dict(zip(REPORT, row, strict=True)) for (trial, _step), row in _reports(entries).items() if trial in held]
    for start in range(0, len(rows), INSERT_ROWS):
        transaction.upsert(ReportRow, REPORT_KEY, rows[start : start + INSERT_ROWS])
    return study, heard


@cache
def _change_study(dialect: str) -> Any:
    """Take the lock that everything that writes to the lease's study takes first, and its next revision.

    What PostgreSQL tells of the lease may have been true before the lock was waited for: good enough
    for the expiry, which only ever grows.
    """
    lease = select(LeaseRow).where(LeaseRow.id == bindparam("lease"))
    return (
        update(STUDIES)
        .where(STUDIES.c.id == lease.with_only_columns(LeaseRow.study_id).scalar_subquery())
        .values(revision=STUDIES.c.revision + 1)
        .returning(
            STUDIES.c.id.label("study_id"),
            STUDIES.c.revision,
            STUDIES.c.horizon_steps,
            lease.with_only_columns(LeaseRow.worker_id).scalar_subquery().label("worker_id"),
            lease.with_only_columns(LeaseRow.expires_at).scalar_subquery().label("expires_at"),
            database_time(dialect).label("now"),
        )
    )


@cache
def _note_progress_alone(dialect: str) -> Update:
    return _note_progress(dialect, bindparam("revision"))


def _note_progress(dialect: str, revision: ColumnElement[int]) -> Update:
    told = given_rows(dialect, PROGRESS)
    return (
        update(TRIALS)
        .where(
            TrialRow.id == told["trial"],
            TrialRow.attempt == told["attempt"],
            TrialRow.lease_id == bindparam("lease"),
            TrialRow.state == "RUNNING",
        )
        .values(
            revision=revision,
            horizon_steps=told["horizon"],
            step=func.coalesce(told["step"], TrialRow.step),
            checkpoint=func.coalesce(told["saved"], TrialRow.checkpoint),
        )
        .returning(TrialRow.id, TrialRow.purpose, TrialRow.directive, TrialRow.horizon_fraction)
    )


@cache
def _change_all() -> Any:
    """The study's row with each trial that was heard, or with nulls when there is none; no row for no such lease."""
    study = _change_study("postgresql").cte("study")
    progress = _note_progress("postgresql", study.c.revision).where(TrialRow.study_id == study.c.study_id)
    heard = progress.cte("heard")
    given = given_rows("postgresql", REPORT_COLUMNS, "report")
    reports = select(*given.values()).join_from(heard, given["trial_id"].table, heard.c.id == given["trial_id"])
    kept = upsert_from(ReportRow, REPORT_KEY, REPORT, reports).cte("kept")
    return select(study, heard).select_from(study).outerjoin(heard, literal(True)).add_cte(kept)


def _progress(entries: Sequence[TrialReports]) -> list[tuple[Any, ...]]:
    return [
        (
            entry.trial,
            entry.attempt,
            entry.horizon_steps,
            max((report.step for report in entry.reports), default=None),
            entry.checkpoint,
        )
        for entry in entries
    ]


def _reports(entries: Sequence[TrialReports]) -> dict[tuple[str, int], tuple[Any, ...]]:
    """The values of REPORT for each (trial, step); the last word on a step counts."""
    return {
        (entry.trial, one.step): (entry.trial, one.step, entry.attempt, one.epoch, one.lr, one.train_loss, one.metrics)
        for entry in entries
        for one in entry.reports
    }


def _note_horizon(transaction: Transaction, holdings: Holdings, entries: Sequence[TrialReports]) -> None:
    """The first trial over the whole horizon tells the study how long that is."""
    heard = [entry for entry in entries if holdings.holds(entry.trial)]
    whole = [entry.horizon_steps for entry in heard if holdings.trials[entry.trial].horizon_fraction == 1.0]
    if whole:
        transaction.connection.execute(NOTE_HORIZON, {"study": holdings.study_id, "horizon": whole[0]})
