"""Settings: read from the environment (prefix `COURTYARD_`) and, where there is one, the file `.env`."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

import devices.inventory
from devices.errors import SettingsError

BUILT_IN_INVENTORY = Path(devices.inventory.__file__).parent / "fangzhi-road.yaml"

Port = Annotated[int, Field(ge=1, le=65535)]
Days = Annotated[int, Field(ge=1, le=36_500)]


class Settings(BaseSettings):
    """Everything that an installation can set. Secrets are never shown by `repr` or in logs."""

    model_config = SettingsConfigDict(env_prefix="COURTYARD_", env_file=".env", extra="ignore", env_ignore_empty=True)

    inventory: Path = Field(BUILT_IN_INVENTORY, description="the inventory file")
    data_dir: Path = Field(Path("var/courtyard"), description="where spool, embedded store and tokens are kept")
    log_format: Literal["console", "json"] = Field("console", description="how log lines look")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="which log lines are written")

    mqtt_host: str = Field("127.0.0.1", description="the broker's name or address")
    mqtt_port: Port = Field(1883, description="the broker's port")
    mqtt_username: str | None = Field(None, description="user name at the broker")
    mqtt_password: SecretStr | None = Field(None, description="password at the broker")
    mqtt_ca_file: Path | None = Field(None, description="certificates to trust; given, the connection is TLS")
    mqtt_client_id: str = Field("courtyard-ingest", description="client id of ingest; its session is kept under it")

    store: Literal["duck", "influx"] = Field("duck", description="embedded DuckDB file, or InfluxDB 2")
    influx_url: str = Field("http://127.0.0.1:8086", description="address of InfluxDB")
    influx_org: str = Field("courtyard", description="organisation in InfluxDB")
    influx_bucket: str = Field("courtyard", description="bucket in InfluxDB")
    influx_token: SecretStr | None = Field(None, description="token for InfluxDB")
    influx_token_file: Path | None = Field(None, description="file that holds the token, as `init` writes it")
    influx_timeout_s: Annotated[float, Field(gt=0, le=600)] = Field(30.0, description="patience with InfluxDB, seconds")
    influx_ca_file: Path | None = Field(
        None, description="certificates to trust of InfluxDB, where its address is https"
    )
    influx_gzip: bool = Field(False, description="compress what goes to and from InfluxDB: where the link is slow")
    influx_admin_username: str = Field("courtyard", description="first user of InfluxDB, for `init`")
    influx_admin_password: SecretStr | None = Field(None, description="password of the first user, for `init`")
    influx_admin_token: SecretStr | None = Field(None, description="the operator token, for `init`")
    retention_days: Days = Field(90, description="how long raw readings are kept, and how old a new one may be")

    retention_days_of: dict[str, Days] = Field(
        default_factory=dict,
        description='the same for some tables, where it is less: {"gate_pass": 30}; their rollups stay',
    )

    rollups_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        0, description="how long rollups are kept, in days; 0 keeps them for ever"
    )

    api_host: str = Field("127.0.0.1", description="address that the API listens on")
    api_port: Port = Field(8000, description="port that the API listens on")
    live: bool = Field(True, description="whether the API follows the broker, for /v1/stream")
    api_certificate: Path | None = Field(None, description="certificate of the API; given, it is served over TLS")
    api_certificate_key: Path | None = Field(None, description="the key of that certificate")
    api_ca_file: Path | None = Field(None, description="certificates that our own commands trust of the API")
    api_key: SecretStr | None = Field(None, description="key that callers of the API must send")
    public_url: str | None = Field(None, description="the address under which browsers reach the pages")
    oidc_issuer: str | None = Field(None, description="identity provider (OpenID Connect) for the pages: its issuer")
    oidc_client_id: str | None = Field(None, description="what it calls us")
    oidc_client_secret: SecretStr | None = Field(None, description="what we show it")
    oidc_ca_file: Path | None = Field(None, description="certificates to trust of it, in place of the system's")
    api_requests_per_minute: Annotated[int, Field(ge=0)] = Field(
        3000, description="how many requests a minute the API serves for one key; 0 serves all"
    )
    metrics_host: str = Field("127.0.0.1", description="address that the metrics of ingest listen on")
    metrics_port: Port = Field(9100, description="port of the metrics of ingest")

    rollups_metrics_port: Port = Field(9200, description="port of the metrics of the rollup worker")
    alarms_metrics_port: Port = Field(9300, description="port of the metrics of the alarm worker")

    authority_dir: Path | None = Field(
        None, description="where the certificate authority is kept; authority in the data folder if not set"
    )
    broker_dir: Path | None = Field(
        None, description="where the broker reads who is enrolled; broker in the data folder if not set"
    )

    alarm_rules: Path | None = Field(None, description="file that overrides alarm rules for compounds and devices")

    alarm_targets: Path | None = Field(None, description="file that says who is told of alarms, and how")

    records_url: str | None = Field(
        None, description="the database of alarms, as SQLAlchemy writes it; records.db in the data folder if not set"
    )

    backup_dir: Path | None = Field(
        None, description="where backups and the list of deletions are kept; backups in the data folder if not set"
    )

    spool_dir: Path | None = Field(None, description="where the spool is kept; the data folder where it is not set")
    spool_max_mib: Annotated[int, Field(ge=1)] = Field(1024, description="size at which the spool stops taking more")
    spool_min_free_mib: Annotated[int, Field(ge=0)] = Field(
        64, description="space left on the spool's disk at which it stops taking more, so that it can still be emptied"
    )
    gap_grace_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        10, description="how long after a later reading a missing one may still come before it is reported, seconds"
    )
    dead_letters_days: Annotated[float, Field(gt=0, le=36_500)] = Field(
        30, description="how long dead letters are kept"
    )
    dead_letters_max: Annotated[int, Field(ge=0)] = Field(10_000, description="how many dead letters are kept")
    device_rate: Annotated[float, Field(ge=0)] = Field(
        10, description="a device may send so many times what its kind reports; the rest is counted; 0 reads all"
    )
    device_catch_up_s: Annotated[float, Field(ge=0)] = Field(
        3600, description="for so long after a silence the backlog of a device may come, seconds"
    )
    max_future_s: Annotated[float, Field(ge=0)] = Field(3600, description="how far ahead a device's clock may be")

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.influx_token is not None and self.influx_token_file is not None:
            msg = "set COURTYARD_INFLUX_TOKEN or COURTYARD_INFLUX_TOKEN_FILE, not both"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.api_certificate is None) != (self.api_certificate_key is None):
            msg = "set COURTYARD_API_CERTIFICATE and COURTYARD_API_CERTIFICATE_KEY, both or neither"
            raise ValueError(msg)
        return self

    @property
    def api_url(self) -> str:
        """The address of the API of this installation."""
        scheme = "http" if self.api_certificate is None else "https"
        # Who listens on all addresses is reached by the one that its certificate names.
        host = "localhost" if self.api_host in {"0.0.0.0", "::"} else self.api_host  # noqa: S104  # nosec B104
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.api_port}"

    @model_validator(mode="after")
    def _less_than_all(self) -> Self:
        for name, days in self.retention_days_of.items():
            if days > self.retention_days:
                msg = (
                    f"COURTYARD_RETENTION_DAYS_OF keeps {name} for {days} days, longer than "
                    f"COURTYARD_RETENTION_DAYS={self.retention_days}; raise that, or lower this"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _rollups_outlive_readings(self) -> Self:
        # What is rolled up anew of the oldest readings begins a day before them, at most.
        if self.rollups_days and self.rollups_days < self.retention_days + 2:
            msg = (
                f"COURTYARD_ROLLUPS_DAYS={self.rollups_days} must be 0, for ever, or at least two days more than "
                f"COURTYARD_RETENTION_DAYS={self.retention_days}"
            )
            raise ValueError(msg)
        return self


def load(env_file: Path | None = Path(".env"), **overrides: Any) -> Settings:  # noqa: ANN401  (any setting)
    """Read the settings.

    Args:
        env_file: file of `NAME=value` lines to read beside the environment, or None to read none.
        overrides: values that stand above both.

    Returns:
        The settings.

    Raises:
        SettingsError: a value is missing or wrong; the message names the variable and says what is expected.
    """
    try:
        return Settings(_env_file=env_file, **overrides)
    except pydantic.ValidationError as exc:
        lines = [
            f"{'COURTYARD_' + '_'.join(map(str, each['loc'])).upper() if each['loc'] else 'settings'}: {each['msg']}"
            for each in exc.errors(include_url=False, include_input=False)
        ]
        raise SettingsError("\n".join(lines)) from exc


def read_token(settings: Settings) -> str:
    """The token for InfluxDB, from the setting itself or from its file.

    Raises:
        SettingsError: there is none.
    """
    if settings.influx_token is not None:
        return settings.influx_token.get_secret_value()
    if settings.influx_token_file is None:
        raise SettingsError(
            "no token for InfluxDB: set COURTYARD_INFLUX_TOKEN_FILE to a file that `python -m courtyard init` wrote, "
            "or COURTYARD_INFLUX_TOKEN"
        )
    try:
        return settings.influx_token_file.read_text().strip()
    except OSError as exc:
        raise SettingsError(
            f"the token file {settings.influx_token_file} cannot be read ({exc.strerror}); "
            "run `python -m courtyard init` first"
        ) from exc
