"""What a stream gets: all that it wants, from where it left off, and the truth about what is missing."""

import asyncio
import threading
from collections.abc import AsyncGenerator

import pytest

from live.frames import Group, Wanted, event
from live.hub import Hub, StreamsFullError

A, B = Group("a", "bin"), Group("b", "gate")
ALL = Wanted()


def said(number: int, group: Group = A) -> dict[Group, bytes]:
    return {group: event("telemetry", {"n": number})}


async def piece(stream: AsyncGenerator[bytes]) -> str:
    return (await asyncio.wait_for(anext(stream), 5)).decode()


def mark(text: str) -> str:
    return text.rsplit("id: ", 1)[1].strip()


def test_a_stream_begins_with_how_the_feed_is_and_then_says_what_comes() -> None:
    async def run() -> None:
        hub = Hub()
        hub.tell(connected=True)
        hub.publish(said(1))
        stream = hub.stream(ALL, None)
        hello = await piece(stream)
        assert 'event: feed\ndata: {"connected":true}' in hello
        assert "telemetry" not in hello
        hub.publish(said(2))
        assert 'event: telemetry\ndata: {"n":2}\n\n' in await piece(stream)

    asyncio.run(run())


def test_only_what_is_wanted_comes() -> None:
    async def run() -> None:
        hub = Hub()
        streams = [
            hub.stream(Wanted(compounds=frozenset({"b"})), None),
            hub.stream(Wanted(kinds=frozenset({"gate"})), None),
        ]
        for stream in streams:
            await piece(stream)
        hub.publish(said(1))
        hub.publish(said(2, B))
        for stream in streams:
            text = await piece(stream)
            assert '{"n":2}' in text
            assert '{"n":1}' not in text

    asyncio.run(run())


def test_who_comes_back_goes_on_from_there() -> None:
    async def run() -> None:
        hub = Hub()
        stream = hub.stream(ALL, None)
        await piece(stream)
        hub.publish(said(1))
        last = mark(await piece(stream))
        await stream.aclose()
        for number in (2, 3):
            hub.publish(said(number))
        back = hub.stream(ALL, last)
        assert "gap" not in await piece(back)
        text = await piece(back)
        assert text.index('{"n":2}') < text.index('{"n":3}')

    asyncio.run(run())


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ("nonsense", "unknown_id"),
        ("\x00" * 70, "unknown_id"),
        ("0-1", "restarted"),
        ("-".join(["9" * 16, "1"]), "restarted"),
    ],
)
def test_a_mark_that_is_none_of_ours_is_answered_with_a_gap(last: str, why: str) -> None:
    async def run() -> None:
        hello = await piece(Hub().stream(ALL, last))
        assert f'event: gap\ndata: {{"reason":"{why}"}}' in hello

    asyncio.run(run())


def test_who_comes_back_too_late_is_told_so() -> None:
    async def run() -> None:
        hub = Hub(most_frames=3)
        stream = hub.stream(ALL, None)
        last = mark(await piece(stream))
        for number in range(4):
            hub.publish(said(number))
        assert '"too_old"' in await piece(hub.stream(ALL, last))

    asyncio.run(run())


def test_a_stream_that_is_too_slow_is_ended_and_the_others_go_on() -> None:
    async def run() -> None:
        hub = Hub(most_bytes=200)
        slow, fast = hub.stream(ALL, None), hub.stream(ALL, None)
        await piece(slow)
        await piece(fast)
        for number in range(50):
            hub.publish(said(number))
            assert f'{{"n":{number}}}' in await piece(fast)
        with pytest.raises(StopAsyncIteration):
            await piece(slow)
        assert hub.dropped == 1
        assert hub.streams == 1

    asyncio.run(run())


def test_frames_from_another_thread_wake_whoever_waits() -> None:
    async def run() -> None:
        hub = Hub()
        streams = [hub.stream(ALL, None) for _ in range(20)]
        for each in streams:
            await piece(each)
        waiting = [asyncio.create_task(piece(each)) for each in streams]
        await asyncio.sleep(0.05)
        thread = threading.Thread(target=hub.publish, args=(said(7),))
        thread.start()
        assert all('{"n":7}' in text for text in await asyncio.gather(*waiting))
        thread.join()

    asyncio.run(run())


def test_the_end_of_the_hub_ends_every_stream() -> None:
    async def run() -> None:
        hub = Hub()
        stream = hub.stream(ALL, None)
        await piece(stream)
        waiting = asyncio.create_task(piece(stream))
        await asyncio.sleep(0.05)
        hub.end()
        with pytest.raises(StopAsyncIteration):
            await waiting

    asyncio.run(run())


def test_no_more_streams_are_open_than_may_be() -> None:
    async def run() -> None:
        hub = Hub(most_streams=1)
        await piece(hub.stream(ALL, None))
        with pytest.raises(StreamsFullError):
            hub.stream(ALL, None)

    asyncio.run(run())


def test_the_feed_is_wanted_for_a_minute_after_the_last_has_left() -> None:
    now = [1000.0]
    hub = Hub(clock=lambda: now[0])
    wanted = [hub.is_wanted]

    async def run() -> None:
        stream = hub.stream(ALL, None)
        await piece(stream)
        wanted.append(hub.is_wanted)
        await stream.aclose()

    asyncio.run(run())
    for seconds in (59, 2):
        now[0] += seconds
        wanted.append(hub.is_wanted)
    assert wanted == [False, True, True, False]
