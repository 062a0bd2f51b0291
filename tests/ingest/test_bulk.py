"""Reading many payloads at once: nothing but the time it takes tells it from reading them one by one."""

import json
from collections.abc import Iterator, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.columns import Coded
from devices.errors import DeclarationError, Reason
from devices.fields import gauge, state
from devices.inventory import Inventory
from devices.kind import Channel, Table
from devices.names import Text
from devices.registry import Registry
from ingest import decode
from ingest.bulk import BulkReader
from ingest.decode import Decoded, Decoder
from ingest.frame import Messages, Spooled
from tests.ingest.fleet import Fleet

NOW_MS = 1_700_000_000_000
CHARGER = "compounds/jingyuan/charger/jingyuan-charger-01/telemetry"
GATE = "compounds/jingyuan/gate/jingyuan-gate-01/event"
LOCKER = "compounds/jingyuan/locker/jingyuan-locker-01/event"
STATUS = "compounds/jingyuan/gate/jingyuan-gate-01/status"
GOOD = {
    "ts": NOW_MS, "seq": 7, "boot": 3, "connector": 1, "status": "Charging", "error": "NoError", "energy_wh": 1.5,
    "power_w": 7000, "current_a": 31.25, "voltage_v": 230.1, "temp_c": -4.0, "soc": 0.5,
}  # fmt: skip
HOSTILE = [
    b'{"ts":1}{"ts":2}',
    b'{"ts":1}\n{"ts":2}',
    b'{"ts":1},{"ts":2}',
    b'{"ts":1}\0',
    b'{"ts":',
    b'{"ts":1,',
    b'{"status":"',
    b'{"status":"Charging\n',
    b'{"a":[',
    b'{"a":{',
    b'{"a":{}',
    b"{",
    b"{}",
    b"[",
    b"[]",
    b"[{}]",
    b"[{},",
    b'[{"ts":1},',
    b'[{"ts":1}],"m":[{"ts":1}]',
    b'[{"ts":1}],"x":[{"ts":1}]',
    b'[{"ts":1}]}{"m":[{"ts":1}]',
    b'[{"ts":1}]}\n{"m":[{"ts":1}]',
    b"[[{}]]",
    b"[null]",
    b"[1]",
    b'["',
    b"]",
    b"}",
    b'"',
    b"",
    b" ",
    b"null",
    b"\xff\xfe",
    b"{}\xff",
    b'[{}]}{"m":null',
]
LITERALS = [
    "null", "true", "false", "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "5e-324", "-0", "-0.0", "01",
    "+1", ".5", "1.", "1e3", "1E3", "1.0", "9007199254740993", "9223372036854775807", "9223372036854775808",
    "123456789012345678901234567890", "0.1000000000000000055511151231257827021181583404541015625", "2.5e-1",
    "1000000.0000001",
    '"1"', '"Charging"', '"Charg\\u0069ng"', '"charging"', '""', '"null"', '"\\ud800"', '"\\u0000"', '"a\\nb"',
    "{}", "[]",
    "[1]", '{"a":1}', "1 ", " 1", "/**/1", "1 /**/", "'1'", '"\x01"', '"110101199003074514"', "999", "1000", "-1",
]  # fmt: skip


def spooled(messages: Sequence[tuple[str, bytes]]) -> Spooled:
    return Spooled(1, NOW_MS, len(messages), Messages([each for each, _ in messages], [each for _, each in messages]))


def told(decoded: Decoded) -> dict[str, object]:
    """Everything that can be seen of what was decoded."""
    tables = []
    for rows in decoded.tables:
        batch = rows.batch
        columns = {
            # NaN equals nothing. 0 and -0 are one number, and `-0` in a payload may become either.
            name: column.decoded()
            if isinstance(column, Coded)
            else [None if np.isnan(value) else value for value in column.tolist()]
            for name, column in batch.columns.items()
        }
        objects = [rows.object(place) for place in range(len(rows))]
        at = (batch.keys, batch.series.tolist(), batch.time.tolist())
        tables.append((batch.table.measurement, at, columns, objects, [each.tolist() for each in rows.seen()]))
    seen = decoded.sightings(NOW_MS)
    arrays = [each.tolist() for each in (seen.stream, seen.boot, seen.seq)]
    return {"tables": tables, "letters": decoded.letters, "counts": decoded.counts, "seen": (arrays, seen.refused)}


class Both:
    """Decodes in both ways and compares."""

    def __init__(self, small: Inventory, kinds: Registry, patch: pytest.MonkeyPatch) -> None:
        """Make a decoder for each way."""
        self._patch = patch
        self._decoders = [Decoder(small, kinds, max_future_s=3600, max_age_days=90) for _ in range(2)]
        self.one_by_one = 0
        read = Decoder._read
        both = self

        def counting(decoder: Decoder, *args: object) -> object:
            both.one_by_one += 1
            return read(decoder, *args)  # type: ignore[arg-type]  # passed through

        patch.setattr(Decoder, "_read", counting)

    def decode(self, messages: Sequence[tuple[str, bytes]]) -> Decoded:
        """What the bulk way makes of messages, which is what the other makes of them."""
        found = []
        for decoder, few in zip(self._decoders, (2**62, 0), strict=True):
            self._patch.setattr(decode, "_FEW_BYTES", few)
            self.one_by_one = 0
            found.append(decoder.decode([spooled(messages)]))
        slow, fast = map(told, found)
        assert fast == slow
        return found[1]


@pytest.fixture(scope="module")
def both(small: Inventory, registry: Registry) -> Iterator[Both]:
    with pytest.MonkeyPatch.context() as patch:
        yield Both(small, registry, patch)


def payload(**changes: object) -> bytes:
    made = {**GOOD, **changes}
    return json.dumps({name: value for name, value in made.items() if value is not ...}).encode()


@pytest.mark.parametrize("objects", [1, 2, 9])
def test_good_messages_of_every_table_are_read_together(
    both: Both, small: Inventory, registry: Registry, fleet: Fleet, objects: int
) -> None:
    sent = [
        fleet.message(device, table, objects=objects, ts=NOW_MS + number)
        for number in range(5)
        for device in small.devices.values()
        for table in registry[device.kind].tables.values()
    ]
    Random(1).shuffle(sent)  # noqa: S311  (the same order each time)
    decoded = both.decode([(each.topic, each.payload) for each in sent])
    assert decoded.letters == []
    assert both.one_by_one == 0
    assert sum(map(len, decoded.tables)) == len(sent) * objects


def test_objects_and_arrays_keep_their_order(both: Both) -> None:
    one, two = payload(power_w=1.0), payload(power_w=2.0)
    for messages in ([one, b"[" + two + b"]"], [b"[" + one + b"]", two], [b"[" + two + b"," + one + b"]", two]):
        (rows,) = both.decode([(CHARGER, each) for each in messages]).tables
        assert rows.batch.floats("power_w").tolist() == [2.0]
        assert rows.object(0)["power_w"] == 2.0
    assert both.one_by_one == 0


def test_one_bad_message_does_not_keep_the_others_from_being_read_together(both: Both) -> None:
    good = [payload(seq=number) for number in range(160)]
    for bad, alone in ((payload(power_w=-1.0), 1), (payload(name="x"), 11), (payload(connector=9), 1), (b"{", 11)):
        decoded = both.decode([(CHARGER, each) for each in [*good[:80], bad, *good[80:]]])
        assert len(decoded.letters) == 1
        assert sum(map(len, decoded.tables)) == 160
        assert both.one_by_one <= alone


@pytest.mark.parametrize("bad", HOSTILE)
@pytest.mark.parametrize("other", [payload(), b"[" + payload() + b"]"])
def test_no_payload_leaks_into_another(both: Both, bad: bytes, other: bytes) -> None:
    whole = payload(seq=9)
    for hostile in (bad, bad + whole, whole + bad, bad.replace(b'{"ts":1}', whole), b"[" + whole + b"," + bad):
        decoded = both.decode([(CHARGER, other), (CHARGER, hostile), (CHARGER, other), (CHARGER, payload(seq=8))])
        assert [each for each in decoded.letters if each.payload == other] == []


@pytest.mark.parametrize("literal", LITERALS)
def test_every_value_is_judged_alike(both: Both, literal: str) -> None:
    for name, good in GOOD.items():
        for times in (1, 2):
            text = json.dumps(GOOD).replace(f'"{name}": {json.dumps(good)}', f'"{name}": {literal}')
            hostile = text.encode() if times == 1 else f"[{json.dumps(GOOD)},{text}]".encode()
            both.decode([(CHARGER, payload(seq=1)), (CHARGER, hostile), (CHARGER, payload(seq=2))])
    for topic, made in (
        (GATE, {"ts": NOW_MS, "seq": 1, "event": "pass", "direction": "in", "method": "face", "result": "granted"}),
        (LOCKER, {"ts": NOW_MS, "seq": 1, "event": "deposit", "size": "small", "cell": "c-1"}),
        (STATUS, {"ts": NOW_MS, "seq": 1, "state": "online", "firmware": "1.0"}),
    ):
        for name in made:
            text = json.dumps(made).replace(f'"{name}": {json.dumps(made[name])}', f'"{name}": {literal}')
            both.decode([(topic, json.dumps(made).encode()), (topic, text.encode())])


@pytest.mark.parametrize(
    "text",
    [
        '{"ts":1700000000000,"ts":1700000000001,"seq":1,"state":"online"}',
        '{"ts":1700000000000,"seq":1,"state":"online","state":"offline"}',
        '{"t\\u0073":1700000000000,"seq":1,"state":"online"}',
        '{"ts":1700000000000,"seq":1,"state":"online"} \r\t',
        '{"ts":1700000000000,"seq":1,"state":"online","firmware":"\udcff"}',
        '{"ts":1700000000000,"seq":1,"state":"online","firmware":"110101199003074514"}',
        '{"ts":1700000000000,"seq":1,"state":"online","firmware":"' + "A" * 65 + '"}',
        '{"ts":1700000000000,"seq":1,"state":"online","firmware":"1.0\\n"}',
        '{"seq":1,"state":"online"}',
        '{"state":"online"}',
        '{"state":"online","boot":5}',
        '{"ts":1600000000000,"state":"online"}',
        '{"ts":1800000000000,"state":"online"}',
        '[{"state":"online"},{"state":"online","ts":1800000000000}]',
        '{"state":"online","event":"pass"}',
    ],
)
def test_texts_are_judged_alike(both: Both, text: str) -> None:
    both.decode([(STATUS, b'{"state":"offline"}'), (STATUS, text.encode(errors="surrogateescape"))])


NAMES = st.sampled_from([*GOOD, "event", "state", "m", "x"])
VALUES = st.sampled_from(LITERALS) | st.sampled_from([json.dumps(value) for value in GOOD.values()])
PIECES = st.one_of(
    st.sampled_from(["{", "}", "[", "]", ",", ":", '"', "\n", " ", "null", "\\", "\0", "é"]),
    st.tuples(NAMES, VALUES).map(lambda pair: f'"{pair[0]}":{pair[1]}'),
    st.just(json.dumps(GOOD)),
)


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A good payload with some of its text cut out, and something else put in."""
    objects = draw(st.lists(st.just(json.dumps(GOOD)), min_size=1, max_size=3))
    text = objects[0] if len(objects) == 1 else f"[{','.join(objects)}]"
    for _ in range(draw(st.integers(0, 2))):
        begin = draw(st.integers(0, len(text)))
        end = min(len(text), begin + draw(st.integers(0, 12)))
        text = text[:begin] + "".join(draw(st.lists(PIECES, max_size=3))) + text[end:]
    return text.encode()


@settings(deadline=None, max_examples=400)
@given(payloads=st.lists(changed(), min_size=1, max_size=8))
def test_whatever_is_sent_is_judged_alike(both: Both, payloads: list[bytes]) -> None:
    both.decode([(CHARGER, each) for each in payloads])


def test_one_name_with_two_types_in_a_channel_is_refused() -> None:
    text = Text("x", "x")
    tables = [
        Table(kind="k", name="a", channel=Channel.EVENT, fields=(gauge("f", text, "1", 0, 1),)),
        Table(kind="k", name="b", channel=Channel.EVENT, fields=(state("f", text, ("x", "y")),)),
    ]
    with pytest.raises(DeclarationError, match="'f' has another type"):
        BulkReader(tables)


def test_columns_have_the_types_that_stores_expect(both: Both) -> None:
    (rows,) = both.decode([(CHARGER, payload()), (CHARGER, payload(seq=8, soc=...))]).tables
    for field in rows.batch.table.fields:
        column = rows.batch.columns[field.name]
        if isinstance(column, Coded):
            assert column.codes.dtype == np.int32
        else:
            assert column.dtype == np.float64
    assert np.isnan(rows.batch.floats("soc")).tolist() == [False, True]
    assert rows.batch.series.dtype == np.int32
    assert rows.batch.time.dtype == np.int64


def test_a_number_that_is_none_is_refused_also_where_others_leave_the_field_out(both: Both) -> None:
    """Found by the simulators' malformed messages: among absent values a NaN was taken for one more of them."""
    absent, wrong = payload(seq=8, soc=...), payload(seq=9, soc=0.5).replace(b"0.5", b"NaN")
    decoded = both.decode([(CHARGER, payload()), (CHARGER, absent), (CHARGER, wrong)])
    (rows,) = decoded.tables
    assert len(rows) == 2
    assert [letter.reason for letter in decoded.letters] == [Reason.NOT_FINITE]


@pytest.mark.parametrize("objects", [2, 5000])
def test_a_flood_of_empty_objects_is_left_to_who_stops_at_the_first(
    both: Both, registry: Registry, objects: int
) -> None:
    flood = b"[" + b",".join([b"{}"] * objects) + b"]"
    for table in registry["charger"].tables.values():
        reader = BulkReader([table])
        assert reader.read([flood] * 3, arrays=True) is None
    decoded = both.decode([(CHARGER, payload()), *[(CHARGER, flood)] * 3, (CHARGER, payload(seq=2))])
    assert sum(map(len, decoded.tables)) == 2
    assert len(decoded.letters) == 3


@pytest.mark.parametrize("digits", [3000, 100_000])
def test_a_number_of_very_many_digits_is_left_to_pydantic(both: Both, registry: Registry, digits: int) -> None:
    long = payload().replace(b"0.5", b"0." + b"5" * digits)
    assert len(long) > digits
    for begin in range(0, 512, 37):
        padded = b" " * begin + long
        assert BulkReader([registry["charger"].tables["telemetry"]]).read([payload(), padded], arrays=False) is None
    (rows,) = both.decode([(CHARGER, payload(seq=number)) for number in range(3)] + [(CHARGER, long)]).tables
    assert len(rows) == 4
