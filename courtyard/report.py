"""A report on the terminal."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from courtyard.status import COLOURS

_SHARE, _SECONDS = "1", "s"
_LITTLE = 0.9
"""Where less than this was observed, the figure is shown pale."""


def tables(report: Mapping[str, Any], language: str) -> RenderableType:
    """Lay a report out.

    Args:
        report: as /v1/reports answers.
        language: "en" or "zh".
    """
    name = report["name"][language]
    head = Text.assemble((name, "bold"), f"  {report['start'][:16]} – {report['stop'][:16]}")
    if not report["complete"]:
        head.append("  so far", "yellow")
    parts: list[RenderableType] = [head, Text(), *_down(report, language), *_next(report, language)]
    for group in dict.fromkeys(each["group"] for each in report["figures"]):
        parts += [Text(), _figures(group, [each for each in report["figures"] if each["group"] == group], language)]
    return Group(*parts)


def _down(report: Mapping[str, Any], language: str) -> list[RenderableType]:
    if report["alarms"] is None:
        return [Text("alarms are kept where this API cannot reach them", "dim")]
    found: list[RenderableType] = [Text(f"{report['alarms']['raised']} alarms, {report['down_total']} outages")]
    if report["by_rule"]:
        table = Table("alarm", "severity", "number", "lasted", box=None, pad_edge=False)
        for each in report["by_rule"]:
            severity = Text(each["severity"], COLOURS[each["severity"]])
            table.add_row(Text(each["title"][language]), severity, f"{each['number']:,}", _duration(each["lasted_s"]))
        found.append(table)
    return found


def _next(report: Mapping[str, Any], language: str) -> list[RenderableType]:
    table = Table("likely next", "", "", box=None, pad_edge=False)
    for each in report["likely_full"]:
        part = "" if each["part_title"] is None else each["part_title"][language]
        table.add_row(Text(each["device"]), Text(part), f"full in {_duration(each['in_s'])}")
    for each in report["watched"]:
        table.add_row(Text(each["device"]), Text(each["title"][language]), f"{each['number']} times")
    return [Text(), table] if table.row_count else []


def _figures(group: str, figures: Sequence[Mapping[str, Any]], language: str) -> Table:
    table = Table(group, "", "", "before", "change", "observed", box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    kind = None
    for each in figures:
        if each["kind"] != kind:
            kind = each["kind"]
            table.add_row(Text(each["kind_title"][language], "bold"))
        table.add_row(
            Text(f"  {each['title'][language]}"),
            Text("" if each["label_title"] is None else each["label_title"][language]),
            _figure(each["value"], each["unit"]),
            _figure(each["previous"], each["unit"]),
            "" if each["change"] is None else f"{each['change']:+.0%}",
            f"{each['coverage']:.0%}",
            style="" if each["coverage"] >= _LITTLE else "dim",
        )
    return table


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == _SHARE:
        return f"{value:.1%}"
    if unit == _SECONDS:
        return _duration(value)
    return f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:,.3g} {unit}"


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
