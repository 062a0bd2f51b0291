"""Alarms, and where their rules stand."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "alarms",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("compound", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("part", sa.String(64), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
        sa.Column("raised_ns", sa.BigInteger, nullable=False),
        sa.Column("cleared_ns", sa.BigInteger),
        sa.Column("acknowledged_ns", sa.BigInteger),
        sa.Column("acknowledged_by", sa.String(64)),
        sa.Column("note", sa.Text),
        sa.Column("open_key", sa.String(400), unique=True),
    )
    op.create_index("alarms_by_time", "alarms", ["raised_ns"])
    op.create_index("alarms_by_compound", "alarms", ["compound", "raised_ns"])
    keys = ("kind", "rule", "compound", "device", "part")
    op.create_table(
        "standings",
        *(sa.Column(name, sa.String(64), primary_key=True) for name in keys),
        sa.Column("kept", sa.Text, nullable=False),
    )
    op.create_table(
        "seen",
        sa.Column("measurement", sa.String(128), primary_key=True),
        *(sa.Column(name, sa.String(64), primary_key=True) for name in keys[2:]),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("seen", "standings", "alarms"):
        op.drop_table(name)
