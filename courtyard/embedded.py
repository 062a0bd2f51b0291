"""The embedded broker of `make demo`: rumqttd, in a child process, bound to loopback.

It speaks MQTT 5 only through a configuration file with a `[v5.1]` section; its keyword arguments would bind 0.0.0.0 and
speak 3.1.1. It keeps sessions while it runs, nothing across a restart: readings are in the spool by then.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iotcore import Broker

from devices.errors import BrokerError
from devices.payloads import MAX_PAYLOAD_BYTES

_CONFIG = """\
id = 0

[router]
id = 0
max_connections = 2000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "v5"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {max_payload}
max_inflight_count = 100
dynamic_filters = true
"""


@contextmanager
def embedded_broker(port: int, folder: Path) -> Iterator[int]:
    """Run a broker on 127.0.0.1 until the block ends.

    Args:
        port: the port to listen on.
        folder: where its configuration file is written.

    Yields:
        The port.

    Raises:
        BrokerError: it does not come up, for example because the port is taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "broker.toml"
    config.write_text(_CONFIG.format(port=port, max_payload=4 * MAX_PAYLOAD_BYTES))
    logging.getLogger("iotcore").setLevel(logging.WARNING)
    os.environ.setdefault("IOTCORE_LOG_LEVEL", "ERROR")
    broker = Broker(config_path=str(config))
    try:
        broker.start()
    except (OSError, RuntimeError) as exc:
        raise BrokerError(f"the embedded broker does not start on port {port}: {exc}") from exc
    try:
        yield port
    finally:
        broker.stop()


def free_port(wanted: int) -> int:
    """`wanted` where nothing listens on it on loopback, else some free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise BrokerError("no free port on 127.0.0.1")
