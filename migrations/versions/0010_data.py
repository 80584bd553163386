"""What the task made of a study's data

Studies whose trials reported before do not tell.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("data", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("studies", "data")
