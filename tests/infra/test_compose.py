"""docker-compose.yml is valid, asks for its secrets, and gives each service no more than it needs."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "docker-compose.yml"
SCHEMAS = (Path("/usr/lib/python3/dist-packages/compose/config/compose_spec.json"),)
"""Where Debian's docker-compose keeps the schema of the compose specification."""

ONE_SHOT = {"init", "certificates"}
UNSERVING = {"init", "certificates", "simulators", "desk"}
SECRET = re.compile(r"^([A-Z_]+(?:PASSWORD|TOKEN|KEY))=$", re.MULTILINE)


def _compose() -> list[str]:
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker"):
        return ["docker", "compose"]
    pytest.fail("docker-compose is missing; install it: scripts/services install (it needs no Docker engine)")


def _config(folder: Path, env: str) -> subprocess.CompletedProcess[str]:
    file = folder / "env"
    file.write_text(env)
    command = [
        *_compose(),
        "-f",
        str(FILE),
        "--env-file",
        str(file),
        "--profile",
        "simulators",
        "--profile",
        "desk",
        "config",
    ]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COURTYARD_")}
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)


def _example() -> str:
    return (ROOT / ".env.example").read_text()


def _filled() -> str:
    return SECRET.sub(r"\1=secret-of-\1", _example())


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The services as docker-compose understands them, with all secrets set."""
    done = _config(tmp_path_factory.mktemp("compose"), _filled())
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return found


def test_the_stack_is_whole(services: dict[str, Any]) -> None:
    assert set(services) == {
        "certificates", "mosquitto", "influxdb", "init", "ingest", "rollups", "alarms", "api", "grafana", "simulators",
        "desk",
    }  # fmt: skip
    assert services["simulators"]["profiles"] == ["simulators"]
    assert {name for name, service in services.items() if service.get("profiles")} == {"simulators", "desk"}


def test_it_keeps_to_the_compose_specification() -> None:
    schema = next((path for path in SCHEMAS if path.exists()), None)
    if schema is None:  # another docker-compose: it checks against its own, in `config`
        assert _compose() == ["docker", "compose"]
        return
    content = yaml.safe_load(FILE.read_text())
    jsonschema.Draft7Validator(json.loads(schema.read_text())).validate(content)


@pytest.mark.parametrize("name", SECRET.findall((ROOT / ".env.example").read_text()))
def test_a_secret_left_empty_is_refused_by_name(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    done = _config(tmp_path_factory.mktemp("empty"), re.sub(rf"^{name}=.*$", f"{name}=", _filled(), flags=re.MULTILINE))
    if name == "COURTYARD_MQTT_SIMULATORS_PASSWORD":
        assert done.returncode == 0  # without it there are no simulators
    else:
        assert done.returncode != 0
        assert name in done.stderr
        assert "run python -m courtyard secrets" in done.stderr


def test_every_variable_of_the_stack_is_explained_in_the_example() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", FILE.read_text()))
    explained = set(re.findall(r"^(?:# )?([A-Z_]+)=", _example(), re.MULTILINE))
    assert used == explained
    assert not re.search(r"^[A-Z_]*(PASSWORD|TOKEN|KEY)=.+$", _example(), re.MULTILINE), "a default password"


def test_ports_are_published_on_loopback_only(services: dict[str, Any]) -> None:
    published = {name: service.get("ports", []) for name, service in services.items()}
    assert {name for name, ports in published.items() if ports} == {"mosquitto", "api", "grafana"}
    for name, ports in published.items():
        for port in ports:
            host = port.get("host_ip") if isinstance(port, dict) else port.rsplit(":", 2)[0]
            assert host == "127.0.0.1", name


def test_every_service_is_confined(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert service["read_only"], name
        assert service["logging"]["options"]["max-size"], name
        if "build" not in service:
            assert service["user"].split(":")[0] not in {"0", "root"}, name
            assert re.search(r":\d+\.\d+", service["image"]), f"{name}: pin a version"


def test_every_service_restarts_and_says_whether_it_is_healthy(services: dict[str, Any]) -> None:
    for name, service in services.items():
        expected = "on-failure" if name in ONE_SHOT else "no" if name == "desk" else "unless-stopped"
        assert service["restart"] == expected
        assert (service["healthcheck"]["test"] == ["NONE"]) is (name in UNSERVING), name


def test_services_wait_for_what_they_need(services: dict[str, Any]) -> None:
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    made, first = {"init": "service_completed_successfully"}, {"certificates": "service_completed_successfully"}
    assert waits == {
        "certificates": {},
        "desk": {},
        "mosquitto": first,
        "influxdb": first,
        "init": {"influxdb": "service_healthy"},
        "ingest": {"mosquitto": "service_healthy", **made},
        "rollups": made,
        "alarms": made,
        "api": made,
        "grafana": made,
        "simulators": {"ingest": "service_healthy"},
    }


def test_each_service_knows_only_its_own_secrets(services: dict[str, Any]) -> None:
    known = {
        name: set(re.findall(r"secret-of-([A-Z_]+)", json.dumps(service.get("environment", {}))))
        for name, service in services.items()
    }
    assert known == {
        "mosquitto": {
            "COURTYARD_MQTT_INGEST_PASSWORD",
            "COURTYARD_MQTT_API_PASSWORD",
            "COURTYARD_MQTT_SIMULATORS_PASSWORD",
        },
        "certificates": set(),
        "desk": set(),
        "influxdb": set(),
        "init": {"COURTYARD_INFLUX_ADMIN_PASSWORD", "COURTYARD_INFLUX_ADMIN_TOKEN"},
        "ingest": {"COURTYARD_MQTT_INGEST_PASSWORD"},
        "rollups": set(),
        "alarms": set(),
        "api": {"COURTYARD_API_KEY", "COURTYARD_MQTT_API_PASSWORD"},
        "grafana": {"COURTYARD_GRAFANA_ADMIN_PASSWORD"},
        "simulators": {"COURTYARD_MQTT_SIMULATORS_PASSWORD"},
    }


def test_only_those_who_must_can_reach_the_store(services: dict[str, Any]) -> None:
    reach = {name: set(service.get("networks", ())) for name, service in services.items()}
    assert {name for name, networks in reach.items() if "store" in networks} == {
        "influxdb",
        "init",
        "ingest",
        "rollups",
        "alarms",
        "api",
        "grafana",
        "desk",
    }
    assert yaml.safe_load(FILE.read_text())["networks"]["store"] == {"internal": True}


def test_what_must_outlive_a_container_is_in_a_volume(services: dict[str, Any]) -> None:
    kept = {
        "mosquitto": "mosquitto-data:/mosquitto/data",
        "influxdb": "influxdb-data:/var/lib/influxdb2",
        "init": "tokens:/data/tokens",
        "ingest": "ingest-data:/data",
        "alarms": "records-data:/data",
        "api": "records-data:/data",
        "grafana": "grafana-data:/var/lib/grafana",
    }
    for name, volume in kept.items():
        assert any(str(each).startswith(volume) for each in services[name]["volumes"]), name


def test_mounted_files_exist(services: dict[str, Any]) -> None:
    sources = [str(each).split(":")[0] for service in services.values() for each in service.get("volumes", [])]
    paths = [Path(source) for source in sources if source.startswith("/")]
    assert paths
    assert all(path.exists() for path in paths)


def test_every_setting_given_to_courtyard_is_one() -> None:
    from courtyard.settings import Settings  # noqa: PLC0415  (the other tests do not need it)

    content = yaml.safe_load(FILE.read_text())
    for name in ("certificates", "init", "ingest", "rollups", "alarms", "api", "desk"):
        for variable in content["services"][name]["environment"]:
            assert variable.removeprefix("COURTYARD_").lower() in Settings.model_fields, variable


def test_grafana_is_provisioned_for_the_bucket_that_init_makes() -> None:
    from courtyard.settings import Settings  # noqa: PLC0415  (the other tests do not need it)

    folder = ROOT / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "influxdb.yaml").read_text())["datasources"]
    defaults = Settings(_env_file=None)
    assert source["jsonData"]["organization"] == defaults.influx_org
    assert source["jsonData"]["defaultBucket"] == defaults.influx_bucket
    assert source["secureJsonData"] == {"token": "$__file{/tokens/grafana}", "tlsCACert": "$__file{/trust/ca.crt}"}
    assert source["url"].startswith("https://")
    (provider,) = yaml.safe_load((folder / "dashboards" / "courtyard.yaml").read_text())["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in FILE.read_text()


def test_the_image_holds_every_package_and_runs_as_nobody_special() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text()
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    copied = set(re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE))
    assert set(packages) - {"grafana"} <= copied
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert copied == allowed
    assert all((ROOT / each).exists() for each in copied)
    assert "--require-hashes" in text
    assert re.search(r"^USER courtyard$", text, re.MULTILINE)
    assert text.index("USER courtyard") < text.index("ENTRYPOINT")
    assert "HEALTHCHECK" in text


def test_the_secrets_that_courtyard_makes_are_all_the_stack_needs(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("secrets")
    file, example = folder / "made", ROOT / ".env.example"
    command = [sys.executable, "-m", "courtyard", "secrets", "--file", str(file), "--example", str(example)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o077 == 0
    made = dict(re.findall(r"^([A-Z_]+)=(.*)$", file.read_text(), re.MULTILINE))
    secrets = [made[name] for name in SECRET.findall(_example())]
    assert len(set(secrets)) == len(secrets)
    assert all(len(secret) >= 16 for secret in secrets)  # what the broker's start script asks for
    assert _config(folder, file.read_text()).returncode == 0


def test_nothing_in_the_stack_is_plain(services: dict[str, Any]) -> None:
    text = FILE.read_text()
    plain = [line for line in text.splitlines() if "http://" in line]
    # Metrics of the workers are asked for within their own containers alone.
    assert all("127.0.0.1:9" in line for line in plain), plain
    assert services["influxdb"]["environment"]["INFLUXD_USE_HASHED_TOKENS"] == "true"
    for name in ("ingest", "api", "simulators"):
        settings = services[name]["environment"]
        assert (settings["COURTYARD_MQTT_PORT"], settings["COURTYARD_MQTT_CA_FILE"]) == ("8882", "/trust/ca.crt")
    published = [str(port) for service in services.values() for port in service.get("ports", [])]
    assert not any("8882" in port or "8086" in port for port in published), published


def test_the_key_of_the_authority_and_the_rights_to_delete_are_with_few(services: dict[str, Any]) -> None:
    def having(volume: str) -> set[str]:
        return {name for name, each in services.items() if any(volume in str(one) for one in each.get("volumes", []))}

    assert having("authority:/") == {"certificates", "desk"}
    assert having("backups:/") == {"desk"}
    tokens = {name: each.get("environment", {}).get("COURTYARD_INFLUX_TOKEN_FILE") for name, each in services.items()}
    assert {name for name, token in tokens.items() if token == "/tokens/ingest"} == {"ingest", "desk"}


OF_OTHER_IMAGES = {"mosquitto-data", "influxdb-data", "influxdb-config", "grafana-data"}


def test_volumes_are_made_so_that_their_users_can_read_them_and_no_others(services: dict[str, Any]) -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    made = {
        path: mode
        for mode, paths in re.findall(r"install -d -o courtyard -g courtyard -m (\d+) ([^&\n]+)", text)
        for path in paths.split()
    }
    where: dict[str, dict[str, str]] = {}
    for name, service in services.items():
        for volume in map(str, service.get("volumes", ())):
            source, target = volume.split(":")[:2]
            if not source.startswith(("/", ".")) and source not in OF_OTHER_IMAGES:
                where.setdefault(source, {})[name] = target
    assert {"trust", "broker", "tls-mosquitto", "authority", "records-data"} <= set(where)
    for source, targets in where.items():
        # A volume is made with the owner and mode of the folder of ours that it is first mounted on.
        modes = {made[target] for name, target in targets.items() if "build" in services[name] and target in made}
        strangers = {name for name in targets if "build" not in services[name]} - {"grafana"}  # it runs as our user
        assert modes, source
        if strangers:
            assert modes == {"0755"}, source
