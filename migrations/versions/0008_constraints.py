"""What a trial's constrained metrics came to, and by how much the constraints are broken

Studies of before have no constraints.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trials", sa.Column("measured", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("trials", sa.Column("violation", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("trials", "violation")
    op.drop_column("trials", "measured")
