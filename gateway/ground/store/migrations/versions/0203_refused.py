"""Answers that were refused stand among what no declaration knows; a person's attempts to link are found by her."""

import sqlalchemy as sa
from alembic import op

revision = "0203"
down_revision = "0202"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("undeclared", sa.Column("refused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_linkattempt_person_id", "linkattempt", ["person_id"], unique=False)
