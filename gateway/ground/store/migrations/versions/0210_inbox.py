"""Requests that reach a person who is not there, and the silence after a refusal."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0210"
down_revision = "0209"
branch_labels = None
depends_on = None

_WAITING = sa.text("state = 'requested'")
_SUBJECT = {
    "sqlite": "json_extract(terms.json, '$.subject')",
    "postgresql": "(terms.json::json)->>'subject'",
}


def upgrade() -> None:
    for name in ("via", "message", "subject"):
        op.add_column("consent", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.add_column("consent", sa.Column("answer_by", UTCDateTime(), nullable=True))
    op.create_index("ix_consent_answer_by", "consent", ["answer_by"], sqlite_where=_WAITING, postgresql_where=_WAITING)
    found = _SUBJECT[op.get_bind().dialect.name]
    current = "terms.consent_id = consent.id AND terms.version = consent.version"
    op.execute(f"UPDATE consent SET subject = (SELECT {found} FROM terms WHERE {current}) WHERE version > 0")
    op.create_index("ix_consent_subject", "consent", ["subject"])
    op.add_column("authorizationrequest", sa.Column("notify", sa.LargeBinary(), nullable=True))
    op.add_column(
        "authorizationrequest", sa.Column("deferrable", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_table(
        "silence",
        sa.Column("person_id", sa.String(), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("app_id", sa.String(), sa.ForeignKey("app.client_id"), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "app_id", "purpose"),
    )
    op.create_index("ix_silence_until", "silence", ["until"])
