"""Range tests: a study's first stage, and what it found

No study that was there before has one.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("studies") as studies:
        studies.add_column(sa.Column("is_sweeping", sa.Boolean(), nullable=False, server_default=sa.false()))
        studies.add_column(sa.Column("range_test", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("studies") as studies:
        studies.drop_column("range_test")
        studies.drop_column("is_sweeping")
