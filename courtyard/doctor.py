"""`courtyard doctor`: checks every connection of an installation, and says what to do about each that fails."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from courtyard import wiring
from courtyard.settings import Settings
from devices.errors import BrokerError, CourtyardError
from devices.topics import ALL
from mqtt.connection import Connection

_LEAST_FREE_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        name: what was checked.
        ok: whether it is as it should be.
        detail: what was found, and where it is wrong, what to do.
    """

    name: str
    ok: bool
    detail: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Run every check, one after the other.

    Args:
        settings: as loaded.

    Yields:
        One finding for each check, as soon as it is known.
    """
    checks: tuple[tuple[str, Callable[[Settings], str]], ...] = (
        ("kinds and inventory", _inventory),
        ("data folder", _data_dir),
        ("MQTT broker", _broker),
        ("store", _store),
        ("API key", _api_key),
        ("API port", _api_port),
    )
    for name, check in checks:
        try:
            yield Finding(name=name, ok=True, detail=check(settings))
        except CourtyardError as exc:
            yield Finding(name=name, ok=False, detail=exc.message)


def _inventory(settings: Settings) -> str:
    known = wiring.kinds()
    inventory = wiring.load_inventory(settings.inventory, known)
    return f"{len(known)} kinds, {len(inventory.compounds)} compounds, {len(inventory.devices)} devices"


def _data_dir(settings: Settings) -> str:
    folder = settings.data_dir.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as exc:
        raise CourtyardError(
            f"{folder} cannot be written ({exc.strerror}); give it to this user, or set COURTYARD_DATA_DIR"
        ) from exc
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE_BYTES:
        raise CourtyardError(f"{folder} has {free >> 20} MiB free; the spool wants 1 GiB. Make room")
    return f"{folder}, {free >> 30} GiB free"


def _broker(settings: Settings) -> str:
    where = f"{settings.mqtt_host}:{settings.mqtt_port}"
    # A client id of its own: with ingest's it would take over the running session.
    connection = Connection(wiring.broker_options(settings), client_id=f"courtyard-doctor-{os.getpid()}")
    try:
        with connection:
            connection.subscribe(ALL)
    except BrokerError as exc:
        raise BrokerError(
            f"{exc.message}. Start the broker, or set COURTYARD_MQTT_HOST, _PORT, _USERNAME and _PASSWORD"
        ) from exc
    return f"{where} answers and lets us subscribe to {ALL}"


def _store(settings: Settings) -> str:
    store = wiring.open_store(settings, wiring.kinds())
    try:
        store.ping()
    finally:
        store.close()
    if settings.store == "duck":
        return f"DuckDB file in {settings.data_dir}"
    return f"InfluxDB at {settings.influx_url}, bucket {settings.influx_bucket!r}"


def _api_key(settings: Settings) -> str:
    if settings.api_key is None:
        raise CourtyardError("COURTYARD_API_KEY is not set; `python -m courtyard secrets` makes one. `up` needs it")
    return "set"


def _api_port(settings: Settings) -> str:
    where = f"{settings.api_host}:{settings.api_port}"
    with socket.socket(socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.api_host, settings.api_port))
        except OSError as exc:
            raise CourtyardError(f"{where} is taken ({exc.strerror}); if that is not Courtyard, free it") from exc
    return f"{where} is free"
