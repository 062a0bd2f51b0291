"""Who takes part in the ingest benchmark: each a process that brings messages from the broker into InfluxDB."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services import Bucket, Mosquitto, free_port

_ROOT = Path(__file__).resolve().parent.parent
_BUILD = _ROOT / "scripts" / "build-telegraf"
_STOP_S = 60.0

# The settings that were fastest in trials: a body as large as ours, requests that are not compressed on one machine,
# and enough messages under way to fill two batches.
_TELEGRAF = """
[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_batch_size = {batch}
  metric_buffer_limit = 1000000
  omit_hostname = true
  quiet = true

[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{port}"]
  topics = ["compounds/+/+/+/+"]
  qos = 1
  persistent_session = true
  client_id = "{client_id}"
  max_undelivered_messages = {undelivered}
  topic_tag = ""
  name_override = "charger_telemetry"
  data_format = "json"
  tag_keys = ["connector"]
  json_string_fields = ["status", "error"]
  json_time_key = "ts"
  json_time_format = "unix_ms"
  fieldexclude = ["seq", "boot"]
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "compounds/+/+/+/+"
    tags = "_/compound/_/device/_"

[[outputs.influxdb_v2]]
  urls = ["{url}"]
  organization = "{org}"
  bucket = "{bucket}"
  token = "{token}"
  content_encoding = "identity"
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """Where a run takes place.

    Attributes:
        broker: the broker, with the contender's session and the messages in it.
        bucket: where the readings are to go.
        inventory: the inventory file.
        folder: the contender's own.
        per_message: how many readings a message holds.
    """

    broker: Mosquitto
    bucket: Bucket
    inventory: Path
    folder: Path
    per_message: int


@dataclass(frozen=True, slots=True)
class Contender:
    """One contender.

    Attributes:
        name: what it is called in the tables, and its client id.
        program: what it is.
    """

    name: str
    program: str

    @contextmanager
    def running(self, course: Course) -> Iterator[subprocess.Popen[bytes]]:
        """Run it on a course; leaving the block ends it."""
        course.folder.mkdir(parents=True)
        command = _COMMANDS[self.program](self.name, course)
        with (course.folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=_ROOT, env=_environment(self, course), process_group=0
            )
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


OURS = Contender("ours", "ours")
TEXTBOOK = Contender("textbook", "textbook")
TELEGRAF = Contender("telegraf", "telegraf")


def _ours(_: str, __: Course) -> list[str]:
    return [sys.executable, "-m", "courtyard", "ingest"]


def _textbook(_: str, __: Course) -> list[str]:
    return [sys.executable, "-m", "benchmarks._textbook"]


def _telegraf(client_id: str, course: Course) -> list[str]:
    config = course.folder / "telegraf.conf"
    batch = 10_000
    config.write_text(
        _TELEGRAF.format(
            batch=batch,
            undelivered=max(1000, 2 * batch // course.per_message),
            client_id=client_id,
            port=course.broker.port,
            url=course.bucket.url,
            org=course.bucket.org,
            bucket=course.bucket.bucket,
            token=course.bucket.token,
        )
    )
    return [telegraf_binary(), "--config", str(config)]


_COMMANDS: Mapping[str, Callable[[str, Course], list[str]]] = {
    "ours": _ours,
    "textbook": _textbook,
    "telegraf": _telegraf,
}


def telegraf_binary() -> str:
    """The path of Telegraf; `COURTYARD_TELEGRAF`, or built once per machine by `scripts/build-telegraf`."""
    given = os.environ.get("COURTYARD_TELEGRAF")
    if given:
        return given
    return subprocess.run([str(_BUILD)], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


def _environment(contender: Contender, course: Course) -> dict[str, str]:
    """Courtyard's settings, which the textbook pipeline reads as well; none of the caller's."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("COURTYARD_")}
    return {
        **ours,
        **course.broker.environment(),
        "COURTYARD_MQTT_CLIENT_ID": contender.name,
        "COURTYARD_STORE": "influx",
        "COURTYARD_INFLUX_URL": course.bucket.url,
        "COURTYARD_INFLUX_ORG": course.bucket.org,
        "COURTYARD_INFLUX_BUCKET": course.bucket.bucket,
        "COURTYARD_INFLUX_TOKEN": course.bucket.token,
        "COURTYARD_INVENTORY": str(course.inventory),
        "COURTYARD_DATA_DIR": str(course.folder / "data"),
        "COURTYARD_METRICS_PORT": str(free_port()),
    }
