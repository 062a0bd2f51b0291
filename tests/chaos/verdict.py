"""The end of every scenario: let all be written, and compare load, store, ledger and what is reported as missing."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tests.chaos.compare import (
    Comparison,
    Readings,
    acknowledged,
    compare,
    ledger_faults,
    ledger_figures,
    reported_missing,
    stored,
)
from tests.chaos.report import Report
from tests.chaos.rig import LoadProcess, Rig

REPORTED_S = 60.0
"""How soon a missing reading must be reported as a gap."""
_EMPTY_S = 180.0


def verify(
    rig: Rig,
    loads: Sequence[LoadProcess],
    report: Report,
    *,
    loses: bool = False,
    refused: Mapping[str, int] | None = None,
    good: Callable[[Readings], Readings] = lambda readings: readings,
    rows: Callable[[], Readings] | None = None,
) -> Comparison:
    """End the loads and ingest in order, and note figures and faults.

    Args:
        rig: what ran; ingest must run.
        loads: what was sent.
        report: where to note.
        loses: whether the scenario may lose readings in the broker; each must then be reported as a gap in time.
        refused: how many dead letters there must be by reason, exactly.
        good: leaves out the acknowledged readings that the store must not have.
        rows: what the store has, where the rig cannot know.
    """
    began = time.monotonic()
    summaries = [load.finish() for load in loads]
    rig.until_empty(_EMPTY_S)
    sent = good(acknowledged(np.concatenate([load.acknowledged() for load in loads])))
    if loses:
        _until_reported(rig, compare(sent, stored(rig)), report, began)
    status = rig.ingest.end()
    result = compare(sent, stored(rig) if rows is None else rows())
    ledger, statement = rig.ledger(), rig.statement()
    lost = len(result.missing) if loses else 0
    report.figures |= {
        **result.figures,
        **{f"ledger {name}": value for name, value in ledger_figures(ledger, sent, lost=lost).items()},
        "reported missing": statement["missing"],
        "load reconnected": sum(each["reconnects"] for each in summaries) - len(summaries),
        "load refused": sum(each["refused"] for each in summaries),
    }
    report.faults += [fault for fault in result.faults if not (loses and fault.startswith("missing"))]
    report.faults += ledger_faults(ledger, sent, lost=lost, refused=refused or {})
    report.faults += statement["faults"]
    report.expect(
        statement["missing"] == lost, f"the ledger reports {statement['missing']:,} missing readings, not {lost:,}"
    )
    report.expect(status == 0, f"ingest ended with status {status}")
    return result


def _until_reported(rig: Rig, result: Comparison, report: Report, began: float) -> None:
    """Wait until the ledger says exactly what is missing."""
    while True:
        said = reported_missing(rig.statement())
        took = time.monotonic() - began
        if np.array_equal(said, result.missing) or took > REPORTED_S:
            break
        time.sleep(1.0)
    report.figures["all reported after s"] = round(took, 1)
    silent, wrong = (len(np.setdiff1d(*each)) for each in ((result.missing, said), (said, result.missing)))
    report.expect(not silent, f"{silent:,} missing readings are not reported within {REPORTED_S:.0f} s")
    report.expect(not wrong, f"{wrong:,} readings are reported as missing, but are not")
