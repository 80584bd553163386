"""Reports change trials in place: only ended trials' revisions have an index, and pages have room for next versions

PostgreSQL writes a new version of a row to its page and to no index, where the page has room and no
indexed column changes (a heap-only tuple). Each report changes its trial's revision.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OFTEN_UPDATED = ("studies", "trials", "leases")


def upgrade() -> None:
    op.drop_index("ix_trials_changed", table_name="trials")
    op.add_column("trials", sa.Column("ended_revision", sa.BigInteger(), nullable=True))
    op.execute("UPDATE trials SET ended_revision = revision WHERE state NOT IN ('WAITING', 'RUNNING')")
    op.create_index("ix_trials_ended", "trials", ["study_id", "ended_revision"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        for table in OFTEN_UPDATED:
            op.execute(f"ALTER TABLE {table} SET (fillfactor = 70)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in OFTEN_UPDATED:
            op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
    op.drop_index("ix_trials_ended", table_name="trials")
    op.drop_column("trials", "ended_revision")
    op.create_index("ix_trials_changed", "trials", ["study_id", "revision"], unique=False)
