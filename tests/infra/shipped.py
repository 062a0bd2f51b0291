"""The broker with the files of the production stack; only paths, ports and the user are this machine's."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from access.authority import Authority, Issued, write_private
from access.broker_files import Role
from access.enrolment import Enrolled, Enrolment, user_of
from courtyard.broker_folder import write_broker_folder
from courtyard.server_certificates import renewed
from devices.inventory import Inventory
from records.database import Database
from tests.infra.mqtt_client import Client
from tests.services import Mosquitto, free_port

FOLDER = Path(__file__).resolve().parent.parent.parent / "docker" / "mosquitto"
INGEST, API, SIMULATORS = "i" * 24, "a" * 24, "s" * 24
SECRETS = {
    "COURTYARD_MQTT_INGEST_PASSWORD": INGEST,
    "COURTYARD_MQTT_API_PASSWORD": API,
    "COURTYARD_MQTT_SIMULATORS_PASSWORD": SIMULATORS,
}


def environment(folder: Path, secrets: Mapping[str, str] = SECRETS) -> dict[str, str]:
    """What the start script is given."""
    path = os.environ["PATH"] + ":/usr/bin:/usr/sbin"
    return {"PATH": path, "RUN": str(folder / "run"), "ENROLLED": str(folder / "broker"), **secrets}


def prepare(folder: Path) -> None:
    """What `courtyard certificates` does."""
    (folder / "run").mkdir(parents=True, exist_ok=True)
    authority = Authority.opened(folder / "authority")
    renewed(authority, folder / "tls", ["localhost", "127.0.0.1"], days_left=30)
    database = Database(f"sqlite:///{folder / 'records.db'}")
    database.migrate()
    write_broker_folder(folder / "broker", Enrolment(database), authority, now_ns=time.time_ns())
    database.close()


def run_entrypoint(folder: Path, secrets: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The start script, with nothing to start."""
    # Into a file: what it leaves running, until it sees that it is alone, would keep a pipe open.
    said = folder / "said.txt"
    with said.open("wb") as file:
        done = subprocess.run(
            ["/bin/sh", str(FOLDER / "entrypoint.sh"), "true"],
            env=environment(folder, secrets),
            stdout=file,
            stderr=file,
            check=False,
        )
    return subprocess.CompletedProcess(done.args, done.returncode, "", said.read_text())


@dataclass(kw_only=True)
class Shipped(Mosquitto):
    """The broker; `port` is that of our own programs."""

    secrets: Mapping[str, str] = field(default_factory=lambda: SECRETS)
    devices: int = field(default_factory=free_port)
    certificates: int = field(default_factory=free_port)

    @property
    def ca(self) -> Path:
        """What clients trust."""
        return self.folder / "tls" / "ca.crt"

    def enroll(
        self, inventory: Inventory, *names: str, role: Role = Role.DEVICE, certificate: bool = False
    ) -> list[Enrolled]:
        """What `courtyard devices enroll` does."""
        authority = Authority.opened(self.folder / "authority")
        users = [user_of(inventory, name, role) for name in names]
        database = Database(f"sqlite:///{self.folder / 'records.db'}")
        enrolment = Enrolment(database)
        given = enrolment.enroll(users, now_ns=time.time_ns(), authority=authority if certificate else None)
        write_broker_folder(self.folder / "broker", enrolment, authority, now_ns=time.time_ns())
        database.close()
        self.await_taken()
        return given

    def revoke(self, *names: str) -> None:
        """What `courtyard devices revoke` does."""
        database = Database(f"sqlite:///{self.folder / 'records.db'}")
        enrolment = Enrolment(database)
        enrolment.revoke(names, now_ns=time.time_ns())
        authority = Authority.opened(self.folder / "authority")
        write_broker_folder(self.folder / "broker", enrolment, authority, now_ns=time.time_ns())
        database.close()
        self.await_taken()

    def await_taken(self) -> None:
        """Wait until the start script has seen it, and the broker has read it."""
        names = ("devices.passwords", "devices.acl", "devices.crl")
        end = time.monotonic() + 10
        while any((self.folder / "run" / each).read_bytes() != (self.folder / "broker" / each).read_bytes()
                  for each in names):  # fmt: skip
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.5)

    def inside(self, client_id: str, username: str, password: str, *, session_s: int = 0) -> Client:
        """A client at the way in of our own programs."""
        return Client(self, client_id, username, password, session_s=session_s, ca=self.ca)

    def device(self, given: Enrolled, client_id: str = "", *, old: bool = False, **more: object) -> Client:
        """A client that has what somebody was given."""
        if given.issued is not None:
            return Client(
                self, client_id or given.name, port=self.certificates, ca=self.ca, old=old,
                certificate=self.kept(given.name, given.issued), **more,  # type: ignore[arg-type]
            )  # fmt: skip
        return Client(
            self, client_id or given.name, given.name, given.secret, port=self.devices, ca=self.ca, old=old,
            **more,  # type: ignore[arg-type]
        )  # fmt: skip

    def kept(self, name: str, issued: Issued) -> tuple[Path, Path]:
        """A certificate and its key as files."""
        paths = self.folder / f"{name}-{issued.serial[:8]}.crt", self.folder / f"{name}-{issued.serial[:8]}.key"
        write_private(paths[0], issued.certificate)
        write_private(paths[1], issued.key)
        return paths

    def _listeners(self) -> tuple[int, ...]:
        return (self.port, self.devices, self.certificates)

    def _command(self) -> Sequence[str]:  # type: ignore[override]
        if not (self.folder / "broker").exists():
            prepare(self.folder)
        text = (FOLDER / "mosquitto.conf").read_text()
        here = {
            "listener 8882": f"listener {self.port} 127.0.0.1\nuser {os.environ.get('USER', 'root')}",
            "listener 8883": f"listener {self.devices} 127.0.0.1",
            "listener 8884": f"listener {self.certificates} 127.0.0.1",
            "/tls/": f"{self.folder}/tls/",
            "/run/mosquitto/": f"{self.folder}/run/",
            "/mosquitto/config/acl": str(FOLDER / "acl"),
            "/mosquitto/data/": f"{self.folder}/",
        }
        for shipped, local in here.items():
            assert shipped in text, shipped
            text = text.replace(shipped, local)
        (self.folder / "shipped.conf").write_text(text)
        variables = [f"{name}={value}" for name, value in environment(self.folder, self.secrets).items()]
        binary = super()._command()[0]
        return ["env", *variables, "/bin/sh", str(FOLDER / "entrypoint.sh"), binary, "-c",
                str(self.folder / "shipped.conf")]  # fmt: skip
