"""Keys, people, sessions, enrolled devices, the audit log, and what was deleted for good."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _text(name: str, length: int, *, nullable: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "keys",
        sa.Column("id", sa.String(12), primary_key=True),
        _text("name", 64),
        _text("digest", 64),
        _text("scopes", 64),
        sa.Column("compounds", sa.Text),
        _time("created_ns"),
        _text("created_by", 80),
        _time("expires_ns", nullable=True),
        _time("revoked_ns", nullable=True),
    )
    op.create_table(
        "people",
        sa.Column("login", sa.String(64), primary_key=True),
        _text("name", 64),
        _text("password", 255, nullable=True),
        sa.Column("subject", sa.String(255), unique=True),
        _text("scopes", 64),
        sa.Column("compounds", sa.Text),
        _time("created_ns"),
        _time("disabled_ns", nullable=True),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        _text("caller", 80),
        _text("name", 64),
        _time("created_ns"),
        _time("expires_ns"),
    )
    op.create_table(
        "credentials",
        sa.Column("name", sa.String(64), primary_key=True),
        _text("role", 16),
        _text("compound", 64),
        _text("kind", 64),
        sa.Column("verifier", sa.Text),
        _text("serial", 64, nullable=True),
        _time("created_ns"),
        _time("expires_ns", nullable=True),
        _time("revoked_ns", nullable=True),
    )
    op.create_table(
        "withdrawn",
        sa.Column("serial", sa.String(64), primary_key=True),
        _time("withdrawn_ns"),
        _time("expires_ns"),
    )
    op.create_table(
        "audit",
        sa.Column("id", _ID, primary_key=True, autoincrement=False),
        _time("at_ns"),
        _text("who", 80),
        _text("what", 64),
        _text("about", 200),
        sa.Column("detail", sa.Text, nullable=False),
        _text("previous", 64),
        _text("hash", 64),
    )
    op.create_table(
        "deletions",
        sa.Column("id", sa.String(32), primary_key=True),
        _text("compound", 64),
        _time("before_ns"),
        _time("at_ns"),
        _text("who", 80),
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("deletions", "audit", "withdrawn", "credentials", "sessions", "people", "keys"):
        op.drop_table(name)
