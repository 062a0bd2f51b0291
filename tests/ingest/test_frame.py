"""Frames give back what went in, and damaged ones are recognised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.frame import FrameError, Messages, pack, size_of, unpack

SMALL = st.lists(st.tuples(st.text(max_size=60), st.binary(max_size=200)), max_size=30)
# Large enough to be compressed.
LARGE = st.lists(
    st.tuples(st.text(max_size=60), st.binary(min_size=1, max_size=40).map(lambda each: each * 200)), min_size=8
)
PAIRS = SMALL | LARGE


@given(PAIRS, st.dictionaries(st.integers(0, 29), st.integers(0, 2**32 - 1), max_size=3))
def test_a_frame_gives_back_what_went_in(pairs: list[tuple[str, bytes]], cut: dict[int, int]) -> None:
    messages = Messages([topic for topic, _ in pairs], [payload for _, payload in pairs], cut)
    assert unpack(pack(messages)) == messages


@given(PAIRS, st.data())
def test_a_damaged_frame_is_recognised(pairs: list[tuple[str, bytes]], data: st.DataObject) -> None:
    frame = bytearray(pack(Messages([topic for topic, _ in pairs], [payload for _, payload in pairs])))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FrameError):
        unpack(bytes(frame))


@given(PAIRS, st.data())
def test_a_short_frame_is_recognised(pairs: list[tuple[str, bytes]], data: st.DataObject) -> None:
    frame = pack(Messages([topic for topic, _ in pairs], [payload for _, payload in pairs]))
    with pytest.raises(FrameError):
        unpack(frame[: data.draw(st.integers(0, len(frame) - 1))])


@given(st.binary(max_size=400))
def test_other_bytes_are_no_frame(content: bytes) -> None:
    with pytest.raises(FrameError):
        unpack(content)


def test_large_frames_are_compressed() -> None:
    messages = Messages(["t"] * 1000, [b'{"seq":%d}' % number for number in range(1000)])
    plain = 20 + 8 * 1000 + 1000 + sum(map(len, messages.payloads))
    assert size_of(pack(messages)) == plain
    assert len(pack(messages)) < plain / 2
    one = Messages(["t"], [b"{}"])
    assert size_of(pack(one)) == len(pack(one))


def test_frames_of_before_they_were_compressed_are_read() -> None:
    frame = bytes.fromhex("43594631a1b6beb70100000000000000010000000100000002000000747b7d")
    assert unpack(frame) == Messages(["t"], [b"{}"])
