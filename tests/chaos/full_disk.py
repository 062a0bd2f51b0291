"""The spool's disk fills, because the store is away or because something else takes it, and gets room again."""

import errno
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.chaos.report import Report
from tests.chaos.rig import Rig
from tests.chaos.verdict import verify

_DISK_MB = 32
_FREE_MB = 24
_LIMIT_MB = 24
_FULL_S = 60.0


def full_disk(folder: Path, *, full_s: float = 2.0) -> Report:
    """Fill the disk with the spool, then with something else; where no disk can be mounted, meet the spool's limit."""
    report = Report(name="full disk")
    with ExitStack() as stack:
        data = folder / "data"
        data.mkdir(parents=True)
        mounted = stack.enter_context(_small_disk(data))
        report.figures["disk"] = f"{_DISK_MB} MB" if mounted else f"not mounted; the spool's limit of {_LIMIT_MB} MB"
        settings = {"COURTYARD_SPOOL_MIN_FREE_MIB": str(_FREE_MB)} if mounted else {}
        settings |= {} if mounted else {"COURTYARD_SPOOL_MAX_MIB": str(_LIMIT_MB)}
        rig = stack.enter_context(Rig(folder, settings=settings))
        influxd = rig.influxd
        assert influxd is not None
        rig.start_ingest()
        load = rig.start_load(rate=12_000, batch=20)
        time.sleep(1.0)

        influxd.stop()
        filled_s = rig.until(lambda: rig.metric("backpressure") == 1, _FULL_S, "the disk is full and ingest says so")
        held = rig.metric("spool_bytes") or 0.0
        time.sleep(full_s)
        report.expect(rig.metric("backpressure") == 1, "ingest acknowledged again although nothing had been stored")
        load.finish()
        influxd.start()
        emptied_s = rig.until_empty(120)
        report.expect(rig.metric("backpressure") == 0, "ingest still holds back")

        if mounted:
            second = rig.start_load("load-2", rate=12_000, batch=20, boot=2)
            rig.until(lambda: second.messages > 0, _FULL_S, "the second load begins")
            influxd.stop()
            filler = data / "filler"
            _fill(filler)
            rig.until(lambda: rig.metric("backpressure") == 1, _FULL_S, "ingest says that the disk is full")
            time.sleep(full_s)
            second.finish()
            influxd.start()
            time.sleep(full_s)
            filler.unlink()
            rig.until_empty(120)
            report.expect(rig.metric("backpressure") == 0, "ingest still holds back")
            loads = [load, second]
        else:
            loads = [load]
        verify(rig, loads, report)
        said = rig.ingest.log.read_text().count("the spool takes no more")
    report.figures |= {
        "full after s": round(filled_s, 1),
        "spooled MB when full": round(held / 1e6, 1),
        "empty after s": round(emptied_s, 1),
    }
    report.expect(said >= 1, "the log does not say that the spool is full")
    return report


@contextmanager
def _small_disk(where: Path) -> Iterator[bool]:
    """A disk of its own in memory; False where this may not be mounted."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(where)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True, capture_output=True)


def _fill(path: Path) -> None:
    """Take all the space that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError as exc:
                if exc.errno != errno.ENOSPC:
                    raise
