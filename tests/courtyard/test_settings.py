"""Settings come from the environment and a file, and say what is wrong with a value."""

from pathlib import Path

import pytest

from courtyard.settings import BUILT_IN_INVENTORY, Settings, load, read_token
from courtyard.wiring import api_options, broker_options, ingest_options, kinds, load_inventory
from devices.errors import InventoryError, SettingsError


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"COURTYARD_{name.upper()}", raising=False)


def test_defaults_are_embedded_and_on_loopback() -> None:
    settings = load(None)
    assert (settings.store, settings.mqtt_host, settings.api_host, settings.metrics_host) == (
        "duck",
        "127.0.0.1",
        "127.0.0.1",
        "127.0.0.1",
    )
    assert settings.inventory == BUILT_IN_INVENTORY


def test_the_environment_stands_above_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("COURTYARD_API_PORT=8001\nCOURTYARD_MQTT_PORT=1884\nOTHER=1\n")
    monkeypatch.setenv("COURTYARD_MQTT_PORT", "1885")
    settings = load(file)
    assert (settings.api_port, settings.mqtt_port) == (8001, 1885)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "0"),
        ("API_PORT", "eight thousand"),
        ("STORE", "postgres"),
        ("RETENTION_DAYS", "-1"),
        ("LOG_LEVEL", "loud"),
        ("SPOOL_MAX_MIB", "0"),
        ("MAX_FUTURE_S", "nan"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"COURTYARD_{name}", value)
    with pytest.raises(SettingsError, match=f"COURTYARD_{name}: "):
        load(None)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "MQTT_PASSWORD", "INFLUX_TOKEN", "INFLUX_ADMIN_PASSWORD", "INFLUX_ADMIN_TOKEN"):
        monkeypatch.setenv(f"COURTYARD_{name}", "very-secret-indeed")
    settings = load(None)
    assert "very-secret" not in repr(settings)
    assert "very-secret" not in repr(api_options(settings))
    assert "very-secret" not in repr(broker_options(settings))


def test_the_token_comes_from_the_setting_or_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert read_token(load(None, influx_token="direct")) == "direct"
    assert read_token(load(None, influx_token_file=file)) == "from-file"
    with pytest.raises(SettingsError, match="not both"):
        load(None, influx_token="direct", influx_token_file=file)
    with pytest.raises(SettingsError, match="courtyard init"):
        read_token(load(None))
    with pytest.raises(SettingsError, match="courtyard init"):
        read_token(load(None, influx_token_file=tmp_path / "none"))


def test_an_inventory_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="cannot be read"):
        load_inventory(tmp_path / "none.yaml", kinds())
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InventoryError, match="cannot be read"):
        load_inventory(tmp_path / "bad.yaml", kinds())


def test_settings_reach_the_parts(tmp_path: Path) -> None:
    settings = load(None, data_dir=tmp_path / "data", spool_max_mib=7, max_future_s=60, retention_days=30)
    options = ingest_options(settings)
    assert (options.spool_max_bytes, options.max_future_s, options.max_age_days) == (7 << 20, 60, 30)
    assert options.spool.parent.is_dir()


def test_a_data_folder_that_cannot_be_made_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="COURTYARD_DATA_DIR"):
        ingest_options(load(None, data_dir=tmp_path / "file" / "data"))


def test_rollups_outlive_the_readings_that_they_are_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURTYARD_ROLLUPS_DAYS", "91")
    with pytest.raises(SettingsError, match="COURTYARD_ROLLUPS_DAYS=91 must be 0, for ever, or at least two days more"):
        load(None)
    monkeypatch.setenv("COURTYARD_ROLLUPS_DAYS", "92")
    assert load(None).rollups_days == 92


def test_the_address_of_the_api_is_one_that_its_certificate_can_name(tmp_path: Path) -> None:
    tls = {"api_certificate": tmp_path / "server.crt", "api_certificate_key": tmp_path / "server.key"}
    assert load(None).api_url == "http://127.0.0.1:8000"
    assert load(None, api_host="0.0.0.0", **tls).api_url == "https://localhost:8000"  # noqa: S104
    assert load(None, api_host="::1").api_url == "http://[::1]:8000"
    with pytest.raises(SettingsError, match="both or neither"):
        load(None, api_certificate=tmp_path / "server.crt")
