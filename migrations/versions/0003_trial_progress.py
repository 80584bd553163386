"""What a trial's worker told last of its speed and memory

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not in batch mode, which would copy the whole table on SQLite: a new column without a default costs nothing.
    op.add_column("trials", sa.Column("progress", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("trials", "progress")
