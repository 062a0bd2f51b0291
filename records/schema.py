"""The tables of records. What changes here needs a migration beside it (`records/migrations/versions`)."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

_ID = BigInteger().with_variant(Integer, "sqlite")

ALARMS = Table(
    "alarms",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("compound", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("part", String(64), nullable=False),
    Column("value", String(64), nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    Column("raised_ns", BigInteger, nullable=False),
    Column("cleared_ns", BigInteger),
    Column("acknowledged_ns", BigInteger),
    Column("acknowledged_by", String(64)),
    Column("note", Text),
    Column("snoozed_until_ns", BigInteger),
    Column("snoozed_by", String(64)),
    # The subject while the alarm is open, nothing afterwards: no subject has two open alarms of one rule.
    Column("open_key", String(400), unique=True),
    Index("alarms_by_time", "raised_ns"),
    Index("alarms_by_compound", "compound", "raised_ns"),
)

MAINTENANCE = Table(
    "maintenance",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("compound", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("stop_ns", BigInteger, nullable=False),
    Column("by", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Index("maintenance_by_time", "stop_ns"),
)

NOTICES = Table(
    "notices",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("target", String(64), nullable=False),
    Column("alarm", BigInteger, ForeignKey("alarms.id"), nullable=False),
    Column("what", String(16), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_ns", BigInteger, nullable=False),
    Column("sent_ns", BigInteger),
    Column("given_up_ns", BigInteger),
    Index("notices_waiting", "target", "sent_ns", "given_up_ns", "next_ns"),
)

STANDINGS = Table(
    "standings",
    METADATA,
    Column("kind", String(64), primary_key=True),
    Column("rule", String(64), primary_key=True),
    Column("compound", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("part", String(64), primary_key=True),
    Column("kept", Text, nullable=False),
)

SEEN = Table(
    "seen",
    METADATA,
    Column("measurement", String(128), primary_key=True),
    Column("compound", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("part", String(64), primary_key=True),
    Column("time_ns", BigInteger, nullable=False),
)

KEYS = Table(
    "keys",
    METADATA,
    Column("id", String(12), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", String(64), nullable=False),
    Column("compounds", Text),
    Column("created_ns", BigInteger, nullable=False),
    Column("created_by", String(80), nullable=False),
    Column("expires_ns", BigInteger),
    Column("revoked_ns", BigInteger),
)

PEOPLE = Table(
    "people",
    METADATA,
    Column("login", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("password", String(255)),
    Column("subject", String(255), unique=True),
    Column("scopes", String(64), nullable=False),
    Column("compounds", Text),
    Column("created_ns", BigInteger, nullable=False),
    Column("disabled_ns", BigInteger),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("caller", String(80), nullable=False),
    Column("name", String(64), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
)

CREDENTIALS = Table(
    "credentials",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("compound", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("verifier", Text),
    Column("serial", String(64)),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger),
    Column("revoked_ns", BigInteger),
)

WITHDRAWN = Table(
    "withdrawn",
    METADATA,
    Column("serial", String(64), primary_key=True),
    Column("withdrawn_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
)

AUDIT = Table(
    "audit",
    METADATA,
    # Numbered by the one who writes: a number left out is a line taken out.
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("who", String(80), nullable=False),
    Column("what", String(64), nullable=False),
    Column("about", String(200), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

DELETIONS = Table(
    "deletions",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("compound", String(64), nullable=False),
    Column("before_ns", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("who", String(80), nullable=False),
)
