"""The database's tables. Rows stay inside `service`: `service.documents` builds the API's documents from them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime, TypeDecorator

from lehr.wire.looks import LookState
from lehr.wire.studies import StudyState
from lehr.wire.trials import TrialState
from service.store.resolved_spec import ResolvedSpec

ID_LENGTH = 64


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite does not store time zones, so the zone is removed and restored."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
        int: BigInteger(),
        float: Double(),
        str: Text(),
    }


class StudyRow(Base):
    """A study. `revision` counts every change of the study or of one of its trials."""

    __tablename__ = "studies"
    __allow_unmapped__ = True
    __table_args__ = (
        Index("ix_studies_queue", "priority", "created_at", "id"),
        Index("ix_studies_created", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str]
    state: Mapped[StudyState] = mapped_column(String(16), index=True)
    reason: Mapped[str | None]
    spec_document: Mapped[dict[str, Any]] = mapped_column("spec", doc="as `spec` parses it")
    warnings: Mapped[list[Any]]
    task_name: Mapped[str]
    priority: Mapped[int]
    budget_trials: Mapped[int]
    parallel: Mapped[int]
    folds: Mapped[int | None] = mapped_column(doc="if set, only workers whose task supports folds get its trials")
    trials_created: Mapped[int] = mapped_column(default=0, doc="trials of purpose search: the budget spent")
    next_number: Mapped[int] = mapped_column(default=0)
    revision: Mapped[int] = mapped_column(default=0)
    trained_seconds: Mapped[float] = mapped_column(
        default=0.0, doc="sum over finished trials, for the estimate of time left"
    )
    horizon_steps: Mapped[int | None]
    is_sweeping: Mapped[bool] = mapped_column(
        default=False, server_default=false(), doc="its range test has not ended, so the search has not begun"
    )
    range_test: Mapped[dict[str, Any] | None] = mapped_column(
        doc="its range test's result: lehr.wire.ranges.RangeResult"
    )
    data: Mapped[dict[str, Any] | None] = mapped_column(doc="how its task read the data: lehr.wire.data.DataSummary")
    finalists: Mapped[list[Any] | None] = mapped_column(doc="numbers of the search trials that are confirmed")
    confirmation: Mapped[dict[str, Any] | None] = mapped_column(doc="the plan: service.answer.plan.Plan")
    convergence: Mapped[dict[str, Any] | None] = mapped_column(doc="service.answer.convergence.Convergence, if asked")
    idempotency_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    request_digest: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    outline: ResolvedSpec | None = None
    """In lists of studies: the parts of the spec that were read, used instead of it."""
    _parsed: tuple[Any, ResolvedSpec] | None = None

    @property
    def spec(self) -> ResolvedSpec:
        """The spec, parsed once per row. Raises pydantic.ValidationError if it is broken."""
        if self.outline is not None:
            return self.outline
        if self._parsed is None or self._parsed[0] is not self.spec_document:
            self._parsed = (self.spec_document, ResolvedSpec.model_validate(self.spec_document))
        return self._parsed[1]

    @property
    def is_range_test(self) -> bool:
        """Whether it is a standalone range test, without a search."""
        return self.budget_trials == 0


class TrialRow(Base):
    """A trial: one training, held by (lease_id, attempt) while RUNNING.

    A search trial with `evaluations` is trained several times. It is never leased itself, and its state and value
    follow from the rows that evaluate it.
    """

    __tablename__ = "trials"
    __table_args__ = (
        UniqueConstraint("study_id", "number"),
        Index(
            "ix_trials_open",
            "study_id",
            "state",
            "number",
            sqlite_where=text("state IN ('WAITING', 'RUNNING')"),
            postgresql_where=text("state IN ('WAITING', 'RUNNING')"),
        ),
        Index("ix_trials_ended", "study_id", "ended_revision"),
        Index("ix_trials_value", "study_id", "purpose", "state", "value"),
        Index("ix_trials_lease", "lease_id"),
        Index("ix_trials_evaluates", "study_id", "evaluates"),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    number: Mapped[int]
    purpose: Mapped[str] = mapped_column(String(16))
    origin: Mapped[str] = mapped_column(String(16))
    state: Mapped[TrialState] = mapped_column(String(16))
    family: Mapped[str] = mapped_column(String(64))
    schedule: Mapped[dict[str, Any]]
    point: Mapped[dict[str, Any] | None] = mapped_column(doc="coordinates in the space; null outside of it")
    confirms: Mapped[int | None] = mapped_column(doc="number of the search trial whose schedule it trains again")
    evaluates: Mapped[int | None] = mapped_column(doc="number of the search trial to which this training belongs")
    evaluations: Mapped[int | None] = mapped_column(doc="how many trainings it has; null: it is a single training")
    evaluated: Mapped[int | None] = mapped_column(doc="how many of them have COMPLETED")
    std: Mapped[float | None] = mapped_column(doc="standard deviation of their values")
    measured: Mapped[dict[str, Any] | None] = mapped_column(doc="the constrained metrics, once it has COMPLETED")
    violation: Mapped[float | None] = mapped_column(doc="of the constraints: above 0 they are broken")
    fold: Mapped[int | None] = mapped_column(doc="which part of the data is held out")
    seed: Mapped[int]
    horizon_fraction: Mapped[float] = mapped_column(default=1.0)
    attempt: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0, doc="how many workers were lost on it")
    lease_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    worker_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    directive: Mapped[str | None] = mapped_column(String(16), doc="prune, once the pruner has decided it")
    value: Mapped[float | None]
    step: Mapped[int | None]
    horizon_steps: Mapped[int | None]
    checkpoint: Mapped[str | None]
    progress: Mapped[dict[str, Any] | None] = mapped_column(doc="its worker's latest progress: TrialProgress")
    execution: Mapped[dict[str, Any] | None] = mapped_column(doc="how it was trained: lehr.wire.trials.Execution")
    error: Mapped[str | None]
    revision: Mapped[int] = mapped_column(doc="in no index, so that a report, which changes it, updates none")
    ended_revision: Mapped[int | None] = mapped_column(doc="the same, once it has ended")
    acknowledged_until: Mapped[datetime | None] = mapped_column(
        doc="expires_at as answered to the finish, so that a repeated one gets the same body"
    )
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class ReportRow(Base):
    """Metrics at a step. A later attempt that reports the step again replaces the row."""

    __tablename__ = "reports"

    trial_id: Mapped[str] = mapped_column(
        String(ID_LENGTH), ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True
    )
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    attempt: Mapped[int]
    epoch: Mapped[float | None]
    lr: Mapped[float]
    train_loss: Mapped[float | None]
    metrics: Mapped[dict[str, Any]]


class LeaseRow(Base):
    """A lease: a worker's right to run some trials of one study until it expires."""

    __tablename__ = "leases"
    __table_args__ = (
        UniqueConstraint("worker_id", "idempotency_key"),
        Index("ix_leases_open", "expires_at", sqlite_where=text("is_open = 1"), postgresql_where=text("is_open")),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    worker_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    answer: Mapped[dict[str, Any]] = mapped_column(doc="the claim's answer, in case the claim is repeated")
    is_open: Mapped[bool]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class WorkerRow(Base):
    """A worker that has claimed work."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str]
    device: Mapped[str]
    labels: Mapped[dict[str, Any]]
    last_seen_at: Mapped[datetime] = mapped_column(index=True)


class OfferRow(Base):
    """A task that a worker can train."""

    __tablename__ = "offers"

    worker_id: Mapped[str] = mapped_column(
        String(ID_LENGTH), ForeignKey("workers.id", ondelete="CASCADE"), primary_key=True
    )
    task_name: Mapped[str] = mapped_column(String(200), primary_key=True, index=True)
    params_schema: Mapped[dict[str, Any] | None]
    metrics: Mapped[list[Any] | None]
    folds: Mapped[bool] = mapped_column(default=False, server_default=false(), doc="whether the task supports folds")
    looks: Mapped[bool] = mapped_column(default=False, server_default=false(), doc="whether its data can be looked at")


class LookRow(Base):
    """A request for a worker to describe the data of a task. `service/studies/looks.py` bounds their number and age."""

    __tablename__ = "looks"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    task_name: Mapped[str] = mapped_column(String(200))
    params: Mapped[dict[str, Any]]
    state: Mapped[LookState] = mapped_column(String(16))
    worker_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    data: Mapped[dict[str, Any] | None] = mapped_column(doc="what the worker saw: lehr.wire.data.DataSummary")
    error: Mapped[str | None]
    created_at: Mapped[datetime]


IS_OPEN = text("trials.state IN ('WAITING', 'RUNNING')")
"""Written exactly as in the partial index of open trials, because SQLite otherwise does not use that index."""

STUDIES = cast("Table", StudyRow.__table__)
TRIALS = cast("Table", TrialRow.__table__)
LEASES = cast("Table", LeaseRow.__table__)
"""The tables, for statements that do not use the object mapper."""
