"""Alarms may be snoozed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add until when, and by whom."""
    with op.batch_alter_table("alarms") as table:
        table.add_column(sa.Column("snoozed_until_ns", sa.BigInteger))
        table.add_column(sa.Column("snoozed_by", sa.String(64)))


def downgrade() -> None:
    """Drop both."""
    with op.batch_alter_table("alarms") as table:
        table.drop_column("snoozed_until_ns")
        table.drop_column("snoozed_by")
