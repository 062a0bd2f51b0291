"""A report's figures as a file."""

import pyarrow as pa

from api.export import File
from api.files import Format, written
from api.report import Report
from devices.inventory import RESERVED

_SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("start", "stop", "compound", "section", "kind", "name", "device", "label", "unit")
        ),
        *((name, pa.float64()) for name in ("value", "coverage", "previous", "change")),
    ]
)


def report_file(report: Report, format_: Format) -> File:
    """A row for each figure, each rule that was broken, each device to watch, and all that is likely to be full.

    Args:
        report: the report.
        format_: what kind of file.

    Returns:
        The file. `section` says what a row is about: a group of statistics, `alarms`, `watched` or `likely_full`.
    """
    rows = [
        {
            "section": str(each.group), "kind": each.kind, "name": each.statistic, "label": each.label,
            "unit": each.unit, "value": each.value, "coverage": each.coverage, "previous": each.previous,
            "change": each.change,
        }
        for each in report.figures
    ]  # fmt: skip
    rows += [
        {"section": "alarms", "kind": each.kind, "name": each.rule, "label": str(each.severity), "unit": "alarms",
         "value": float(each.number)}
        for each in report.by_rule
    ]  # fmt: skip
    rows += [
        {"section": "watched", "name": each.rule, "device": each.device, "unit": "alarms", "value": float(each.number)}
        for each in report.watched
    ]
    rows += [
        {"section": "likely_full", "name": "time_to_full", "device": each.device, "label": each.part, "unit": "s",
         "value": each.in_s}
        for each in report.likely_full
    ]  # fmt: skip
    common = {"start": report.start, "stop": report.stop, "compound": report.compound or RESERVED}
    table = pa.Table.from_pylist([{**common, **each} for each in rows], _SCHEMA)
    name = f"{common['compound']}-{report.length}-{report.start[: 7 if report.length == 'month' else 10]}.{format_}"
    return File(name, format_.media_type, written(iter([table]), _SCHEMA, format_))
