"""Search trials that are evaluated several times, on folds and seeds

Studies of before have none. A worker of before is not known to hold out folds.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TRIAL_COLUMNS = (
    ("evaluates", sa.BigInteger),
    ("evaluations", sa.BigInteger),
    ("evaluated", sa.BigInteger),
    ("std", sa.Double),
    ("fold", sa.BigInteger),
)


def upgrade() -> None:
    op.add_column("studies", sa.Column("folds", sa.BigInteger(), nullable=True))
    for name, kind in TRIAL_COLUMNS:
        op.add_column("trials", sa.Column(name, kind(), nullable=True))
    op.create_index("ix_trials_evaluates", "trials", ["study_id", "evaluates"])
    op.add_column("offers", sa.Column("folds", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("offers", "folds")
    op.drop_index("ix_trials_evaluates", "trials")
    for name, _ in TRIAL_COLUMNS:
        op.drop_column("trials", name)
    op.drop_column("studies", "folds")
