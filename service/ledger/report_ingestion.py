"""Ingests reports, the most frequent call, in as few statements as possible.

It raises the study's revision, updates the trials' steps, stores the reports and extends the lease. The update of the
trials is also the fence: it changes only trials that are held, and returns them. If none is held, nothing changes.

The statements are plain SQL, sent to the driver: SQLAlchemy's overhead would be several times the databases' own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import to_json

from lehr.wire.leases import Directive, LeaseAnswer, TrialReports
from service.ledger.lifecycle import LeaseTerms
from service.store.database import Database

WORTH_EXTENDING = 20
"""A lease with more than 19/20 of its time left is not extended, because reports may come many times a second."""

INGEST_AT_ONCE = """
WITH sent AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(progress)s::json)
    AS sent (trial text, attempt bigint, horizon_steps bigint, step bigint, checkpoint text)
), clock AS (
    SELECT coalesce(%(now)s::timestamptz, clock_timestamp()) AS now
), study AS (
    UPDATE studies SET revision = revision + 1
    WHERE id = (SELECT study_id FROM leases WHERE id = %(lease)s) AND EXISTS (
        SELECT FROM trials JOIN sent ON trials.id = sent.trial AND trials.attempt = sent.attempt
        WHERE trials.lease_id = %(lease)s AND trials.state = 'RUNNING'
    )
    RETURNING id, revision, horizon_steps
), held AS (
    UPDATE trials SET
        revision = study.revision,
        horizon_steps = sent.horizon_steps,
        step = coalesce(sent.step, trials.step),
        checkpoint = coalesce(sent.checkpoint, trials.checkpoint)
    FROM sent, study
    WHERE trials.id = sent.trial AND trials.attempt = sent.attempt AND trials.study_id = study.id
        AND trials.lease_id = %(lease)s AND trials.state = 'RUNNING'
    RETURNING trials.id, trials.purpose, trials.directive, trials.horizon_fraction
), stored AS (
    INSERT INTO reports (trial_id, step, attempt, epoch, lr, train_loss, metrics)
    SELECT report.* FROM held JOIN json_to_recordset(%(reports)s::json) AS report (
        trial text, step bigint, attempt bigint, epoch float8, lr float8, train_loss float8, metrics json
    ) ON report.trial = held.id
    ON CONFLICT (trial_id, step) DO UPDATE SET
        attempt = excluded.attempt, epoch = excluded.epoch, lr = excluded.lr,
        train_loss = excluded.train_loss, metrics = excluded.metrics
), extended AS (
    UPDATE leases SET expires_at = clock.now + %(duration)s::interval FROM study, clock
    WHERE leases.id = %(lease)s AND leases.expires_at < clock.now + %(enough)s::interval
    RETURNING expires_at
)
SELECT
    study.id, study.horizon_steps,
    coalesce((SELECT expires_at FROM extended), (SELECT expires_at FROM leases WHERE id = %(lease)s)),
    held.*
FROM study, held
"""
"""PostgreSQL does all of this in one statement, which commits on its own.

It locks the study first, because everything else depends on the new revision. Its snapshot may be older than that lock,
but PostgreSQL checks the conditions again for rows that have changed since, including the fence (READ COMMITTED:
PostgreSQL manual, section 13.2.1).
"""

NOTE_PROGRESS = """
UPDATE trials SET
    revision = (SELECT revision + 1 FROM studies WHERE studies.id = trials.study_id),
    horizon_steps = json_extract(sent.value, '$[2]'),
    step = coalesce(json_extract(sent.value, '$[3]'), step),
    checkpoint = coalesce(json_extract(sent.value, '$[4]'), checkpoint)
FROM json_each(:progress) AS sent
WHERE trials.id = json_extract(sent.value, '$[0]') AND attempt = json_extract(sent.value, '$[1]')
    AND lease_id = :lease AND state = 'RUNNING'
RETURNING trials.id, purpose, directive, horizon_fraction, study_id
"""

CHANGE_STUDY = """
UPDATE studies SET revision = revision + 1 WHERE id = :study
RETURNING horizon_steps, (SELECT expires_at FROM leases WHERE leases.id = :lease)
"""

KEEP_REPORT = """
INSERT INTO reports (trial_id, step, attempt, epoch, lr, train_loss, metrics) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (trial_id, step) DO UPDATE SET
    attempt = excluded.attempt, epoch = excluded.epoch, lr = excluded.lr,
    train_loss = excluded.train_loss, metrics = excluded.metrics
"""

EXTEND_LEASE = "UPDATE leases SET expires_at = :until WHERE id = :lease"

PROGRESS = ("trial", "attempt", "horizon_steps", "step", "checkpoint")
REPORT = ("trial", "step", "attempt", "epoch", "lr", "train_loss", "metrics")
SQLITE_TIME = "%Y-%m-%d %H:%M:%S.%f"
"""How SQLAlchemy stores a time in a database without a type for it."""


@dataclass(frozen=True, slots=True)
class IngestedTrial:
    """A held trial whose reports were stored."""

    id: str
    purpose: str
    directive: str | None
    horizon_fraction: float


@dataclass(frozen=True, slots=True)
class Ingested:
    """The trials whose reports were stored, with their study and the lease's expiry."""

    study_id: str
    horizon_steps: int | None
    expires_at: datetime
    trials: list[IngestedTrial]

    def answer(self) -> LeaseAnswer:
        directives: dict[str, Directive] = {
            trial.id: "prune" if trial.directive == "prune" else "continue" for trial in self.trials
        }
        return LeaseAnswer(expires_at=self.expires_at, trials=directives)


def ingest_reports(
    database: Database, lease_id: str, entries: Sequence[TrialReports], terms: LeaseTerms
) -> Ingested | None:
    """Store the reports of the trials that are held under this lease with this attempt; None if none is held."""
    if database.commits_at_once:
        return _ingest_at_once(database, lease_id, entries, terms)
    now = database.known_now or datetime.now(UTC)  # SQLite's clock is this machine's clock
    with database.write_plainly() as cursor:
        return _ingest_step_by_step(cursor, lease_id, entries, terms, now)


def _ingest_at_once(
    database: Database, lease_id: str, entries: Sequence[TrialReports], terms: LeaseTerms
) -> Ingested | None:
    parameters = {
        "lease": lease_id,
        "progress": _documents(PROGRESS, _progress(entries)),
        "reports": _documents(REPORT, _reports(entries)),
        "now": database.known_now,
        "duration": terms.duration,
        "enough": _enough(terms),
    }
    rows = database.run_at_once(INGEST_AT_ONCE, parameters)
    if not rows:
        return None
    study_id, horizon_steps, expires_at, *_ = rows[0]
    return Ingested(study_id, horizon_steps, expires_at.astimezone(UTC), [IngestedTrial(*row[3:]) for row in rows])


def _ingest_step_by_step(
    cursor: Any, lease_id: str, entries: Sequence[TrialReports], terms: LeaseTerms, now: datetime
) -> Ingested | None:
    parameters = {"lease": lease_id, "progress": to_json(_progress(entries)).decode()}
    rows = cursor.execute(NOTE_PROGRESS, parameters).fetchall()
    if not rows:
        return None
    study_id = rows[0][4]
    ((horizon_steps, expiry),) = cursor.execute(CHANGE_STUDY, {"study": study_id, "lease": lease_id}).fetchall()
    trials = [IngestedTrial(*row[:4]) for row in rows]
    held = {trial.id for trial in trials}
    cursor.executemany(
        KEEP_REPORT, [(*row[:-1], to_json(row[-1]).decode()) for row in _reports(entries) if row[0] in held]
    )
    expires_at = datetime.fromisoformat(expiry).replace(tzinfo=UTC)
    if expires_at < now + _enough(terms):
        expires_at = now + terms.duration
        cursor.execute(EXTEND_LEASE, {"lease": lease_id, "until": expires_at.strftime(SQLITE_TIME)})
    return Ingested(study_id, horizon_steps, expires_at, trials)


def _enough(terms: LeaseTerms) -> timedelta:
    return terms.duration - terms.duration / WORTH_EXTENDING


def _progress(entries: Sequence[TrialReports]) -> list[tuple[Any, ...]]:
    """The values of PROGRESS for each trial."""
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


def _reports(entries: Sequence[TrialReports]) -> list[tuple[Any, ...]]:
    """The values of REPORT for each trial and step. Of several reports on a step, the last one counts."""
    rows: dict[tuple[str, int], tuple[Any, ...]] = {}
    for entry in entries:
        for report in entry.reports:
            measured = (report.epoch, report.lr, report.train_loss, report.metrics)
            rows[entry.trial, report.step] = (entry.trial, report.step, entry.attempt, *measured)
    return list(rows.values())


def _documents(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    return to_json([dict(zip(names, row, strict=True)) for row in rows]).decode()
