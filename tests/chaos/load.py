"""A load of numbered readings: python -m tests.chaos.load SPEC FOLDER.

Each device numbers its readings without a gap. A message is kept until its PUBACK says 0x00, sent again until it does,
and only then written down, so that what has to be in the store is known exactly: `FOLDER/acknowledged.bin`, one record
per message. SIGTERM ends the making of new readings; the process ends when all that it has sent is acknowledged.
"""

import json
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from devices.errors import BrokerError
from devices.inventory import Device, Inventory
from devices.kind import Channel
from devices.registry import discover
from devices.topics import Topic
from mqtt.connection import SUCCESS, Connection, wait
from mqtt.options import BrokerOptions

RECORD = np.dtype([("device", "<u4"), ("number", "<u4"), ("count", "<u4"), ("ts", "<i8")])
"""One acknowledged message: number of its device in the inventory, number of its first reading, readings, their ts."""

BOOT_NUMBERS = 1_000_000
"""A reading is numbered by its seq plus this for each boot."""
NUMBERED = {"charger": "energy_wh", "gate": "uptime_s"}
"""The kinds that send, and the telemetry field that repeats the number, so that contents are compared too."""

_CHARGER = (
    '{"ts":%d,"seq":%d,"boot":%d,"connector":1,"status":"Charging","error":"NoError","energy_wh":%d,'
    '"power_w":6900.5,"current_a":29.75,"voltage_v":231.5,"temp_c":41.25}'
)
_GATE = '{"ts":%d,"seq":%d,"boot":%d,"door":"closed","tamper":false,"uptime_s":%d}'
_TEMPLATES = {"charger": _CHARGER, "gate": _GATE}
_POISON = (
    ("json", b"not json"),
    ("json", b'{"ts":1,"seq":'),
    ("encoding", b"\xff\xfe\x00"),
    ("empty", b"[]"),
    ("type", b'{"ts":"yesterday","seq":0}'),
    ("empty", b""),
)
"""What no device should send, and why it is refused."""
_TURN_S = 0.01
_BEHIND_S = 2.0
_REFUSED_PAUSE_S = 0.2
_LAST_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What to send.

    Attributes:
        port: the broker's port on loopback.
        inventory: path of the inventory file; its chargers and gates send.
        rate: readings a second over all devices, or 0 for as fast as the broker takes them.
        batch: readings of one device in one message.
        window: messages without a PUBACK at any time.
        poison: one message in so many is one that no device should send; 0 for none.
        hot: how many messages the first device sends for each one of another device.
        boot: the boot of all devices; the seq of each begins with 0.
    """

    port: int
    inventory: str
    rate: float = 200.0
    batch: int = 1
    window: int = 500
    poison: int = 0
    hot: int = 1
    boot: int = 1

    def save(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(json.dumps(asdict(self)))


class _Message(NamedTuple):
    topic: str
    payload: bytes
    device: int  # -1: poison
    number: int
    readings: int
    ts: int


class Load:
    """Makes and sends the readings."""

    def __init__(self, spec: Spec, folder: Path) -> None:
        """Prepare; `run` sends."""
        self.ending = False
        self._spec = spec
        self._folder = folder
        inventory = Inventory.parse(Path(spec.inventory).read_text(encoding="utf-8"), discover())
        self._devices = senders(inventory)
        self._next = [0] * len(self._devices)
        self._made = 0
        self._poisoned: Counter[str] = Counter()
        self._refused = 0
        self._reconnects = 0
        self._waiting: deque[_Message] = deque()
        self._flying: dict[int, _Message] = {}
        self._retry_at = 0.0
        self._connection = Connection(
            BrokerOptions(port=spec.port, timeout_s=5.0), client_id=f"load-{time.time_ns():x}", session_expiry_s=0
        )

    def run(self) -> None:
        """Send until told to end, then until all is acknowledged.

        Raises:
            BrokerError: the broker did not acknowledge everything in time.
        """
        messages = self._messages()
        deadline = 0.0
        began = time.monotonic()
        with (self._folder / "acknowledged.bin").open("wb") as log:
            while True:
                if self.ending:
                    deadline = deadline or time.monotonic() + _LAST_S
                    if not self._waiting and not self._flying:
                        break
                    if time.monotonic() > deadline:
                        raise BrokerError(f"{len(self._waiting) + len(self._flying)} messages are not acknowledged")
                else:
                    began = self._make(messages, began)
                self._exchange(log)
        self._connection.close()
        summary = {
            "made": self._made,
            "poison": self._poisoned,
            "refused": self._refused,
            "reconnects": self._reconnects,
            "seconds": time.monotonic() - began,
        }
        (self._folder / "load.json").write_text(json.dumps(summary))

    def _make(self, messages: Iterator[_Message], began: float) -> float:
        """Make what is due; who has fallen behind does not catch up in one burst. Returns when the count began."""
        spec, now = self._spec, time.monotonic()
        room = spec.window - len(self._waiting) - len(self._flying)
        if spec.rate:
            behind = (now - began) - self._made / spec.rate
            if behind > _BEHIND_S:
                began += behind - _BEHIND_S
            room = min(room, int(behind * spec.rate / spec.batch))
        for _ in range(room):
            self._waiting.append(next(messages))
        return began

    def _messages(self) -> Iterator[_Message]:
        spec = self._spec
        order = [0] * (spec.hot - 1) + list(range(len(self._devices)))
        poison = cycle(_POISON)
        for turn, place in enumerate(cycle(order)):
            device = self._devices[place]
            topic = str(Topic(device.compound, device.kind, device.id, Channel.TELEMETRY))
            if spec.poison and turn % spec.poison == spec.poison - 1:
                reason, payload = next(poison)
                self._poisoned[reason] += 1
                yield _Message(topic, payload, -1, 0, 1, 0)
                continue
            seq, ts = self._next[place], time.time_ns() // 1_000_000
            self._next[place] = seq + spec.batch
            self._made += spec.batch
            template = _TEMPLATES[device.kind]
            number = spec.boot * BOOT_NUMBERS + seq
            objects = [template % (ts, seq + each, spec.boot, number + each) for each in range(spec.batch)]
            text = objects[0] if spec.batch == 1 else f"[{','.join(objects)}]"
            yield _Message(topic, text.encode(), place, number, spec.batch, ts)

    def _exchange(self, log: BinaryIO) -> None:
        connection = self._connection
        if not connection.is_open:
            self._reopen()
            return
        wait([connection], _TURN_S)
        connection.step()
        self._settle(log)
        if time.monotonic() < self._retry_at:
            return
        window = min(self._spec.window, connection.window)
        while self._waiting and len(self._flying) < window:
            message = self._waiting[0]
            try:
                mid = connection.publish(message.topic, message.payload)
            except BrokerError:
                break  # gone; noticed in the next turn
            self._waiting.popleft()
            self._flying[mid] = message
        connection.flush()

    def _settle(self, log: BinaryIO) -> None:
        done = []
        for mid, code in self._connection.take_receipts():
            message = self._flying.pop(mid, None)
            if message is None:
                continue
            if code != SUCCESS:
                self._refused += 1
                self._waiting.append(message)
                self._retry_at = time.monotonic() + _REFUSED_PAUSE_S
            elif message.device >= 0:
                done.append((message.device, message.number, message.readings, message.ts))
        if done:
            log.write(np.array(done, RECORD).tobytes())
            log.flush()

    def _reopen(self) -> None:
        self._waiting.extendleft(reversed(self._flying.values()))
        self._flying.clear()
        try:
            self._connection.open()
        except BrokerError:
            time.sleep(0.1)
        else:
            self._reconnects += 1


def senders(inventory: Inventory) -> list[Device]:
    """The devices that send, in the order of their numbers in `RECORD`."""
    return [device for device in inventory.devices.values() if device.kind in NUMBERED]


def main() -> int:
    """Run as the command line says; the exit status."""
    spec = Spec(**json.loads(Path(sys.argv[1]).read_text()))
    load = Load(spec, Path(sys.argv[2]))

    def end(*_: object) -> None:
        load.ending = True

    signal.signal(signal.SIGTERM, end)
    load.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
