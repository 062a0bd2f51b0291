"""Two small pages: how all compounds are now, and what the API answers. Plain HTML; they work offline."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from types import MappingProxyType
from typing import Any, NamedTuple

from starlette.responses import HTMLResponse

from api.auth import CHALLENGE, HEADER
from api.connection import State
from api.errors import CODES
from api.models import CompoundNow, Figure, Overview, Title

_REFRESH_S = 30
_STALE_S = 300.0
_STATES: Mapping[State, Title] = {
    State.ONLINE: Title(en="online", zh="在线"),
    State.OFFLINE: Title(en="offline", zh="离线"),
    State.MAINTENANCE: Title(en="in maintenance", zh="维护中"),
    State.UNKNOWN: Title(en="unknown", zh="未知"),
}
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, "Noto Sans CJK SC", "WenQuanYi Micro Hei",
sans-serif; --line: #8885; --soft: #8881; --bad: light-dark(#b3261e, #ff8a80); --link: light-dark(#0b57d0, #a8c7fa); }
body { margin: 1.25rem auto; max-width: 100rem; padding: 0 1.25rem; }
h1 { font-size: 1.35rem; margin: 0 0 .75rem; } h2 { font-size: 1rem; margin: 1.5rem 0 .25rem; } p { margin: .3rem 0; }
a { color: var(--link); } small { opacity: .75; font-weight: 400; } code { font-family: ui-monospace, monospace; }
.sums { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0 0 1rem; padding: 0; list-style: none; }
.sums li { background: var(--soft); border-radius: .5rem; padding: .5rem 1rem; min-width: 9rem; }
.sums b { display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; }
td, th { border-bottom: 1px solid var(--line); padding: .28rem .8rem .28rem 0; text-align: left; vertical-align: top; }
.now { width: 100%; } .now th { font-weight: 600; } .now thead th { vertical-align: bottom; line-height: 1.25; }
.now thead th small { display: block; } .now td { white-space: nowrap; }
.now .n { text-align: right; font-variant-numeric: tabular-nums; }
.now tbody tr:nth-child(even) { background: var(--soft); }
tr.stale td, tr.stale th { opacity: .5; } .offline { color: var(--bad); font-weight: 600; }
"""
_CSP = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def overview(now: Overview | None) -> HTMLResponse:
    """The page of all compounds.

    Args:
        now: how they are; None where the caller showed no key.

    Returns:
        The page; without figures and with status 401 where there is no key.
    """
    if now is None:
        text = (
            f"<h1>Courtyard</h1><p>Figures need a key: send it as <code>{HEADER}</code> or "
            "<code>Authorization: Bearer</code>.</p><p>查看数据需要密钥，请在请求头中发送。</p>"
            '<p><a href="/docs">API</a></p>'
        )
        return _page("Courtyard", text, status=401, headers=CHALLENGE)
    sums = "".join(f"<li><b>{value}</b>{text.zh} <small>{text.en}</small></li>" for text, value in _sums(now.compounds))
    columns = _columns(now.compounds)
    heads = "".join(
        f'<th class="n" scope="col">{escape(column.title.zh)}<small>{escape(column.title.en)}'
        f"{'<br>' + escape(' / '.join(column.labels)) if column.labels else ''}</small></th>"
        for column in columns
    )
    rows = "".join(_row(each, columns) for each in now.compounds)
    return _page(
        "Courtyard",
        f'<h1>Courtyard <small><a href="/docs">API</a></small></h1><ul class="sums">{sums}</ul>'
        '<div class="scroll"><table class="now"><thead><tr><th scope="col">小区<small>Compound</small></th>'
        f'<th scope="col">设备<small>Devices</small></th>{heads}'
        f'<th class="n" scope="col">数据时延<small>Data age</small></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>",
        refresh_s=_REFRESH_S,
    )


def docs(description: Mapping[str, Any]) -> HTMLResponse:
    """The page of the API.

    Args:
        description: its OpenAPI document.

    Returns:
        The page: every address with its parameters, and every error code.
    """
    info = description["info"]
    parts = [f"<h1>{escape(info['title'])} API</h1><p>{escape(info['description'])}</p>"]
    parts.append(
        f"<p>Keys: <code>{HEADER}: …</code> or <code>Authorization: Bearer …</code>. "
        'For programs: <a href="/openapi.json">openapi.json</a>.</p>'
    )
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            parts.append(
                f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
                f"<p>{escape(operation.get('description', ''))}</p>"
            )
            parts += _parameters(operation)
    rows = "".join(
        f'<tr id="{escape(code)}"><td><code>{escape(code)}</code></td><td>{escape(meaning)}</td></tr>'
        for code, meaning in CODES
    )
    parts.append(f"<h2>Errors</h2><p>Every error is problem+json with one of these codes.</p><table>{rows}</table>")
    return _page("Courtyard API", "".join(parts))


def _page(
    title: str,
    body: str,
    *,
    status: int = 200,
    refresh_s: int | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> HTMLResponse:
    refresh = f'<meta http-equiv="refresh" content="{refresh_s}">' if refresh_s is not None else ""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>",
        status,
        {"Content-Security-Policy": _CSP, **headers},
    )


class _Column(NamedTuple):
    kind: str
    statistic: str
    title: Title
    labels: tuple[str, ...]


def _sums(compounds: Sequence[CompoundNow]) -> Iterator[tuple[Title, str]]:
    inside = [each.people_inside for each in compounds if each.people_inside is not None]
    yield Title(en="compounds", zh="小区"), f"{len(compounds):,}"
    yield Title(en="people inside", zh="在内人数"), f"{sum(inside):,.0f}" if inside else "–"
    for state in _STATES:
        number = sum(each.states[state] for each in compounds)
        if number or state in {State.ONLINE, State.OFFLINE}:
            yield Title(en=f"devices {_STATES[state].en}", zh=f"设备{_STATES[state].zh}"), f"{number:,}"


def _columns(compounds: Sequence[CompoundNow]) -> list[_Column]:
    """One column for each statistic that any compound has, in the order in which they are served."""
    found: dict[tuple[str, str], _Column] = {}
    for compound in compounds:
        for (kind, name), figures in _grouped(compound):
            labels = tuple(figure.label for figure in figures if figure.label is not None)
            found.setdefault((kind, name), _Column(kind, name, figures[0].title, labels))
    return list(found.values())


def _grouped(now: CompoundNow) -> Iterator[tuple[tuple[str, str], tuple[Figure, ...]]]:
    for key, figures in groupby(now.figures, lambda figure: (figure.kind, figure.statistic)):
        yield key, tuple(figures)


def _row(now: CompoundNow, columns: Sequence[_Column]) -> str:
    age = now.last_reading_age_s
    stale = ' class="stale"' if age is None or age > _STALE_S else ""
    states = " · ".join(
        f'<span class="{state}">{number} {_STATES[state].zh} <small>{_STATES[state].en}</small></span>'
        for state, number in now.states.items()
        if number
    )
    mine = dict(_grouped(now))
    cells = "".join(
        f'<td class="n">{" / ".join(map(_value, mine.get((column.kind, column.statistic), ())))}</td>'
        for column in columns
    )
    return (
        f'<tr{stale}><th scope="row">{escape(now.name.zh)} <small>{escape(now.name.en)}</small></th>'
        f'<td>{states}</td>{cells}<td class="n">{_age(age)}</td></tr>'
    )


def _value(figure: Figure) -> str:
    if figure.value is None:
        return '<span title="unobserved 未观测">–</span>'
    return f"{figure.value:.0%}" if figure.unit == "1" else f"{figure.value:,.0f}"


def _age(age_s: float | None) -> str:
    if age_s is None:
        return "&gt; 24 h"
    if age_s < 120:
        return f"{age_s:.0f} s"
    return f"{age_s / 60:.0f} min" if age_s < 7200 else f"{age_s / 3600:.0f} h"


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    parameters = operation.get("parameters", [])
    if parameters:
        rows = "".join(
            f"<tr><td><code>{escape(each['name'])}</code></td>"
            f"<td>{escape(each.get('description') or each['in'])}</td></tr>"
            for each in parameters
        )
        yield f"<table>{rows}</table>"
