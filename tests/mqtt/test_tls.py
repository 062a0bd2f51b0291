"""TLS: the same connection over it, and no connection to a broker that nobody vouches for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.errors import BrokerError
from mqtt.connection import Connection
from mqtt.options import BrokerOptions
from tests.mqtt.drive import receipts, received
from tests.services import Mosquitto

pytestmark = pytest.mark.services

TLS = Path(__file__).parent / "tls"
CERTIFICATE = TLS / "only-for-tests.crt"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    settings = {"certfile": str(CERTIFICATE), "keyfile": str(TLS / "only-for-tests.key")}
    with Mosquitto(folder=tmp_path_factory.mktemp("tls"), settings=settings) as service:
        yield service


def test_messages_pass_over_tls(secure: Mosquitto) -> None:
    options = BrokerOptions(port=secure.port, ca_file=CERTIFICATE)
    with Connection(options, client_id="r") as reader, Connection(options, client_id="w") as writer:
        reader.subscribe("t")
        payloads = [bytes([number]) * 3000 for number in range(200)] + [b"x" * 1_000_000]
        for payload in payloads:
            writer.publish("t", payload)
        found = received(reader, len(payloads), writer)
        assert [message.payload for message in found] == payloads
        assert len(receipts(writer, len(payloads))) == len(payloads)


def test_an_unknown_certificate_is_refused(secure: Mosquitto) -> None:
    other = TLS / "other.crt"
    with pytest.raises(BrokerError, match="certificate verify failed"):
        Connection(BrokerOptions(port=secure.port, ca_file=other), client_id="c").open()


def test_a_missing_ca_file_is_an_error(secure: Mosquitto, tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="cannot be read"):
        Connection(BrokerOptions(port=secure.port, ca_file=tmp_path / "none"), client_id="c").open()


def test_a_plain_connection_to_a_tls_port_is_an_error(secure: Mosquitto) -> None:
    with pytest.raises(BrokerError):
        Connection(BrokerOptions(port=secure.port, timeout_s=1), client_id="c").open()
