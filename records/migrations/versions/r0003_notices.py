"""Notices: who is to be told of which alarm, and was."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("alarm", sa.BigInteger, sa.ForeignKey("alarms.id"), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_ns", sa.BigInteger, nullable=False),
        sa.Column("sent_ns", sa.BigInteger),
        sa.Column("given_up_ns", sa.BigInteger),
    )
    op.create_index("notices_waiting", "notices", ["target", "sent_ns", "given_up_ns", "next_ns"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("notices")
