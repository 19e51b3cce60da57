"""Of each piece of a file it is known how the customer's number was written, so that no two customers become one."""

import sqlalchemy as sa
from alembic import op

revision = "0204"
down_revision = "0203"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("filepart", sa.Column("written", sa.String(), nullable=False, server_default=""))
