"""The spool keeps what it took, counts exactly, and says when it takes no more."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from devices.errors import Reason
from ingest.deadletters import DeadLetter, refused
from ingest.errors import SpoolError, SpoolFullError
from ingest.frame import Messages
from ingest.inspection import inspect
from ingest.ledger import SETTLED, TAKEN, Account, Entry
from ingest.spool import Outcome, Pending, Spool
from tests.ingest.conftest import LIMITS, MB

ROOT = Path(__file__).resolve().parent.parent.parent
EVERYTHING = {"messages": 10**9, "size": 10**12}


def batch(*payloads: bytes) -> Messages:
    return Messages(["compounds/a/b/c/telemetry"] * len(payloads), list(payloads))


def letter(payload: bytes = b"x", reason: Reason = Reason.JSON) -> DeadLetter:
    return DeadLetter(time_ms=1, reason=reason, message="no", topic="t", payload=payload, size=len(payload))


def payloads(spool: Spool) -> list[bytes]:
    return [payload for each in spool.read(**EVERYTHING) for payload in (each.messages or batch()).payloads]


def test_batches_come_back_in_order(spool: Spool) -> None:
    for number in range(5):
        spool.append(batch(bytes([number]), b"more"), 1000 + number)
    found = spool.read(**EVERYTHING)
    assert [each.received_ms for each in found] == [1000, 1001, 1002, 1003, 1004]
    assert [each.count for each in found] == [2] * 5
    assert payloads(spool) == [x for number in range(5) for x in (bytes([number]), b"more")]
    assert [each.id for each in spool.read(after_id=found[2].id, **EVERYTHING)] == [found[3].id, found[4].id]


def test_reading_stops_when_there_is_enough(spool: Spool) -> None:
    for _ in range(10):
        spool.append(batch(b"x" * 1000, b"y"), 1)
    assert len(spool.read(messages=5, size=10**9)) == 3
    assert len(spool.read(messages=100, size=2000)) == 2
    assert len(spool.read(messages=1, size=1)) == 1


def test_trimming_removes_counts_and_keeps_dead_letters(spool: Spool) -> None:
    for number in range(4):
        spool.append(batch(b"a", b"b"), number)
    found = spool.read(**EVERYTHING)
    written = Account(Entry.WRITTEN, "gate")
    spool.trim(found[1].id, Outcome({written: 3}, [letter()]))
    spool.trim(found[2].id, Outcome({written: 2}))
    assert [each.id for each in spool.read(**EVERYTHING)] == [found[3].id]
    assert spool.counts == {written: 5, SETTLED: 6, TAKEN: 8}
    assert [(each.id, each.payload) for each in spool.dead_letters()] == [(1, b"x")]
    assert (spool.pending.batches, spool.pending.messages, spool.pending.oldest_ms) == (1, 2, 3)
    spool.trim(found[3].id, Outcome())
    assert spool.pending == Pending()


def test_numbers_are_never_used_again(spool: Spool) -> None:
    spool.append(batch(b"a"), 1)
    (first,) = spool.read(**EVERYTHING)
    spool.trim(first.id, Outcome())
    spool.append(batch(b"b"), 1)
    (second,) = spool.read(after_id=first.id, **EVERYTHING)
    assert second.id > first.id


def test_everything_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "spool.sqlite"
    spool = Spool(path, LIMITS)
    for _ in range(3):
        spool.append(batch(b"a"), 5)
    spool.trim(1, Outcome(Counter({Account(Entry.DEAD_LETTERED, "gate", Reason.JSON): 1}), [letter()]))
    before = (spool.pending, spool.counts, spool.dead_letters())
    spool.close()
    again = Spool(path, LIMITS)
    assert (again.pending, again.counts, again.dead_letters()) == before
    assert again.pending.messages == 2
    again.close()
    again.close()


def test_what_was_appended_survives_a_kill(tmp_path: Path) -> None:
    """A process reports each append after its return, and is killed in the middle of one."""
    program = (
        "import sys; from pathlib import Path; from ingest.spool import Spool; from ingest.frame import Messages;"
        "from tests.ingest.conftest import LIMITS; spool = Spool(Path(sys.argv[1]), LIMITS); number = 0\n"
        "while True: spool.append(Messages(['t'], [b'%d' % number]), 1); print(number, flush=True); number += 1"
    )
    path = tmp_path / "spool.sqlite"
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        reported = [int(process.stdout.readline()) for _ in range(200)]
        process.send_signal(signal.SIGKILL)
        reported += [int(line) for line in process.stdout.read().split()]
    spool = Spool(path, LIMITS)
    kept = [int(payload) for payload in payloads(spool)]
    spool.close()
    assert kept[: len(reported)] == reported
    assert len(kept) <= len(reported) + 1


def test_commits_reach_the_disk(spool: Spool) -> None:
    (mode,) = spool._db.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = spool._db.execute("PRAGMA synchronous").fetchone()
    assert (mode, synchronous) == ("wal", 2)


def test_a_full_spool_takes_no_more_until_it_is_trimmed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", replace(LIMITS, max_bytes=10_000))
    spool.append(batch(b"x" * 6000), 1)
    with pytest.raises(SpoolFullError, match="limit"):
        spool.append(batch(b"y" * 6000), 2)
    assert payloads(spool) == [b"x" * 6000]
    spool.trim(1, Outcome())
    spool.append(batch(b"y" * 6000), 2)
    spool.trim(2, Outcome())
    spool.append(batch(b"z" * 20_000), 3)  # larger than the limit, but nothing else waits
    spool.close()


def test_a_full_disk_is_backpressure(tmp_path: Path) -> None:
    """SQLite meets the same error on a file that may not grow as on a full disk."""
    spool = Spool(tmp_path / "spool.sqlite", LIMITS)
    large = os.urandom(200_000)  # which no compression makes smaller
    (pages,) = spool._db.execute("PRAGMA page_count").fetchone()
    spool._db.execute(f"PRAGMA max_page_count = {pages + 10}")
    spool.append(batch(b"x" * 10_000), 1)
    with pytest.raises(SpoolFullError, match="full") as caught:
        spool.append(batch(large), 2)
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert payloads(spool) == [b"x" * 10_000]
    spool.trim(1, Outcome({Account(Entry.WRITTEN, "gate"): 1}))
    assert spool.pending == Pending()
    spool._db.execute("PRAGMA max_page_count = 1000000")
    spool.append(batch(large), 2)
    spool.close()


def test_a_disk_with_little_space_left_is_left_some(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", replace(LIMITS, min_free_bytes=2**62))
    with pytest.raises(SpoolFullError, match="bytes left"):
        spool.append(batch(b"x"), 1)
    assert spool.pending == Pending()
    spool.close()


def test_one_process_alone_may_use_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", LIMITS)
    with pytest.raises(SpoolError, match="another process uses"):
        Spool(tmp_path / "spool.sqlite", LIMITS)
    spool.close()
    Spool(tmp_path / "spool.sqlite", LIMITS).close()


def test_a_damaged_batch_is_recognised(spool: Spool) -> None:
    for _ in range(3):
        spool.append(batch(b"x" * 100, b"y"), 1)
    spool._db.execute("UPDATE batches SET frame = zeroblob(length(frame)) WHERE id = 2")
    found = spool.read(**EVERYTHING)
    assert [each.messages is None for each in found] == [False, True, False]
    assert [each.count for each in found] == [2, 2, 2]


@pytest.mark.parametrize("content", [b"no database at all, just text" * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "spool.sqlite"
    path.write_bytes(content)
    with pytest.raises(SpoolError, match="opening the spool"):
        Spool(path, LIMITS)
    path.unlink()
    Spool(path, LIMITS).close()  # the lock is free again


def test_a_file_of_another_layout_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    Spool(path, LIMITS).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(SpoolError, match="layout 99"):
        Spool(path, LIMITS)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="opening the spool"):
        Spool(tmp_path / "file" / "spool.sqlite", LIMITS)


def test_using_a_closed_spool_is_an_error(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", LIMITS)
    spool.close()
    for call in (
        lambda: spool.append(batch(b"x"), 1),
        lambda: spool.read(**EVERYTHING),
        lambda: spool.trim(1, Outcome()),
        spool.dead_letters,
    ):
        with pytest.raises(SpoolError):
            call()


def test_dead_letters_are_bounded_by_number_and_the_counters_are_not(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", replace(LIMITS, dead_letters_max=10))
    account = Account(Entry.DEAD_LETTERED, "gate", Reason.JSON)
    for _ in range(5):
        spool.append(batch(b"x"), 1)
        last = spool.read(**EVERYTHING)[-1].id
        spool.trim(last, Outcome({account: 7}, [letter() for _ in range(7)]))
    assert [each.id for each in spool.dead_letters()] == list(range(26, 36))
    assert spool.counts[account] == 35
    spool.append(batch(b"x"), 1)
    spool.trim(99, Outcome({account: 50}, [letter(b"%d" % number) for number in range(50)]))
    assert [each.payload for each in spool.dead_letters()] == [b"%d" % number for number in range(40, 50)]
    spool.close()


def test_dead_letters_are_bounded_by_size(tmp_path: Path) -> None:
    limits = replace(LIMITS, dead_letters_max_bytes=10_000)
    spool = Spool(tmp_path / "spool.sqlite", limits)
    for number in range(30):
        spool.trim(0, Outcome({}, [letter(bytes([number]) * 1500)]))
    kept = [each.payload for each in spool.dead_letters()]
    assert kept == [bytes([number]) * 1500 for number in range(24, 30)]
    spool.close()


def test_no_dead_letters_can_be_asked_for(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", replace(LIMITS, dead_letters_max=0))
    spool.trim(0, Outcome({}, [letter()]))
    assert spool.dead_letters() == []
    spool.close()


def test_of_personal_data_nothing_is_left_in_the_files(tmp_path: Path) -> None:
    secret = b'{"name": "' + b"Wang Xiaoming " * 2000 + b'"}'
    spool = Spool(tmp_path / "spool.sqlite", LIMITS)
    for _ in range(3):
        spool.append(batch(secret, b"{}"), 1)
    assert any(b"Xiaoming" in path.read_bytes() for path in tmp_path.iterdir())
    found = refused(
        time_ms=1, reason=Reason.PRIVACY, message="", topic="t", payload=secret, kind="gate", compound="", size=1
    )
    spool.trim(3, Outcome({}, [found]))
    spool.wipe()
    assert not any(b"Xiaoming" in path.read_bytes() for path in tmp_path.iterdir())
    (kept,) = spool.dead_letters()
    assert (kept.reason, kept.payload, len(kept.sha256 or "")) == (Reason.PRIVACY, None, 64)
    spool.close()


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("compounds/a/gate/110101199003078888/telemetry", b"{}", Reason.UNKNOWN_DEVICE),
        ("t", b'{"x": "110101199003078888"}', Reason.UNKNOWN_DEVICE),
        ("t", b'{"face": 1}', Reason.UNKNOWN_KIND),
        ("t", b"A" * 200, Reason.TOO_LARGE),
    ],
)
def test_personal_data_is_found_whatever_else_is_wrong(topic: str, payload: bytes, reason: Reason) -> None:
    found = refused(
        time_ms=1, reason=reason, message="m", topic=topic, payload=payload, kind="gate", compound="a", size=9
    )
    assert found.reason is Reason.PRIVACY
    assert found.payload is None
    assert "1101" not in repr(found)


def test_a_dead_letter_is_cut_to_size() -> None:
    found = refused(
        time_ms=1,
        reason=Reason.TOPIC,
        message="m" * 1000,
        topic="t/" * 1000,
        payload=b"{} " * 40_000,
        kind="gate",
        compound="a",
        size=120_000,
    )
    assert found.payload is not None
    assert (len(found.message), len(found.topic), len(found.payload), found.size) == (300, 512, 64 * 1024, 120_000)


def test_the_file_does_not_grow_without_end(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    spool = Spool(path, LIMITS)
    for number in range(1, 300):
        spool.append(batch(b"x" * 100_000), 1)
        spool.trim(number, Outcome())
    spool.close()
    assert path.stat().st_size < 2 * MB


def test_messages_that_vanish_from_the_file_are_told(spool: Spool, tmp_path: Path) -> None:
    for number in range(3):
        spool.append(batch(b"a", b"b"), number)
    spool.trim(1, Outcome())
    assert inspect(tmp_path / "spool.sqlite").unaccounted == 0
    with closing(sqlite3.connect(tmp_path / "spool.sqlite")) as db, db:
        db.execute("DELETE FROM batches")
    assert inspect(tmp_path / "spool.sqlite").unaccounted == 4
