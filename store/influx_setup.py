"""Prepares an InfluxDB 2 for Courtyard: organisation, bucket, retention, and a token for each who comes to it.

Everything may be done again at any time: what is there is kept, what is missing is added.
"""

# The client types only half of itself.
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.authorization import Authorization
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.onboarding_request import OnboardingRequest
from influxdb_client.domain.permission import Permission
from influxdb_client.domain.permission_resource import PermissionResource
from influxdb_client.service.setup_service import SetupService

from devices.errors import StoreDeniedError
from store.influx import InfluxOptions, InfluxStore
from store.influx_errors import check_url, translated

_DAY_S = 86_400
_PAGE = 100
_READ = ("read",)
_READ_WRITE = ("read", "write")


@dataclass(frozen=True, kw_only=True, slots=True)
class InfluxSetup:
    """What is to be there.

    Attributes:
        url: address of InfluxDB.
        org: name of the organisation.
        bucket: name of the bucket of readings.
        username: name of the administrator that a fresh InfluxDB gets.
        password: the administrator's password, at least 8 characters.
        admin_token: the administrator's token: a fresh InfluxDB gets it, any other must know it.
        retention_days: after how many days readings are removed; 0 keeps them for ever.
        rollups_days: after how many days rollups are removed; 0 keeps them for ever.
        timeout_s: how long to wait for each answer.
        ca_file: certificates to trust, in place of the system's; None for those.
        held: the tokens that an earlier call made, by who has them, as far as they are still known: InfluxDB keeps only
            their hashes, and cannot tell them again.
    """

    url: str
    org: str
    bucket: str
    username: str
    password: str = field(repr=False)
    admin_token: str = field(repr=False)
    retention_days: int = 90
    rollups_days: int = 0
    timeout_s: float = 30.0
    ca_file: Path | None = None
    held: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check the address; raises `SettingsError` where it is none."""
        check_url(self.url)

    @property
    def rollups_bucket(self) -> str:
        """Name of the bucket of rollups."""
        return rollups_bucket(self.bucket)


@dataclass(frozen=True, kw_only=True, slots=True)
class InfluxTokens:
    """The tokens; no repr shows them.

    Attributes:
        ingest: reads and writes readings.
        rollups: reads readings, reads and writes rollups.
        api: reads both.
        grafana: reads both.
    """

    ingest: str = field(repr=False)
    rollups: str = field(repr=False)
    api: str = field(repr=False)
    grafana: str = field(repr=False)


def rollups_bucket(bucket: str) -> str:
    """Name of the bucket that holds the rollups of the readings in another."""
    return f"{bucket}_rollups"


def provision(setup: InfluxSetup) -> InfluxTokens:
    """Bring an InfluxDB to what `setup` says.

    Args:
        setup: what is to be there.

    Returns:
        The tokens: those made by an earlier call where they are still known and still work, else new ones in their
        place.

    Raises:
        StoreUnavailableError: InfluxDB is away.
        StoreDeniedError: it is set up already and does not know the administrator's token.
        StoreRejectedError: it refuses a name, the password or the retention.
    """
    client: Any = InfluxDBClient(
        setup.url,
        setup.admin_token,
        org=setup.org,
        timeout=round(setup.timeout_s * 1000),
        enable_gzip=False,
        ssl_ca_cert=None if setup.ca_file is None else str(setup.ca_file),
    )
    try:
        with translated(f"InfluxDB at {setup.url} could not be set up"):
            _onboard(client, setup)
            org_id = _org(client, setup.org)
            readings = _bucket(client, setup.bucket, setup.retention_days, org_id)
            rollups = _bucket(client, setup.rollups_bucket, setup.rollups_days, org_id)
            wanted: dict[str, dict[str, tuple[str, ...]]] = {
                "ingest": {readings: _READ_WRITE},
                "rollups": {readings: _READ, rollups: _READ_WRITE},
                "api": {readings: _READ, rollups: _READ},
                "grafana": {readings: _READ, rollups: _READ},
            }
            tokens = {
                name: _token(
                    client, setup, name, [each for bucket in rights.items() for each in _rights(org_id, *bucket)]
                )
                for name, rights in wanted.items()
            }
            return InfluxTokens(**tokens)
    finally:
        client.close()


def _onboard(client: Any, setup: InfluxSetup) -> None:  # noqa: ANN401  (see above)
    service: Any = SetupService(client.api_client)
    if not service.get_setup().allowed:
        return
    request = OnboardingRequest(
        username=setup.username,
        password=setup.password,
        org=setup.org,
        bucket=setup.bucket,
        retention_period_seconds=setup.retention_days * _DAY_S,
        token=setup.admin_token,
    )
    service.post_setup(onboarding_request=request)


def _org(client: Any, name: str) -> str:  # noqa: ANN401  (see above)
    """The organisation's id; made where it is missing."""
    orgs = client.organizations_api()
    offset = 0
    while page := orgs.find_organizations(limit=_PAGE, offset=offset):
        for each in page:
            if each.name == name:
                return str(each.id)
        offset += len(page)
    return str(orgs.create_organization(name=name).id)


def _bucket(client: Any, name: str, days: int, org_id: str) -> str:  # noqa: ANN401  (see above)
    """The bucket's id; made where it is missing, its retention changed where it is another."""
    buckets = client.buckets_api()
    seconds = days * _DAY_S
    rules = [BucketRetentionRules(type="expire", every_seconds=seconds)]
    # Asked for one by name, InfluxDB answers 404 where it is missing, which is also what it says to who may not see it.
    found = [each for each in buckets.find_buckets_iter(org_id=org_id) if each.name == name]
    if not found:
        made = buckets.create_bucket(bucket_name=name, org=org_id, retention_rules=rules)
        return str(made.id)
    bucket = found[0]
    if sum(rule.every_seconds for rule in bucket.retention_rules) != seconds:
        bucket.retention_rules = rules
        buckets.update_bucket(bucket)
    return str(bucket.id)


def _rights(org_id: str, bucket_id: str, actions: Sequence[str]) -> list[Permission]:
    return [
        Permission(action=action, resource=PermissionResource(type="buckets", id=bucket_id, org_id=org_id))
        for action in actions
    ]


def _token(client: Any, setup: InfluxSetup, name: str, permissions: list[Permission]) -> str:  # noqa: ANN401  (see above)
    """The token of this purpose; made anew, in place of what is there, where that cannot be used."""
    authorizations = client.authorizations_api()
    description = f"courtyard {name} ({setup.bucket})"
    wanted = _plain(permissions)
    mine = [each for each in authorizations.find_authorizations(org=setup.org) if each.description == description]
    for each in mine:
        if each.status == "active" and _plain(each.permissions) == wanted:
            for token in (each.token, setup.held.get(name)):
                if token and _works(setup, token):
                    return str(token)
    org_id = permissions[0].resource.org_id
    made = authorizations.create_authorization(
        authorization=Authorization(org_id=org_id, permissions=permissions, description=description)
    )
    for each in mine:
        authorizations.delete_authorization(each)
    return str(made.token)


def _plain(permissions: Sequence[Permission]) -> set[tuple[str, str, str]]:
    return {(each.action, each.resource.type, each.resource.id) for each in permissions}


def _works(setup: InfluxSetup, token: str | None) -> bool:
    """Whether InfluxDB showed the token itself, and not a stand-in for it."""
    if not token:
        return False
    store = InfluxStore(
        InfluxOptions(
            url=setup.url, org=setup.org, bucket=setup.bucket, token=token, timeout_s=setup.timeout_s,
            ca_file=setup.ca_file,
        )
    )  # fmt: skip
    try:
        store.ping()
    except StoreDeniedError:
        return False
    finally:
        store.close()
    return True
