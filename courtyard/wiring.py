"""Builds the parts from the settings: the one place that knows which implementation stands behind which protocol."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alarms.rules import Rules
from alarms.rules import parse as parse_rules
from alarms.targets import Target
from alarms.targets import parse as parse_targets
from api.options import ApiOptions
from courtyard.settings import Settings, read_token
from courtyard.tokens import read_tokens
from devices.errors import InventoryError, SettingsError
from devices.inventory import Inventory
from devices.kind import Kind
from devices.registry import Registry, discover
from ingest.options import IngestOptions
from ingest.workers import SHARE, SPOOL, Worker
from mqtt.options import BrokerOptions
from rollups.logfolder import LogFolder
from rollups.tables import tables as rollup_tables
from rollups.writelog import ROLLUPS
from store.influx import InfluxOptions, InfluxStore
from store.influx_setup import InfluxSetup, InfluxTokens, rollups_bucket
from store.influx_setup import provision as provision_influx
from store.protocol import Store

if TYPE_CHECKING:
    from access.doors import Doors
    from records.database import Database


def kinds() -> Registry:
    """The kinds of devices."""
    return discover()


def load_inventory(path: Path, known: Mapping[str, Kind]) -> Inventory:
    """Read an inventory file.

    Raises:
        InventoryError: it cannot be read, or is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InventoryError(f"the inventory {path} cannot be read: {exc}") from exc
    return Inventory.parse(text, known)


def open_store(settings: Settings, known: Registry) -> Store:
    """The store that the settings choose.

    Raises:
        StoreError: the file cannot be opened.
        SettingsError: there is no token.
    """
    if settings.store == "duck":
        from store.duck import DuckStore  # noqa: PLC0415  (12 MB that nobody else needs)

        make_data_dir(settings)
        return DuckStore(settings.data_dir / "readings.duckdb", known.tables())
    return _influx(settings, settings.influx_bucket)


def open_rollups(settings: Settings, known: Registry) -> Store:
    """The store of the rollups, beside that of the readings.

    Raises:
        StoreError: the file cannot be opened.
        SettingsError: there is no token.
    """
    if settings.store == "duck":
        from store.duck import DuckStore  # noqa: PLC0415  (12 MB that nobody else needs)

        make_data_dir(settings)
        return DuckStore(settings.data_dir / "rollups.duckdb", rollup_tables(known))
    return _influx(settings, rollups_bucket(settings.influx_bucket))


def open_to_keep(settings: Settings, known: Registry) -> tuple[Store, Store]:
    """Both stores, readings and rollups, each with the right to write and to delete.

    Raises:
        StoreError: a file cannot be opened.
        SettingsError: there is no token.
    """
    if settings.store == "duck":
        return open_store(settings, known), open_rollups(settings, known)
    file = settings.influx_token_file
    folder = settings.data_dir / "tokens" if file is None else file.parent
    readings, rollups = (
        settings.model_copy(update={"influx_token": None, "influx_token_file": folder / name})
        for name in ("ingest", "rollups")
    )
    return open_store(readings, known), open_rollups(rollups, known)


def alarm_rules(settings: Settings, known: Mapping[str, Kind], inventory: Inventory) -> Rules:
    """The alarm rules in force.

    Raises:
        SettingsError: their file cannot be read, or is wrong.
    """
    if settings.alarm_rules is None:
        return Rules(known)
    return Rules(known, parse_rules(_text("COURTYARD_ALARM_RULES", settings.alarm_rules), known, inventory))


def alarm_targets(settings: Settings, inventory: Inventory) -> tuple[Target, ...]:
    """Who is told of alarms.

    Raises:
        SettingsError: the file that says so cannot be read, or is wrong.
    """
    if settings.alarm_targets is None:
        return ()
    return parse_targets(_text("COURTYARD_ALARM_TARGETS", settings.alarm_targets), inventory)


def _text(setting: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{setting}: {path} cannot be read: {exc}") from exc


def open_records(settings: Settings) -> "Database":
    """The database of records, brought up to date.

    Raises:
        SettingsError: its address is none.
        RecordsError: it cannot be reached, or is of a later version.
    """
    from records.database import Database  # noqa: PLC0415  (20 MB that ingest does without)

    if settings.records_url is None:
        make_data_dir(settings)
    database = Database(settings.records_url or f"sqlite:///{settings.data_dir.resolve() / 'records.db'}")
    try:
        database.migrate()
    except BaseException:
        database.close()
        raise
    return database


def open_logs(settings: Settings, *, reader: str = ROLLUPS, exclusive: bool = True) -> LogFolder:
    """The write logs of ingest, to be read.

    Args:
        settings: as loaded.
        reader: in whose name.
        exclusive: whether no other process may read in that name meanwhile.

    Raises:
        WriteLogError: they cannot be opened, or somebody else reads them.
    """
    return LogFolder(spool_dir(settings), reader=reader, exclusive=exclusive)


def provision(settings: Settings) -> InfluxTokens:
    """Bring InfluxDB to what the settings say; the tokens of its users.

    Raises:
        SettingsError: a secret that this needs is not set.
        StoreError: InfluxDB is away, or refuses.
    """
    password, token = settings.influx_admin_password, settings.influx_admin_token
    if password is None or token is None:
        raise SettingsError(
            "set COURTYARD_INFLUX_ADMIN_PASSWORD and COURTYARD_INFLUX_ADMIN_TOKEN; "
            "`python -m courtyard secrets` makes a .env with both"
        )
    return provision_influx(
        InfluxSetup(
            url=settings.influx_url,
            org=settings.influx_org,
            bucket=settings.influx_bucket,
            username=settings.influx_admin_username,
            password=password.get_secret_value(),
            admin_token=token.get_secret_value(),
            retention_days=settings.retention_days,
            rollups_days=settings.rollups_days,
            timeout_s=settings.influx_timeout_s,
            ca_file=settings.influx_ca_file,
            held=read_tokens(settings.data_dir / "tokens"),
        )
    )


def api_tls(settings: Settings) -> tuple[Path, Path] | None:
    """The certificate of the API and its key, where it is served over TLS.

    Raises:
        SettingsError: one of them cannot be read.
    """
    certificate, key = settings.api_certificate, settings.api_certificate_key
    if certificate is None or key is None:
        return None
    for path in (certificate, key):
        try:
            path.open("rb").close()
        except OSError as exc:
            raise SettingsError(f"{path} cannot be read ({exc.strerror}); `courtyard certificates` makes it") from exc
    return certificate, key


def doors(settings: Settings, database: "Database", *, open_access: bool = False) -> "Doors":
    """Who is let in; raises `SettingsError`."""
    from access.doors import Doors  # noqa: PLC0415  (ingest does without)
    from access.provider import Provider, ProviderOptions  # noqa: PLC0415  (ingest does without)

    key = settings.api_key
    provider = None
    if settings.oidc_issuer is not None:
        secret = settings.oidc_client_secret
        if settings.oidc_client_id is None or secret is None or settings.public_url is None:
            raise SettingsError(
                "COURTYARD_OIDC_ISSUER needs COURTYARD_OIDC_CLIENT_ID, COURTYARD_OIDC_CLIENT_SECRET and "
                "COURTYARD_PUBLIC_URL beside it"
            )
        provider = Provider(
            ProviderOptions(
                issuer=settings.oidc_issuer,
                client_id=settings.oidc_client_id,
                client_secret=secret.get_secret_value(),
                redirect_uri=f"{settings.public_url.rstrip('/')}/sign-in/provider/back",
                ca_file=None if settings.oidc_ca_file is None else str(settings.oidc_ca_file),
            )
        )
    return Doors(
        database,
        keys=() if key is None else (key.get_secret_value(),),
        open_access=open_access,
        per_minute=settings.api_requests_per_minute,
        provider=provider,
    )


def broker_options(settings: Settings) -> BrokerOptions:
    """How to reach the broker."""
    password = settings.mqtt_password
    return BrokerOptions(
        host=settings.mqtt_host,
        port=settings.mqtt_port,
        username=settings.mqtt_username,
        password=None if password is None else password.get_secret_value(),
        ca_file=settings.mqtt_ca_file,
    )


def authority_dir(settings: Settings) -> Path:
    """Where the certificate authority is."""
    return settings.data_dir / "authority" if settings.authority_dir is None else settings.authority_dir


def broker_dir(settings: Settings) -> Path:
    """Where the broker reads who is enrolled."""
    return settings.data_dir / "broker" if settings.broker_dir is None else settings.broker_dir


def backup_dir(settings: Settings) -> Path:
    """Where backups and the list of deletions are."""
    return settings.data_dir / "backups" if settings.backup_dir is None else settings.backup_dir


def spool_dir(settings: Settings) -> Path:
    """Where the spools are."""
    return settings.data_dir if settings.spool_dir is None else settings.spool_dir


def ingest_options(settings: Settings, worker: Worker | None = None) -> IngestOptions:
    """How ingest works.

    Args:
        settings: as loaded.
        worker: which of several processes it is; None where it works alone.

    Raises:
        SettingsError: the data folder cannot be made, or the store is one that a single process uses.
    """
    make_data_dir(settings)
    if worker is not None and settings.store == "duck":
        raise SettingsError("a DuckDB file is for one process: several workers need COURTYARD_STORE=influx")
    return IngestOptions(
        spool=spool_dir(settings) / (SPOOL if worker is None else worker.spool),
        client_id=settings.mqtt_client_id + ("" if worker is None else f"-{worker.name}"),
        share=None if worker is None else SHARE,
        gap_grace_s=settings.gap_grace_s,
        device_rate=settings.device_rate,
        max_age_days_of=settings.retention_days_of,
        device_catch_up_s=settings.device_catch_up_s,
        dead_letters_days=settings.dead_letters_days,
        dead_letters_max=settings.dead_letters_max,
        spool_max_bytes=settings.spool_max_mib * 1024 * 1024,
        min_free_bytes=settings.spool_min_free_mib * 1024 * 1024,
        max_future_s=settings.max_future_s,
        max_age_days=settings.retention_days,
    )


def api_options(settings: Settings, *, open_access: bool = False) -> ApiOptions:
    """How the API works.

    Raises:
        SettingsError: there is no key, or one that could be guessed.
    """
    key = settings.api_key
    return ApiOptions(keys=() if key is None else (key.get_secret_value(),), open_access=open_access)


def _influx(settings: Settings, bucket: str) -> InfluxStore:
    return InfluxStore(
        InfluxOptions(
            url=settings.influx_url,
            org=settings.influx_org,
            bucket=bucket,
            token=read_token(settings),
            timeout_s=settings.influx_timeout_s,
            gzip=settings.influx_gzip,
            ca_file=settings.influx_ca_file,
        )
    )


def make_data_dir(settings: Settings) -> None:
    """Make the data folder where there is none.

    Raises:
        SettingsError: it cannot be made.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SettingsError(
            f"{settings.data_dir} cannot be made ({exc.strerror}); set COURTYARD_DATA_DIR to a folder that can"
        ) from exc
