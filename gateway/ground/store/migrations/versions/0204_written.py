"""Of each piece of a file, and of codes, it is known how the customer's number was written: so no two become one."""

import sqlalchemy as sa
from alembic import op

revision = "0204"
down_revision = "0203"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("filecode", sa.Column("written", sa.String(), nullable=False, server_default=""))
    op.add_column("filepart", sa.Column("written", sa.String(), nullable=False, server_default=""))
