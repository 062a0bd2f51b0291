"""The pipeline that a textbook would write: paho's callback, `json`, a `Point` for each reading, the batching writer.

It is a contender of `benchmarks.ingest`, and gets its settings by the same environment as Courtyard.
"""

# The client types only half of itself.
# mypy: disable-error-code="no-untyped-call"

import json
import os
import signal
from typing import Any

import paho.mqtt.client as mqtt
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import WriteOptions
from influxdb_client.domain.write_precision import WritePrecision
from paho.mqtt.enums import CallbackAPIVersion

_LABELS = ("status", "error")
_NUMBERS = ("energy_wh", "power_w", "current_a", "voltage_v", "temp_c", "soc")


def points(topic: str, payload: bytes | bytearray) -> list[Point]:
    """The points of a message."""
    _, compound, kind, device, channel = topic.split("/")
    read = json.loads(payload)
    made = []
    for row in read if isinstance(read, list) else [read]:
        point = Point(f"{kind}_{channel}").tag("compound", compound).tag("device", device).tag("part", row["connector"])
        for name in _LABELS:
            point.field(name, row[name])
        for name in _NUMBERS:
            if name in row:
                point.field(name, float(row[name]))
        made.append(point.time(row["ts"], WritePrecision.MS))
    return made


def main() -> None:
    """Run until SIGTERM."""
    env = os.environ
    bucket = env["COURTYARD_INFLUX_BUCKET"]
    influx = InfluxDBClient(env["COURTYARD_INFLUX_URL"], env["COURTYARD_INFLUX_TOKEN"], org=env["COURTYARD_INFLUX_ORG"])
    writer = influx.write_api(WriteOptions(batch_size=5000, flush_interval=1000))

    def on_message(_client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:  # noqa: ANN401  (paho's own types)
        writer.write(bucket, record=points(message.topic, message.payload))

    def on_connect(client: mqtt.Client, *_: object) -> None:
        client.subscribe("compounds/+/+/+/+", qos=1)

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=env["COURTYARD_MQTT_CLIENT_ID"], clean_session=False)
    client.on_message = on_message
    client.on_connect = on_connect
    client.connect("127.0.0.1", int(env["COURTYARD_MQTT_PORT"]))
    client.loop_start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    client.loop_stop()
    writer.close()
    influx.close()


if __name__ == "__main__":
    main()
