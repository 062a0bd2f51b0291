"""Install, or start, the real mosquitto and the real influxd 2.8 on loopback.

scripts/services install   installs mosquitto, its clients and docker-compose (Debian packages) where they are missing,
                           and builds influxd once per machine
scripts/services           starts both, prints the settings that point Courtyard at them, and runs until Ctrl-C
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.services import Influxd, Mosquitto, ServiceError, influxd_binary, mosquitto_binary


def main() -> int:
    """Do what the command line says; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["run", "install"], default="run")
    parser.add_argument("--mqtt-port", type=int, default=0, help="a free one unless given")
    parser.add_argument("--influx-port", type=int, default=0, help="a free one unless given")
    parser.add_argument("--folder", type=Path, help="keeps the data; a temporary folder unless given")
    options = parser.parse_args()
    try:
        if options.action == "install":
            install()
        else:
            run(options)
    except ServiceError as exc:
        say(str(exc))
        return 1
    return 0


def install() -> None:
    """Install what is missing.

    Raises:
        ServiceError: it cannot be installed here; the message says what to do by hand.
    """
    missing = []
    try:
        mosquitto_binary()
    except ServiceError:
        missing.append("mosquitto")
    if not shutil.which("mosquitto_sub"):
        missing.append("mosquitto-clients")  # the container's health check, tried by the tests
    if not shutil.which("chromium"):
        missing += ["chromium", "fonts-noto-cjk"]  # the browser that looks at the pages, and letters for it to show
    if not _has_compose():
        missing.append("docker-compose")  # `docker-compose config` checks docker-compose.yml; it needs no Docker engine
    if missing:
        _apt_install(missing)
    influxd_binary()


def _has_compose() -> bool:
    if shutil.which("docker-compose"):
        return True
    # A Docker command line may come without its plugin.
    docker = shutil.which("docker")
    return (
        docker is not None
        and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0
    )


def run(options: argparse.Namespace) -> None:
    """Start both services, print their settings, and wait for Ctrl-C or SIGTERM."""
    ended = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: ended.set())
    with ExitStack() as stack:
        folder = stack.enter_context(_folder(options.folder))
        mosquitto = stack.enter_context(Mosquitto(folder=folder / "mosquitto", port=options.mqtt_port))
        token = _kept_token(folder)
        influxd = stack.enter_context(Influxd(folder=folder / "influxd", port=options.influx_port, token=token))
        for name, value in {**mosquitto.environment(), **influxd.environment()}.items():
            print(f"export {name}={shlex.quote(value)}")
        sys.stdout.flush()
        say(f"mosquitto and influxd run; their logs are in {folder}. Ctrl-C ends them.")
        while not ended.wait(1):
            for service in (mosquitto, influxd):
                if not service.running:
                    raise ServiceError(f"{type(service).__name__} ended by itself; see {service.log}")


def _kept_token(folder: Path) -> str:
    """The admin token of the data in `folder`: influxd takes it at its first start only."""
    path = folder / "admin-token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(os.urandom(24).hex())
    return path.read_text()


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is None:
        with tempfile.TemporaryDirectory(prefix="courtyard-services-") as name:
            yield Path(name)
    else:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()


def _apt_install(packages: list[str]) -> None:
    by_hand = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if not shutil.which("apt-get"):
        raise ServiceError(f"{' and '.join(packages)}: missing, and this is no Debian; on Debian: {by_hand}")
    prefix = [] if os.geteuid() == 0 else ["sudo"]
    if prefix and not shutil.which("sudo"):
        raise ServiceError(f"{' and '.join(packages)}: missing; run as root: {by_hand}")
    say(f"installing {' and '.join(packages)} with apt-get ...")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        done = subprocess.run(
            [*prefix, "apt-get", *arguments], env=environment, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise ServiceError(f"apt-get {arguments[0]} failed:\n{done.stdout}{done.stderr}\nby hand: {by_hand}")


def say(text: str) -> None:
    """Tell the person at the terminal; stdout carries the settings only."""
    print(f"services: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
