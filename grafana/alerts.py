"""Alert rules of the service's own health, as Grafana provisions them.

https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from devices.kind import Kind
from devices.names import Text
from grafana import flux, rolled
from grafana.panels import SOURCE, bilingual

_HEAD = "# Built by `make dashboards` from grafana/alerts.py; do not edit it here.\n"
_EXPRESSION = "__expr__"
_BACK_S = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One alert rule: a query, and from which number on it is bad.

    Attributes:
        name: of its id.
        title: for people.
        advice: what to do.
        query: gives numbers, one for each series.
        above: a series above this is bad.
        for_s: for so long it must be.
    """

    name: str
    title: Text
    advice: Text
    query: str
    above: float
    for_s: int


def alerts(kinds: Iterable[Kind]) -> list[Alert]:
    """The alert rules."""
    found = []
    for kind in kinds:
        hold_s = kind.max_hold_ns / 1e9
        found.append(
            Alert(
                name=f"stale-{kind.name}",
                title=Text(f"No readings: {kind.title.en}", f"没有读数:{kind.title.zh}"),
                advice=Text(
                    "No device of this kind has sent anything for long. See to the broker, ingest and the store.",
                    "该类设备长时间没有读数，请检查消息代理、采集服务和数据库。",
                ),
                query=flux.age(kind.tables.values(), bilingual(kind.title), flux.ALL),
                above=2 * hold_s,
                for_s=120,
            )
        )
        found.append(
            Alert(
                name=f"rollups-{kind.name}",
                title=Text(f"Rollups behind: {kind.title.en}", f"汇总滞后:{kind.title.zh}"),
                advice=Text(
                    "The rollup worker does not follow: see its log. Answers stay right, and get slower.",
                    "汇总服务滞后，请查看其日志。查询结果仍然正确，但会变慢。",
                ),
                query=rolled.lag(kind, kind.title),
                above=7200 + hold_s,
                for_s=900,
            )
        )
    return found


def rendered(kinds: Iterable[Kind]) -> str:
    """The text of the provisioning file."""
    group = {
        "orgId": 1,
        "name": "courtyard",
        "folder": "Courtyard",
        "interval": "1m",
        "rules": [_rule(each) for each in alerts(kinds)],
    }
    return _HEAD + yaml.safe_dump({"apiVersion": 1, "groups": [group]}, allow_unicode=True, sort_keys=False, width=120)


def _rule(alert: Alert) -> Mapping[str, Any]:
    return {
        "uid": f"courtyard-{alert.name}",
        "title": bilingual(alert.title),
        "condition": "C",
        "for": f"{alert.for_s}s",
        # Where the question cannot be answered something is wrong, too.
        "noDataState": "Alerting",
        "execErrState": "Alerting",
        "annotations": {"summary": bilingual(alert.title), "description": bilingual(alert.advice)},
        "labels": {"service": "courtyard"},
        "data": [
            _step("A", SOURCE.uid or "", {"query": alert.query}),
            _step("B", _EXPRESSION, {"type": "reduce", "expression": "A", "reducer": "last"}),
            _step("C", _EXPRESSION, {
                "type": "threshold", "expression": "B",
                "conditions": [{"evaluator": {"type": "gt", "params": [alert.above]}}],
            }),
        ],
    }  # fmt: skip


def _step(name: str, source: str, model: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "refId": name,
        "datasourceUid": source,
        "relativeTimeRange": {"from": _BACK_S, "to": 0},
        "model": {"refId": name, **model},
    }
