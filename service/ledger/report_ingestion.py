"""Reports are heard: the most frequent call of all, in as few statements as it can be.

The study is given its next revision, the trials note how far they are, the reports are kept and the
lease is extended. Noting the progress is the fence as well: it changes only what is held, and tells
what that was. Where nothing is held, nothing changes.

The statements are plain SQL for the driver: to make them of SQLAlchemy's parts and its rows of their
answers costs several times what the databases need for them.
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
"""A lease that has more than 19/20 of its time left is not written again: reports may come many times a second."""

HEAR_AT_ONCE = """
WITH told AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(progress)s::json)
    AS told (trial text, attempt bigint, horizon_steps bigint, step bigint, checkpoint text)
), clock AS (
    SELECT coalesce(%(now)s::timestamptz, clock_timestamp()) AS now
), study AS (
    UPDATE studies SET revision = revision + 1
    WHERE id = (SELECT study_id FROM leases WHERE id = %(lease)s) AND EXISTS (
        SELECT FROM trials JOIN told ON trials.id = told.trial AND trials.attempt = told.attempt
        WHERE trials.lease_id = %(lease)s AND trials.state = 'RUNNING'
    )
    RETURNING id, revision, horizon_steps
), heard AS (
    UPDATE trials SET
        revision = study.revision,
        horizon_steps = told.horizon_steps,
        step = coalesce(told.step, trials.step),
        checkpoint = coalesce(told.checkpoint, trials.checkpoint)
    FROM told, study
    WHERE trials.id = told.trial AND trials.attempt = told.attempt AND trials.study_id = study.id
        AND trials.lease_id = %(lease)s AND trials.state = 'RUNNING'
    RETURNING trials.id, trials.purpose, trials.directive, trials.horizon_fraction
), kept AS (
    INSERT INTO reports (trial_id, step, attempt, epoch, lr, train_loss, metrics)
    SELECT report.* FROM heard JOIN json_to_recordset(%(reports)s::json) AS report (
        trial text, step bigint, attempt bigint, epoch float8, lr float8, train_loss float8, metrics json
    ) ON report.trial = heard.id
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
    heard.*
FROM study, heard
"""
"""PostgreSQL does all of it in one statement, which commits by itself.

It takes the study's lock first, since everything else refers to its new revision. Its snapshot may be
older than that lock, but a row that changed meanwhile is looked at again before it is written, fence
included (READ COMMITTED: PostgreSQL manual, section 13.2.1).
"""

NOTE_PROGRESS = """
UPDATE trials SET
    revision = (SELECT revision + 1 FROM studies WHERE studies.id = trials.study_id),
    horizon_steps = json_extract(told.value, '$[2]'),
    step = coalesce(json_extract(told.value, '$[3]'), step),
    checkpoint = coalesce(json_extract(told.value, '$[4]'), checkpoint)
FROM json_each(:progress) AS told
WHERE trials.id = json_extract(told.value, '$[0]') AND attempt = json_extract(told.value, '$[1]')
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
"""How SQLAlchemy writes a time where the database has no type for it."""


@dataclass(frozen=True, slots=True)
class HeardTrial:
    id: str
    purpose: str
    directive: str | None
    horizon_fraction: float


@dataclass(frozen=True, slots=True)
class Ingested:
    """The trials whose reports were kept, their study and their lease's end."""

    study_id: str
    horizon_steps: int | None
    expires_at: datetime
    trials: list[HeardTrial]

    def answer(self) -> LeaseAnswer:
        directives: dict[str, Directive] = {
            trial.id: "prune" if trial.directive == "prune" else "continue" for trial in self.trials
        }
        return LeaseAnswer(expires_at=self.expires_at, trials=directives)


def ingest_reports(
    database: Database, lease_id: str, entries: Sequence[TrialReports], terms: LeaseTerms
) -> Ingested | None:
    """Keep the reports of the trials that are held under this lease with this attempt; None when none of them is."""
    if database.commits_at_once:
        return _hear_at_once(database, lease_id, entries, terms)
    now = database.known_now or datetime.now(UTC)  # SQLite has no clock but this machine's
    with database.write_plainly() as cursor:
        return _hear_step_by_step(cursor, lease_id, entries, terms, now)


def _hear_at_once(
    database: Database, lease_id: str, entries: Sequence[TrialReports], terms: LeaseTerms
) -> Ingested | None:
    told = {
        "lease": lease_id,
        "progress": _documents(PROGRESS, _progress(entries)),
        "reports": _documents(REPORT, _reports(entries)),
        "now": database.known_now,
        "duration": terms.duration,
        "enough": _enough(terms),
    }
    rows = database.run_at_once(HEAR_AT_ONCE, told)
    if not rows:
        return None
    study_id, horizon_steps, expires_at, *_ = rows[0]
    return Ingested(study_id, horizon_steps, expires_at.astimezone(UTC), [HeardTrial(*row[3:]) for row in rows])


def _hear_step_by_step(
    cursor: Any, lease_id: str, entries: Sequence[TrialReports], terms: LeaseTerms, now: datetime
) -> Ingested | None:
    told = {"lease": lease_id, "progress": to_json(_progress(entries)).decode()}
    rows = cursor.execute(NOTE_PROGRESS, told).fetchall()
    if not rows:
        return None
    study_id = rows[0][4]
    (found,) = cursor.execute(CHANGE_STUDY, {"study": study_id, "lease": lease_id}).fetchall()
    horizon_steps, ends = found
    heard = [HeardTrial(*row[:4]) for row in rows]
    held = {trial.id for trial in heard}
    cursor.executemany(
        KEEP_REPORT, [(*row[:-1], to_json(row[-1]).decode()) for row in _reports(entries) if row[0] in held]
    )
    expires_at = datetime.fromisoformat(ends).replace(tzinfo=UTC)
    if expires_at < now + _enough(terms):
        expires_at = now + terms.duration
        cursor.execute(EXTEND_LEASE, {"lease": lease_id, "until": expires_at.strftime(SQLITE_TIME)})
    return Ingested(study_id, horizon_steps, expires_at, heard)


def _enough(terms: LeaseTerms) -> timedelta:
    return terms.duration - terms.duration / WORTH_EXTENDING


def _progress(entries: Sequence[TrialReports]) -> list[tuple[Any, ...]]:
    """The values of PROGRESS for each trial: (trial, attempt) is heard, or it is not."""
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
    """The values of REPORT for each trial and step; the last word on a step counts."""
    found = {
        (entry.trial, one.step): (entry.trial, one.step, entry.attempt, one.epoch, one.lr, one.train_loss, one.metrics)
        for entry in entries
        for one in entry.reports
    }
    return list(found.values())


def _documents(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    return to_json([dict(zip(names, row, strict=True)) for row in rows]).decode()
