"""Whatever is asked, in whatever form, the answer is never 5xx and is always JSON that a strict reader takes."""

import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.client import Client

PATHS = (
    "/v1/compounds", "/v1/compounds/jingyuan", "/v1/compounds/jingyuan/occupancy", "/v1/compounds/jingyuan/usage",
    "/v1/compounds/jingyuan/availability", "/v1/devices", "/v1/devices/jingyuan-bin-01",
    "/v1/devices/jingyuan-bin-01/readings", "/v1/devices/jingyuan-gate-02/readings", "/v1/kinds", "/v1/statistics",
    "/v1/overview",
)  # fmt: skip
NAMES = (
    "start", "stop", "every", "kind", "limit", "offset", "order", "cursor", "table", "fields", "state", "compound",
    "building", "group", "zz",
)  # fmt: skip
PLAUSIBLE = (
    "now", "-1h", "-24h", "-400d", "-500d", "2025-06-01", "2025-06-01T00:00:00Z", "1748736000", "1748736000000", "0",
    "1", "10000", "10001", "-1", "9223372036854775807", "99999999999999999999", "1h", "1m", "15m", "1d", "1w", "1mo",
    "7m", "gate", "bin", "camera", "newest", "oldest", "telemetry", "status", "pass", "deposit", "fill", "fill,fill",
    "jingyuan", "online", "unknown", "usage", "1748736000000000000-0", "1e3", "NaN", "Infinity", "null", "true", "[]",
    "%00", "\x00", "../..", "' OR 1=1 --", "警苑", "\U0001f600", "\ud800",
)  # fmt: skip
VALUES = st.one_of(st.sampled_from(PLAUSIBLE), st.text(max_size=30), st.integers().map(str), st.floats().map(str))
LENIENT = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def encoded(pairs: list[tuple[str, str]]) -> str:
    return urlencode(
        [(name.encode("utf-8", "surrogatepass"), value.encode("utf-8", "surrogatepass")) for name, value in pairs]
    )


def answered(client: Client, url: str) -> None:
    answer = client.get(url)
    assert answer.status_code < 500, answer.text

    def refuse(name: str) -> None:
        pytest.fail(f"{name} in the answer to {url}")

    body = json.loads(answer.content.decode("utf-8"), parse_constant=refuse)
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "code", "detail"} <= set(body)
        assert len(answer.content) < 20_000


@LENIENT
@given(path=st.sampled_from(PATHS), pairs=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4))
def test_any_values_of_known_parameters(client: Client, path: str, pairs: list[tuple[str, str]]) -> None:
    answered(client, f"{path}?{encoded(pairs)}")


@LENIENT
@given(path=st.sampled_from(PATHS), query=st.binary(max_size=60))
def test_any_bytes_as_query(client: Client, path: str, query: bytes) -> None:
    answered(client, f"{path}?{quote(query, safe='&=;+%?/')}")


@LENIENT
@given(
    st.lists(st.one_of(st.text(min_size=1, max_size=20), st.sampled_from(["v1", "devices", "compounds"])), max_size=4)
)
def test_any_address_below_v1(client: Client, steps: list[str]) -> None:
    answered(client, "/v1/" + "/".join(quote(step.encode("utf-8", "replace"), safe="") for step in steps))


@pytest.mark.parametrize(
    "query", ["kind=gate&" * 2000, "kind=" + "x" * 50_000, "x" * 60_000, "&".join(f"p{n}=1" for n in range(5000))]
)
def test_large_queries(client: Client, query: str) -> None:
    for path in ("/v1/devices", "/v1/compounds/jingyuan/usage"):
        answered(client, f"{path}?{query}")
