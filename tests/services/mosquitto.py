"""The real mosquitto."""

import getpass
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.services.process import Service, ServiceError


@dataclass(kw_only=True)
class Mosquitto(Service):
    """A real mosquitto that accepts everyone on loopback and queues without a limit on the number of messages.

    Attributes:
        settings: lines of mosquitto.conf that replace the ones below by their keyword.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    config: Path | None = None
    """A whole configuration to start with instead; it must listen on `port`."""

    def environment(self) -> dict[str, str]:
        """The settings that point Courtyard at it."""
        return {"COURTYARD_MQTT_HOST": self.host, "COURTYARD_MQTT_PORT": str(self.port)}

    def _command(self) -> list[str]:
        binary = str(mosquitto_binary())
        if self.config is not None:
            return [binary, "-c", str(self.config)]
        lines = {
            "listener": f"{self.port} {self.host}",
            "user": getpass.getuser(),  # started as root it would become `mosquitto`, who cannot write here
            "allow_anonymous": "true",
            "persistence": "true",
            "persistence_location": f"{self.folder}/",
            "persistent_client_expiration": "30d",
            "max_queued_messages": "0",
            "max_inflight_messages": "10000",
            "max_packet_size": "268435455",
            "set_tcp_nodelay": "true",
            "log_dest": "stdout",
            **self.settings,
        }
        path = self.folder / "mosquitto.conf"
        path.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
        return [binary, "-c", str(path)]

    def _listeners(self) -> tuple[int, ...]:
        return (self.port,)

    def _answers(self) -> bool:
        # It opens one after another, and reads certificates in between.
        try:
            for port in self._listeners():
                socket.create_connection((self.host, port), timeout=1).close()
        except OSError:
            return False
        return True


def mosquitto_binary() -> Path:
    """The path of mosquitto.

    Raises:
        ServiceError: it is not installed.
    """
    # Debian puts servers into sbin, which is not on everyone's PATH.
    found = shutil.which("mosquitto", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ServiceError(
            "mosquitto is missing; install it: scripts/services install (runs apt-get install mosquitto)"
        )
    return Path(found)
