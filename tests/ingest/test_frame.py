"""Frames give back what went in, and damaged ones are recognised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.frame import FrameError, Messages, pack, unpack

PAIRS = st.lists(st.tuples(st.text(max_size=60), st.binary(max_size=200)), max_size=30)


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
