"""The first schema

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("spec", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("warnings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("task_name", sa.Text(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("budget_trials", sa.BigInteger(), nullable=False),
        sa.Column("parallel", sa.BigInteger(), nullable=False),
        sa.Column("trials_created", sa.BigInteger(), nullable=False),
        sa.Column("next_number", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("trained_seconds", sa.Double(), nullable=False),
        sa.Column("horizon_steps", sa.BigInteger(), nullable=True),
        sa.Column("finalists", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("request_digest", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_studies_idempotency_key")),
    )
    op.create_index("ix_studies_created", "studies", ["created_at", "id"], unique=False)
    op.create_index("ix_studies_queue", "studies", ["priority", "created_at", "id"], unique=False)
    op.create_index(op.f("ix_studies_state"), "studies", ["state"], unique=False)
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_index(op.f("ix_workers_last_seen_at"), "workers", ["last_seen_at"], unique=False)
    op.create_table(
        "leases",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("study_id", sa.String(length=64), nullable=False),
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_leases_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leases")),
        sa.UniqueConstraint("worker_id", "idempotency_key", name=op.f("uq_leases_worker_id_idempotency_key")),
    )
    op.create_index(
        "ix_leases_open",
        "leases",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("is_open = 1"),
        postgresql_where=sa.text("is_open"),
    )
    op.create_index(op.f("ix_leases_study_id"), "leases", ["study_id"], unique=False)
    op.create_table(
        "offers",
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("task_name", sa.String(length=200), nullable=False),
        sa.Column("params_schema", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("metrics", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_offers_worker_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("worker_id", "task_name", name=op.f("pk_offers")),
    )
    op.create_index(op.f("ix_offers_task_name"), "offers", ["task_name"], unique=False)
    op.create_table(
        "trials",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("study_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("family", sa.String(length=64), nullable=False),
        sa.Column("schedule", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("point", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("confirms", sa.BigInteger(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("horizon_fraction", sa.Double(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("losses", sa.BigInteger(), nullable=False),
        sa.Column("lease_id", sa.String(length=64), nullable=True),
        sa.Column("worker_id", sa.String(length=64), nullable=True),
        sa.Column("directive", sa.String(length=16), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("horizon_steps", sa.BigInteger(), nullable=True),
        sa.Column("checkpoint", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_trials_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
        sa.UniqueConstraint("study_id", "number", name=op.f("uq_trials_study_id_number")),
    )
    op.create_index("ix_trials_changed", "trials", ["study_id", "revision"], unique=False)
    op.create_index("ix_trials_lease", "trials", ["lease_id"], unique=False)
    op.create_index(
        "ix_trials_open",
        "trials",
        ["study_id", "state", "number"],
        unique=False,
        sqlite_where=sa.text("state IN ('WAITING', 'RUNNING')"),
        postgresql_where=sa.text("state IN ('WAITING', 'RUNNING')"),
    )
    op.create_index("ix_trials_value", "trials", ["study_id", "purpose", "state", "value"], unique=False)
    op.create_table(
        "reports",
        sa.Column("trial_id", sa.String(length=64), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Double(), nullable=True),
        sa.Column("lr", sa.Double(), nullable=False),
        sa.Column("train_loss", sa.Double(), nullable=True),
        sa.Column("metrics", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_reports_trial_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "step", name=op.f("pk_reports")),
    )


def downgrade() -> None:
    op.drop_table("reports")
    op.drop_index("ix_trials_value", table_name="trials")
    op.drop_index(
        "ix_trials_open",
        table_name="trials",
        sqlite_where=sa.text("state IN ('WAITING', 'RUNNING')"),
        postgresql_where=sa.text("state IN ('WAITING', 'RUNNING')"),
    )
    op.drop_index("ix_trials_lease", table_name="trials")
    op.drop_index("ix_trials_changed", table_name="trials")
    op.drop_table("trials")
    op.drop_index(op.f("ix_offers_task_name"), table_name="offers")
    op.drop_table("offers")
    op.drop_index(op.f("ix_leases_study_id"), table_name="leases")
    op.drop_index(
        "ix_leases_open", table_name="leases", sqlite_where=sa.text("is_open = 1"), postgresql_where=sa.text("is_open")
    )
    op.drop_table("leases")
    op.drop_index(op.f("ix_workers_last_seen_at"), table_name="workers")
    op.drop_table("workers")
    op.drop_index(op.f("ix_studies_state"), table_name="studies")
    op.drop_index("ix_studies_queue", table_name="studies")
    op.drop_index("ix_studies_created", table_name="studies")
    op.drop_table("studies")
