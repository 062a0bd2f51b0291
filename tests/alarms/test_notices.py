"""Who is told, of what, when; and what becomes of targets that fail."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.header import decode_header, make_header
from email.message import Message as EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from alarms.alarm import Wanted
from alarms.book import Book
from alarms.messages import Composer
from alarms.outbox import Outbox
from alarms.post import post_to
from alarms.sender import Sender
from alarms.standing import Change, Subject, What
from alarms.targets import Target, parse
from devices.alarms import Severity
from devices.errors import SettingsError
from devices.inventory import Inventory
from devices.registry import Registry
from records.database import Database
from tests.services import free_port

S = 1_000_000_000
NOON = 1_764_475_200 * S  # 2025-11-30, 12:00 in Shanghai
BIN = Subject("bin", "full", "jingyuan", "jingyuan-bin-01", "kitchen")
GATE = Subject("gate", "forced", "jingyuan", "jingyuan-gate-01")
CUT = Subject("", "uplink_down", "shuichang")


def target(**said: object) -> Target:
    return Target.model_validate({"name": "manager", "url": "json://127.0.0.1:9/", **said})


class Post:
    """Takes messages, or not."""

    def __init__(self) -> None:
        """Take them."""
        self.taken: list[tuple[str, str]] = []
        self.works = True

    def __call__(self, title: str, body: str) -> bool:
        if self.works:
            self.taken.append((title, body))
        return self.works


class Office:
    """A book, an outbox, and a clock."""

    def __init__(self, folder: Path, registry: Registry, inventory: Inventory) -> None:
        """Open them."""
        self.now_ns = NOON
        self.database = Database(f"sqlite:///{folder / 'records.db'}")
        self.database.migrate()
        self.book, self.outbox = Book(self.database), Outbox(self.database)
        self.composer = Composer(registry, inventory)
        self.post = Post()

    def happen(self, *changes: tuple[What, Subject, Severity], targets: tuple[Target, ...]) -> None:
        """Alarms are raised and cleared."""
        made = [(Change(what, of, self.now_ns, self.now_ns - S, "0.97"), grade) for what, of, grade in changes]
        self.book.write(made, {}, {}, targets=targets, now_ns=self.now_ns)

    def sender(self, of: Target) -> Sender:
        """What sends to a target."""
        return Sender(of, self.outbox, self.composer, self.post, clock=lambda: self.now_ns)


@pytest.fixture
def office(tmp_path: Path, registry: Registry, inventory: Inventory) -> Iterator[Office]:
    found = Office(tmp_path, registry, inventory)
    yield found
    found.database.close()


def test_alarms_are_gathered_and_told_once(office: Office) -> None:
    of = target(digest_s=30)
    sender = office.sender(of)
    office.happen((What.RAISED, BIN, Severity.MAJOR), targets=(of,))
    assert not sender.turn()
    office.now_ns += 20 * S
    office.happen(
        (What.CLEARED, BIN, Severity.MAJOR), (What.RAISED, BIN._replace(part="residual"), Severity.MAJOR), targets=(of,)
    )
    office.now_ns += 10 * S
    assert sender.turn()
    assert not office.sender(of).turn()
    ((title, body),) = office.post.taken
    assert title == "[重要 MAJOR] 警苑小区 Jingyuan: 2 发生 raised, 1 恢复 cleared"
    first, second, third = body.splitlines()
    assert first == (
        "11-30 12:00 重要 MAJOR 发生 raised: 垃圾箱已满 Bin full, 警苑小区 Jingyuan jingyuan-bin-01 kitchen (0.97) — "
        "安排清运。 Have it emptied."
    )
    assert "恢复 cleared" in second
    assert "residual" in third


def test_what_is_critical_waits_for_nobody(office: Office) -> None:
    of = target(digest_s=3600, language="zh")
    office.happen((What.RAISED, BIN, Severity.MAJOR), targets=(of,))
    assert not office.sender(of).turn()
    office.happen((What.RAISED, GATE, Severity.CRITICAL), targets=(of,))
    assert office.sender(of).turn()
    ((title, body),) = office.post.taken
    assert title == "[紧急] 警苑小区: 2 发生"
    assert body.splitlines()[0].startswith("11-30 12:00 紧急 发生: 强行开门")


def test_at_night_only_what_is_critical_is_told(office: Office) -> None:
    of = target(digest_s=0, quiet="22:00-07:00", language="en")
    office.now_ns = NOON + 11 * 3600 * S  # 23:00
    office.happen((What.RAISED, BIN, Severity.MAJOR), (What.RAISED, GATE, Severity.CRITICAL), targets=(of,))
    assert office.sender(of).turn()
    assert [title for title, _ in office.post.taken] == ["[CRITICAL] Jingyuan: 1 raised"]
    office.now_ns += 7 * 3600 * S
    assert not office.sender(of).turn()
    office.now_ns += 2 * 3600 * S
    assert office.sender(of).turn()
    assert office.post.taken[-1][0] == "[MAJOR] Jingyuan: 1 raised"


def test_a_storm_is_at_most_the_configured_number_of_messages(office: Office, inventory: Inventory) -> None:
    of = target(digest_s=0, most_per_hour=3, language="en")
    sender = office.sender(of)
    for name in inventory.compounds:
        office.happen((What.RAISED, CUT._replace(compound=name), Severity.CRITICAL), targets=(of,))
        office.now_ns += 2 * S
        sender.turn()
    assert len(office.post.taken) == 3
    office.now_ns += 3600 * S
    assert sender.turn()
    title, body = office.post.taken[-1]
    assert title.endswith("19 raised")
    assert len(body.splitlines()) == len(inventory.compounds) - 3


def test_ten_thousand_alarms_make_one_message_of_a_page(office: Office) -> None:
    of = target(digest_s=0, most_per_hour=100, language="en")
    many = [(What.RAISED, BIN._replace(part=f"p{number}"), Severity.MINOR) for number in range(10_000)]
    office.happen(*many, targets=(of,))
    while office.sender(of).turn():
        office.now_ns += S
    assert 1 <= len(office.post.taken) <= 10
    assert all(len(body.splitlines()) <= 51 for _, body in office.post.taken)
    assert office.post.taken[0][1].endswith("see /v1/alarms")


def test_a_target_that_fails_is_tried_again_later(office: Office) -> None:
    of = target(digest_s=0)
    office.happen((What.RAISED, BIN, Severity.MAJOR), targets=(of,))
    office.post.works = False
    assert not office.sender(of).turn()
    office.post.works = True
    assert not office.sender(of).turn()
    office.now_ns += 11 * S
    assert office.sender(of).turn()
    office.happen((What.CLEARED, BIN, Severity.MAJOR), targets=(of,))
    office.post.works = False
    for _ in range(110):
        office.sender(of).turn()
        office.now_ns += 901 * S
    office.post.works = True
    assert not office.sender(of).turn()  # it was given up
    assert office.book.find(Wanted(), limit=1)[0] == 0


def test_who_is_told_late_is_told_if_nobody_has_taken_it_on(office: Office) -> None:
    of = target(digest_s=0, after_s=600, language="en")
    other = BIN._replace(part="residual")
    office.happen((What.RAISED, BIN, Severity.MAJOR), (What.RAISED, other, Severity.MAJOR), targets=(of,))
    taken = office.book.find(Wanted(), limit=10)[1]
    office.book.acknowledge(next(each.id for each in taken if each.part == "kitchen"), by="Li", note="", now_ns=NOON)
    assert not office.sender(of).turn()
    office.now_ns += 600 * S
    assert office.sender(of).turn()
    ((_, body),) = office.post.taken
    assert "residual" in body
    assert "kitchen" not in body
    office.happen((What.CLEARED, BIN, Severity.MAJOR), (What.CLEARED, other, Severity.MAJOR), targets=(of,))
    assert office.sender(of).turn()
    assert "kitchen" not in office.post.taken[-1][1]
    assert not office.sender(of).turn()


def test_what_nobody_takes_on_is_told_again(office: Office) -> None:
    of = target(digest_s=0, repeat_s=900)
    office.happen((What.RAISED, BIN, Severity.MAJOR), targets=(of,))
    for _ in range(3):
        assert office.sender(of).turn()
        assert not office.sender(of).turn()
        office.now_ns += 900 * S
    (alarm,) = office.book.find(Wanted(), limit=10)[1]
    office.book.acknowledge(alarm.id, by="Li", note="", now_ns=office.now_ns)
    assert not office.sender(of).turn()
    assert not office.outbox.waiting(of.name, office.now_ns)


def test_of_what_is_snoozed_nobody_is_told_until_then(office: Office) -> None:
    of = target(digest_s=0)
    office.happen((What.RAISED, GATE, Severity.CRITICAL), targets=(of,))
    (alarm,) = office.book.find(Wanted(), limit=10)[1]
    office.book.snooze(alarm.id, by="Li", until_ns=office.now_ns + 60 * S)
    assert not office.sender(of).turn()
    office.now_ns += 60 * S
    assert office.sender(of).turn()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, 2),
        ({"cleared": False}, 1),
        ({"severities": ["critical"]}, 0),
        ({"compounds": ["shuichang"]}, 0),
        ({"compounds": ["jingyuan"], "severities": ["major"]}, 2),
    ],
)
def test_a_target_is_told_what_it_asked_for(office: Office, said: dict[str, object], told: int) -> None:
    of = target(digest_s=0, **said)
    office.happen((What.RAISED, BIN, Severity.MAJOR), targets=(of,))
    office.happen((What.CLEARED, BIN, Severity.MAJOR), targets=(of,))
    assert len(office.outbox.waiting(of.name, office.now_ns)) == told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not YAML: line 1"),
        ("- 7", "are wrong"),
        ("- {name: a}", "0.url: Field required"),
        ("- {name: A b, url: secret://x}", "0.name"),
        ("- {name: a, url: secret://x, quiet: late}", "0.quiet"),
        ("- {name: a, url: secret://x, quiet: '24:00-07:00'}", "0.quiet"),
        ("- {name: a, url: secret://x, timezone: Mars/Base}", "no time zone 'Mars/Base'"),
        ("- {name: a, url: secret://x, digest_s: soon}", "0.digest_s"),
        ("- {name: a, url: secret://x, most_per_hour: 0}", "0.most_per_hour"),
        ("- {name: a, url: secret://x, severities: [fatal]}", "0.severities"),
        ("- {name: a, url: secret://x, compounds: [nowhere]}", "no compound 'nowhere'"),
        ("- {name: a, url: secret://x, colour: red}", "0.colour: Extra"),
        ("- {name: a, url: secret://x}\n- {name: a, url: secret://y}", "two have one name"),
    ],
)
def test_a_wrong_file_says_where_and_keeps_its_secrets(text: str, says: str, inventory: Inventory) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        parse(text, inventory)
    assert "secret://" not in caught.value.message


def test_an_address_that_nobody_knows() -> None:
    with pytest.raises(SettingsError, match="'manager'") as caught:
        post_to(target(url="carrier-pigeon://secret"))
    assert "secret" not in caught.value.message


class Web(BaseHTTPRequestHandler):
    """A webhook."""

    bodies: list[dict[str, str]]
    hang: threading.Event | None
    status: int

    def do_POST(self) -> None:
        if self.hang is not None:
            self.hang.wait(60)
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def web(status: int = 200, hang: threading.Event | None = None) -> Iterator[tuple[int, list[dict[str, str]]]]:
    bodies: list[dict[str, str]] = []
    handler = type("Handler", (Web,), {"bodies": bodies, "hang": hang, "status": status})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port, bodies
    if hang is not None:
        hang.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_gets_the_message() -> None:
    with web() as (port, bodies):
        assert post_to(target(url=f"json://127.0.0.1:{port}/hook"))("标题", "line 1\nline 2")
    (found,) = bodies
    assert (found["title"], found["message"]) == ("标题", "line 1\nline 2")


@pytest.mark.parametrize("status", [404, 500])
def test_a_webhook_that_refuses(status: int) -> None:
    with web(status) as (port, _):
        assert not post_to(target(url=f"json://127.0.0.1:{port}/"))("t", "b")


def test_nobody_there() -> None:
    assert not post_to(target(url=f"json://127.0.0.1:{free_port()}/"))("t", "b")


class Mail(Message):
    """Keeps what comes."""

    def __init__(self) -> None:
        """Nothing yet."""
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_message(self, message: EmailMessage) -> None:
        subject = str(make_header(decode_header(message["Subject"])))
        parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
        self.found.append((subject, parts[0].get_payload(decode=True).decode()))  # type: ignore[union-attr]


def test_an_email_arrives() -> None:
    handler, port = Mail(), free_port()
    server = Controller(handler, hostname="127.0.0.1", port=port)
    server.start()
    try:
        url = f"mailto://127.0.0.1:{port}?from=courtyard@example.com&to=manager@example.com&mode=insecure"
        assert post_to(target(url=url))("[紧急] 警苑小区", "强行开门")
    finally:
        server.stop()
    ((subject, text),) = handler.found
    assert subject == "[紧急] 警苑小区"
    assert "强行开门" in text


def test_a_target_that_hangs_keeps_no_other_waiting(office: Office) -> None:
    slow, quick = target(name="slow", digest_s=0), target(name="quick", digest_s=0)
    office.happen((What.RAISED, GATE, Severity.CRITICAL), targets=(slow, quick))
    stop, hang = threading.Event(), threading.Event()
    with web(hang=hang) as (port, _):
        url = f"json://127.0.0.1:{port}/"
        senders = [
            Sender(slow, office.outbox, office.composer, post_to(target(name="slow", url=url)), clock=lambda: NOON),
            Sender(quick, office.outbox, office.composer, office.post, clock=lambda: NOON),
        ]
        threads = [threading.Thread(target=each.run, args=(stop.wait,)) for each in senders]
        for each in threads:
            each.start()
        deadline = time.monotonic() + 60
        while not office.post.taken:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        stop.set()
        hang.set()
        for each in threads:
            each.join()
    assert len(office.post.taken) == 1
