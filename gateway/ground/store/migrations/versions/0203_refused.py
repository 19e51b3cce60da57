"""Answers that were refused stand among what organisations send that their declarations do not know."""

import sqlalchemy as sa
from alembic import op

revision = "0203"
down_revision = "0202"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("undeclared", schema=None) as batch_op:
        batch_op.add_column(sa.Column("refused", sa.Boolean(), nullable=False, server_default=sa.false()))
