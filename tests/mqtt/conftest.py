"""The brokers that the contract of `mqtt` is tried on: the real mosquitto, and the embedded one of `make demo`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from courtyard.embedded import embedded_broker
from mqtt.connection import Connection
from mqtt.options import BrokerOptions
from tests.services import Mosquitto, free_port


@pytest.fixture(scope="module", params=["mosquitto", "iotcore"])
def options(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerOptions]:
    """How to reach a broker of each make; shared by the module."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        if request.param == "mosquitto":
            port = stack.enter_context(Mosquitto(folder=folder)).port
        else:
            port = stack.enter_context(embedded_broker(free_port(), folder))
        yield BrokerOptions(port=port, timeout_s=5.0)


Connect = Callable[..., Connection]


@pytest.fixture
def connect(options: BrokerOptions) -> Iterator[Connect]:
    """Opens connections, and drops them after the test."""
    with ExitStack() as stack:

        def opened(client_id: str, **more: object) -> Connection:
            connection = Connection(options, client_id=client_id, **more)  # type: ignore[arg-type]  # passed through
            stack.callback(connection.abort)
            connection.open()
            return connection

        yield opened
