"""What a `Connection` promises, on every broker that the product is used with."""

import time
import uuid

import pytest

from devices.errors import BrokerError
from mqtt.connection import SUCCESS, Connection, Will, wait
from mqtt.options import BrokerOptions
from tests.mqtt.conftest import Connect
from tests.mqtt.drive import receipts, received, settle, until

pytestmark = pytest.mark.services

PERSISTENT = {"clean_start": False, "session_expiry_s": 3600}


@pytest.fixture
def topic() -> str:
    """A topic of the test's own."""
    return f"test/{uuid.uuid4().hex}"


def test_messages_come_in_order_with_their_content(connect: Connect, topic: str) -> None:
    reader, writer = connect(f"r-{topic[-8:]}"), connect(f"w-{topic[-8:]}")
    reader.subscribe(topic)
    payloads = [b"", b"\x00\xff", *(str(number).encode() for number in range(50)), b"x" * 200_000]
    for payload in payloads:
        writer.publish(topic, payload)
    found = received(reader, len(payloads), writer)
    assert [message.payload for message in found] == payloads
    assert {message.topic for message in found} == {topic}
    assert all(message.mid for message in found)


def test_receipts_say_which_publish_succeeded(connect: Connect, topic: str) -> None:
    reader, writer = connect(f"r-{topic[-8:]}"), connect(f"w-{topic[-8:]}")
    reader.subscribe(topic)
    mids = [writer.publish(topic, b"x") for _ in range(20)]
    found = receipts(writer, 20)
    assert [receipt.mid for receipt in found] == mids
    assert {receipt.code for receipt in found} == {SUCCESS}


def test_nothing_is_acknowledged_by_itself(connect: Connect, topic: str) -> None:
    """What was not acknowledged is delivered again, what was is not."""
    reader, writer = connect(f"r-{topic[-8:]}", **PERSISTENT), connect(f"w-{topic[-8:]}")
    reader.subscribe(topic)
    for number in range(10):
        writer.publish(topic, str(number).encode())
    first = received(reader, 10, writer)
    reader.acknowledge_all([message.mid for message in first[:4]])
    reader.flush()
    settle(reader)
    reader.abort()
    reader.open()
    assert reader.session_present
    again = received(reader, 6)
    assert [message.payload for message in again] == [str(number).encode() for number in range(4, 10)]
    assert settle(reader) == []


def test_a_session_outlives_the_connection(connect: Connect, topic: str) -> None:
    reader, writer = connect(f"r-{topic[-8:]}", **PERSISTENT), connect(f"w-{topic[-8:]}")
    before = (reader.session_present, reader.epoch)
    reader.subscribe(topic)
    reader.close()
    mids = [writer.publish(topic, str(number).encode()) for number in range(30)]
    assert [receipt.code for receipt in receipts(writer, len(mids))] == [SUCCESS] * 30
    reader.open()
    assert [before, (reader.session_present, reader.epoch)] == [(False, 1), (True, 2)]
    assert [message.payload for message in received(reader, 30)] == [str(number).encode() for number in range(30)]


def test_a_session_is_taken_up_again_with_a_full_window(connect: Connect, topic: str) -> None:
    """The embedded broker answers a SUBSCRIBE only after the messages before it are acknowledged."""
    reader, writer = connect(f"r-{topic[-8:]}", **PERSISTENT), connect(f"w-{topic[-8:]}")
    reader.subscribe(topic)
    reader.close()
    mids = [writer.publish(topic, str(number).encode()) for number in range(300)]
    receipts(writer, len(mids))
    reader.open()
    reader.subscribe(topic, wait_for_answer=False)
    found: list[bytes] = []
    while len(found) < 300:
        messages = received(reader, 1)
        found += [message.payload for message in messages]
        reader.acknowledge_all([message.mid for message in messages])
    assert found == [str(number).encode() for number in range(300)]


def test_a_clean_start_forgets(connect: Connect, topic: str) -> None:
    reader = connect(f"r-{topic[-8:]}", **PERSISTENT)
    reader.subscribe(topic)
    reader.close()
    connect(f"r-{topic[-8:]}").close()
    reader.open()
    assert not reader.session_present


def test_the_window_is_kept(connect: Connect, topic: str) -> None:
    """The embedded broker's is 100 for every client; mosquitto's is what the client asks for."""
    reader, writer = connect(f"r-{topic[-8:]}", receive_maximum=100), connect(f"w-{topic[-8:]}")
    reader.subscribe(topic)
    for number in range(150):
        writer.publish(topic, str(number).encode())
    first = received(reader, 100, writer) + settle(reader)
    assert len(first) == 100
    reader.acknowledge_all([message.mid for message in first])
    assert len(received(reader, 50)) == 50


def test_a_retained_message_is_marked(connect: Connect, topic: str) -> None:
    writer = connect(f"w-{topic[-8:]}")
    writer.publish(topic, b"kept", retain=True)
    receipts(writer, 1)
    reader = connect(f"r-{topic[-8:]}")
    reader.subscribe(topic)
    (message,) = received(reader, 1)
    assert (message.payload, message.retained) == (b"kept", True)


def test_the_will_is_published_when_the_connection_is_lost(connect: Connect, topic: str) -> None:
    reader = connect(f"r-{topic[-8:]}")
    reader.subscribe(topic)
    connect(f"w-{topic[-8:]}", will=Will(topic=topic, payload=b"gone")).abort()
    (message,) = received(reader, 1)
    assert message.payload == b"gone"


def test_no_will_after_an_orderly_end(connect: Connect, topic: str) -> None:
    reader = connect(f"r-{topic[-8:]}")
    reader.subscribe(topic)
    connect(f"w-{topic[-8:]}", will=Will(topic=topic, payload=b"gone")).close()
    assert settle(reader) == []


def test_what_was_queued_leaves_before_the_end(connect: Connect, topic: str) -> None:
    reader, writer = connect(f"r-{topic[-8:]}"), connect(f"w-{topic[-8:]}")
    reader.subscribe(topic)
    writer.publish(topic, b"last words")
    writer.close()
    assert received(reader, 1)[0].payload == b"last words"


def test_a_second_client_of_the_same_id_takes_over(connect: Connect, topic: str) -> None:
    first = connect(f"r-{topic[-8:]}")
    second = connect(f"r-{topic[-8:]}")
    until(lambda: not first.is_open, first, second)
    assert first.lost_because
    assert second.is_open
    first.step()
    first.acknowledge(1)
    with pytest.raises(BrokerError, match="not open"):
        first.publish(topic, b"x")


def test_reading_can_be_limited(connect: Connect, topic: str) -> None:
    reader, writer = connect(f"r-{topic[-8:]}"), connect(f"w-{topic[-8:]}")
    reader.subscribe(topic)
    for _ in range(40):
        writer.publish(topic, b"x" * 1000)
    receipts(writer, 40)
    time.sleep(0.2)
    assert not reader.step(most=10)
    assert len(reader.take_messages()) == 10
    assert wait([reader], 5.0) == [reader]  # read ahead, so there is no need to wait
    assert not reader.step(most_bytes=2500)
    assert 3 <= len(reader.take_messages()) <= 5
    assert reader.step()
    assert reader.poll_flags() != (-1, 0)


def test_a_connection_without_traffic_stays(options: BrokerOptions) -> None:
    with Connection(BrokerOptions(port=options.port, keepalive_s=1), client_id="quiet") as quiet:
        settle(quiet, 3.5)
        assert quiet.is_open


def test_opening_twice_begins_anew(connect: Connect, topic: str) -> None:
    reader = connect(f"r-{topic[-8:]}")
    reader.open()
    assert reader.is_open
    assert reader.epoch == 2


def test_no_broker_is_an_error(options: BrokerOptions) -> None:
    nobody = Connection(BrokerOptions(port=1, timeout_s=1.0), client_id="x")
    with pytest.raises(BrokerError, match="no MQTT broker"):
        nobody.open()
    assert not nobody.is_open
    assert nobody.step()
    nobody.flush()
    nobody.acknowledge(1)
    nobody.close()
    assert nobody.poll_flags() is None
    assert options.port != 1


def test_an_impossible_filter_is_refused(connect: Connect) -> None:
    with pytest.raises((BrokerError, ValueError)):
        connect("filters").subscribe("a/#/b")
