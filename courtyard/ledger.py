"""The ledger, read from the spools: for the API, and as `python -m courtyard ledger` shows it."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

import structlog
from rich.console import Console
from rich.table import Table

from api.errors import LedgerAwayError
from api.ledger import Ledger, LedgerAnswer, LedgerKind, LedgerRange, LedgerSpool, LedgerStream
from courtyard import wiring
from courtyard.settings import Settings
from ingest.closing import now_ms
from ingest.errors import SpoolError
from ingest.gaps import Gap
from ingest.known import NONE
from ingest.statement import SpoolLine, Statement, state

_RANGES = 100
_SHOWN_RANGES = 4
_NUMBERS = ("received", "written", "duplicate", "dead letters", "replayed", "pending", "missing", "refused for")
_LOG = structlog.get_logger(__name__)


def ledger_reader(settings: Settings, kinds: Collection[str]) -> Ledger:
    """What the API asks for the ledger; it raises LedgerAwayError where no spool can be read."""

    def read(device: str | None, limit: int) -> LedgerAnswer:
        try:
            return read_ledger(settings, kinds, device=device, limit=limit)
        except SpoolError as exc:
            _LOG.warning("the ledger cannot be read", code=exc.code, error=exc.message)
            raise LedgerAwayError(
                "the spool cannot be read where this API runs; set COURTYARD_SPOOL_DIR to the folder that ingest uses, "
                "or ask there: `python -m courtyard ledger`"
            ) from exc

    return read


def read_ledger(
    settings: Settings, kinds: Collection[str], *, device: str | None = None, limit: int = 20
) -> LedgerAnswer:
    """Read the ledger from all spools of the installation; ingest may run meanwhile.

    Args:
        settings: as loaded.
        kinds: the kinds there are.
        device: show its streams instead of those that miss most.
        limit: show at most so many.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    folder = wiring.spool_dir(settings)
    return answer(state(folder, kinds, grace_s=settings.gap_grace_s, device=device, most=limit))


def answer(found: Statement) -> LedgerAnswer:
    """A statement as the API gives it."""
    return LedgerAnswer(
        time=datetime.fromtimestamp(found.time_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        balanced=found.balanced,
        faults=list(found.faults),
        missing=sum(each.missing for each in found.kinds),
        pending=sum(each.pending.messages for each in found.spools),
        kinds=[
            LedgerKind(
                kind=each.kind,
                received=each.received,
                written=each.written,
                duplicate=each.duplicate,
                dead_lettered=dict(each.dead_lettered),
                replayed=each.replayed,
                missing=each.missing,
                pending=each.pending,
            )
            for each in found.kinds
        ],
        spools=[_spool(each) for each in found.spools],
        streams=[_stream(each) for each in found.gaps],
    )


def show(found: LedgerAnswer, console: Console) -> None:
    """Print the ledger for people."""
    console.print(_kinds(found))
    console.print(_spools(found))
    if found.streams:
        console.print(_streams(found))
    if found.missing and not all(each.running for each in found.spools):
        console.print("what the broker holds for an ingest that is not running counts as missing until it runs again")
    if found.balanced:
        console.print("[green]✓[/green] the ledger balances: received = written + duplicate + dead-lettered")
    for fault in found.faults:
        console.print(f"[red]✗[/red] {fault}", highlight=False)


def _kinds(found: LedgerAnswer) -> Table:
    table = Table("kind", *_NUMBERS, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in [*found.kinds, _total(found)]:
        table.add_row(
            row.kind,
            *(f"{each:,}" for each in (row.received, row.written, row.duplicate, sum(row.dead_lettered.values()))),
            f"{row.replayed:,}",
            "?" if row.pending is None else f"{row.pending:,}",
            f"[red]{row.missing:,}[/red]" if row.missing else "0",
            ", ".join(f"{reason} {value:,}" for reason, value in row.dead_lettered.items()),
        )
    table.columns[-1].justify = "left"
    return table


def _total(found: LedgerAnswer) -> LedgerKind:
    return LedgerKind(
        kind="all",
        received=sum(each.received for each in found.kinds),
        written=sum(each.written for each in found.kinds),
        duplicate=sum(each.duplicate for each in found.kinds),
        dead_lettered={"": sum(sum(each.dead_lettered.values()) for each in found.kinds)},
        replayed=sum(each.replayed for each in found.kinds),
        missing=found.missing,
        pending=found.pending,
    )


def _spools(found: LedgerAnswer) -> Table:
    table = Table(
        "\nspool", "\nmessages taken", "\nsettled", "\npending", "\noldest", "\ningest", box=None, pad_edge=False
    )
    for column in table.columns[1:5]:
        column.justify = "right"
    for each in found.spools:
        table.add_row(
            each.name,
            f"{each.taken:,}",
            f"{each.settled:,}",
            f"{each.pending:,}",
            f"{each.oldest_pending_s:,.0f} s" if each.pending else "",
            "running" if each.running else "[yellow]not running[/yellow]",
        )
    return table


def _streams(found: LedgerAnswer) -> Table:
    names = ("device", "channel", "missing", "lost", "seq", "boots")
    table = Table(*(f"\n{name}" for name in names), box=None, pad_edge=False)
    for column in table.columns[2:4]:
        column.justify = "right"
    for each in found.streams:
        table.add_row(
            each.device,
            each.channel,
            f"{each.missing:,}",
            f"{each.lost:,}",
            ", ".join(_shown(each)),
            f"{each.boots:,}",
        )
    return table


def _shown(stream: LedgerStream) -> Iterator[str]:
    for each in stream.ranges[:_SHOWN_RANGES]:
        yield f"{each.first}" if each.first == each.last else f"{each.first}–{each.last}"
    if len(stream.ranges) > _SHOWN_RANGES:
        yield "…"
    if stream.refused_messages:
        yield f"{stream.refused_messages:,} messages refused"


def _spool(line: SpoolLine) -> LedgerSpool:
    oldest = line.pending.oldest_ms
    return LedgerSpool(
        name=line.name,
        running=line.running,
        taken=line.taken,
        settled=line.settled,
        pending=line.pending.messages,
        pending_bytes=line.pending.size,
        oldest_pending_s=0.0 if oldest is None else max(0, now_ms() - oldest) / 1000,
    )


def _stream(gap: Gap) -> LedgerStream:
    return LedgerStream(
        device=gap.stream.device,
        kind=gap.stream.kind,
        compound=gap.stream.compound,
        channel=gap.stream.channel,
        boot=None if gap.boot == NONE else gap.boot,
        highest_seq=None if gap.high == NONE else gap.high,
        boots=gap.boots,
        missing=gap.missing,
        lost=gap.lost,
        refused_messages=gap.refused,
        ranges=[LedgerRange(boot=each.boot, first=each.first, last=each.last) for each in gap.ranges[-_RANGES:]],
    )
