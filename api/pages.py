"""The page of the API: what it answers. Plain HTML; it works offline."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from starlette.responses import HTMLResponse

from api.auth import HEADER
from api.errors import CODES

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, "Noto Sans CJK SC", "WenQuanYi Micro Hei",
sans-serif; --line: #8885; --soft: #8881; --bad: light-dark(#b3261e, #ff8a80); --link: light-dark(#0b57d0, #a8c7fa); }
body { margin: 1.25rem auto; max-width: 100rem; padding: 0 1.25rem; }
h1 { font-size: 1.35rem; margin: 0 0 .75rem; } h2 { font-size: 1rem; margin: 1.5rem 0 .25rem; } p { margin: .3rem 0; }
a { color: var(--link); } small { opacity: .75; font-weight: 400; } code { font-family: ui-monospace, monospace; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; }
td, th { border-bottom: 1px solid var(--line); padding: .28rem .8rem .28rem 0; text-align: left; vertical-align: top; }
"""
_CSP = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
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


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>",
        headers={"Content-Security-Policy": _CSP},
    )


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    parameters = operation.get("parameters", [])
    if parameters:
        rows = "".join(
            f"<tr><td><code>{escape(each['name'])}</code></td>"
            f"<td>{escape(each.get('description') or each['in'])}</td></tr>"
            for each in parameters
        )
        yield f"<table>{rows}</table>"
