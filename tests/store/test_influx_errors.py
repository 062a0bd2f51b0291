"""Whatever InfluxDB, or what stands in its place, may do, one of our errors comes of it."""

import http.client
import inspect
import socket
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import influxdb_client.rest
import pytest
import urllib3
import urllib3.exceptions
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client.client.exceptions import InfluxDBError
from urllib3.connection import HTTPConnection

from devices.errors import SettingsError, StoreDeniedError, StoreError, StoreRejectedError, StoreUnavailableError
from devices.registry import discover
from store.influx import InfluxOptions, InfluxStore
from store.influx_errors import MAX_RETRY_AFTER_S, retry_after_s, translated
from store.protocol import Query
from tests.services import Bucket
from tests.services.process import free_port
from tests.store.conftest import influx_options
from tests.store.samples import START_NS, STOP_NS, sample
from tests.store.stub import Stub

TABLE = discover()["gate"].tables["pass"]
SAID = b'{"code":"some code","message":"said by \\u4e2d influx"}'

Call = Callable[[InfluxStore], object]
CALLS: dict[str, Call] = {
    "write": lambda store: store.write([sample(TABLE, 5)]),
    "read": lambda store: store.read(Query(table=TABLE, start_ns=START_NS, stop_ns=STOP_NS)),
    "few": lambda store: store.read(Query(table=TABLE, start_ns=START_NS, stop_ns=STOP_NS, few=True)),
    "latest": lambda store: store.latest(TABLE, since_ns=0),
    "count": lambda store: store.count(TABLE, start_ns=START_NS, stop_ns=STOP_NS),
    "ping": lambda store: store.ping(),
}


@pytest.fixture(params=list(CALLS.values()), ids=list(CALLS))
def call(request: pytest.FixtureRequest) -> Call:
    found: Call = request.param
    return found


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as server:
        yield server


def store_at(url: str, timeout_s: float = 10.0) -> InfluxStore:
    return InfluxStore(InfluxOptions(url=url, org="o", bucket="b", token="secret-token", timeout_s=timeout_s))


def raised(url: str, call: Call, timeout_s: float = 10.0) -> StoreError:
    store = store_at(url, timeout_s)
    try:
        with pytest.raises(StoreError) as caught:
            call(store)
    finally:
        store.close()
    assert "secret-token" not in caught.value.message
    assert caught.value.__cause__ is not None or "InfluxDB" in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, StoreUnavailableError),
        (400, StoreRejectedError),
        (401, StoreDeniedError),
        (403, StoreDeniedError),
        (404, StoreDeniedError),
        (405, StoreUnavailableError),
        (408, StoreUnavailableError),
        (413, StoreRejectedError),
        (418, StoreUnavailableError),
        (422, StoreRejectedError),
        (429, StoreUnavailableError),
        (500, StoreUnavailableError),
        (502, StoreUnavailableError),
        (503, StoreUnavailableError),
        (504, StoreUnavailableError),
        (599, StoreUnavailableError),
    ],
)
@pytest.mark.parametrize(
    "body",
    [SAID, b"", b"<html>nginx</html>", b"\xff\xfe", b"[1]", b"{}", b'{"message":null}', b"[" * 10_000],
    ids=["json", "empty", "html", "bytes", "list", "no message", "null", "nested"],
)
def test_a_status(stub: Stub, call: Call, status: int, body: bytes, expected: type[StoreError]) -> None:
    stub.status, stub.body = status, body
    error = raised(stub.url, call)
    if body != SAID and status in {400, 422}:  # a proxy or another server, which has not judged the readings
        expected = StoreUnavailableError
    assert type(error) is expected
    assert len(error.message) < 700
    assert f"HTTP {status}" in error.message
    if body == SAID:
        assert "said by 中 influx" in error.message
    if isinstance(error, StoreRejectedError):
        assert error.partial is (status == 422)
    if status == 404:
        assert "courtyard init" in error.message


@pytest.mark.parametrize("status", [200, 201, 202, 206])
def test_another_servers_yes_is_no_success(stub: Stub, status: int) -> None:
    stub.status = status
    assert type(raised(stub.url, CALLS["write"])) is StoreUnavailableError


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("0", 0, 0),
        ("7", 7, 7),
        (" 12 ", 12, 12),
        ("999999999", MAX_RETRY_AFTER_S, MAX_RETRY_AFTER_S),
        ("in 1000 s", 990, 1000),  # as an HTTP date, written when the test runs
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_S, MAX_RETRY_AFTER_S),
    ],
)
def test_retry_after_is_passed_on(stub: Stub, status: int, header: str, low: float, high: float) -> None:
    if header == "in 1000 s":
        header = formatdate(time.time() + 1000, usegmt=True)
    stub.status, stub.headers = status, {"Retry-After": header}
    for call in (CALLS["write"], CALLS["read"]):
        error = raised(stub.url, call)
        assert isinstance(error, StoreUnavailableError)
        assert error.retry_after_s is not None
        assert low <= error.retry_after_s <= high


@pytest.mark.parametrize(
    "header",
    [
        "-1",
        "1e9",
        "nan",
        "inf",
        "1.5",
        "soon",
        "",
        "9" * 5000,
        "Thu, 99 Jan 2026 99:99:99 GMT",
        "\u0663",
        "0x10",
        "1;2",
    ],
)
def test_a_retry_after_that_makes_no_sense_is_none(header: str) -> None:
    assert retry_after_s(header, now_s=0.0) is None


@given(st.text() | st.none())
def test_any_retry_after_is_none_or_a_sensible_wait(header: str | None) -> None:
    wait = retry_after_s(header, now_s=1.8e9)
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER_S


def test_a_server_that_hangs(stub: Stub, call: Call) -> None:
    stub.hang = True
    begin = time.monotonic()
    error = raised(stub.url, call, timeout_s=0.2)
    assert isinstance(error, StoreUnavailableError)
    assert "no answer in time" in error.message
    assert time.monotonic() - begin < 5


def test_a_connection_that_is_cut(stub: Stub, call: Call) -> None:
    stub.reset = True
    assert isinstance(raised(stub.url, call), StoreUnavailableError)


@pytest.mark.parametrize("body", [b"", b",result,table,_time,_value,_field,compound,device\r\n,_result,0,2026-01-0"])
def test_an_answer_that_is_cut(stub: Stub, call: Call, body: bytes) -> None:
    stub.status, stub.body, stub.cut = 200, body, True
    assert isinstance(raised(stub.url, call), StoreUnavailableError)


@pytest.mark.parametrize("body", [b"<html>a proxy</html>\n", b"\x00\xff" * 9999, b",result\n" * 3, b"a,b\n1,2\n"])
def test_an_answer_of_something_else(stub: Stub, body: bytes) -> None:
    stub.status, stub.body = 200, body
    for name in ("read", "latest", "count"):
        assert isinstance(raised(stub.url, CALLS[name]), StoreUnavailableError)


def test_nobody_there(call: Call) -> None:
    error = raised(f"http://127.0.0.1:{free_port()}", call)
    assert isinstance(error, StoreUnavailableError)
    assert "Connection refused" in error.message
    assert "COURTYARD_INFLUX_URL" in error.message


@pytest.mark.parametrize(
    "url", ["http://nowhere.invalid:8086", "http://127.0.0.1:1", "http://256.256.256.256", "http://a..b"]
)
def test_an_address_that_leads_nowhere(url: str, call: Call) -> None:
    assert isinstance(raised(url, call), StoreUnavailableError)


@pytest.mark.parametrize(
    "url", ["http://[::1", "localhost:8086", "nonsense", "http://", "ftp://x", "", "http://x:99999", "http://x:y"]
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(SettingsError, match="COURTYARD_INFLUX_URL"):
        store_at(url)


def test_tls_where_none_is(stub: Stub, call: Call) -> None:
    assert isinstance(raised(stub.url.replace("http:", "https:"), call), StoreUnavailableError)


API_EXCEPTION: Any = influxdb_client.rest.ApiException
POOL = urllib3.HTTPConnectionPool("h")
CONNECTION = HTTPConnection("h")
MADE = {
    urllib3.exceptions.MaxRetryError: urllib3.exceptions.MaxRetryError(POOL, "/", None),
    urllib3.exceptions.NewConnectionError: urllib3.exceptions.NewConnectionError(CONNECTION, "[Errno 111] refused"),
    urllib3.exceptions.NameResolutionError: urllib3.exceptions.NameResolutionError("h", CONNECTION, socket.gaierror(1)),
    urllib3.exceptions.IncompleteRead: urllib3.exceptions.IncompleteRead(1, 2),
    urllib3.exceptions.HeaderParsingError: urllib3.exceptions.HeaderParsingError([], ""),
    urllib3.exceptions.InvalidChunkLength: urllib3.exceptions.InvalidChunkLength(urllib3.HTTPResponse(b""), b"x"),
}
FOREIGN = [
    each
    for _, each in inspect.getmembers(urllib3.exceptions, inspect.isclass)
    if each.__module__ == "urllib3.exceptions"
    and issubclass(each, Exception)
    and not issubclass(each, Warning)
    and "Proxy" not in each.__name__  # we use none
]


def _made(foreign: type[Exception]) -> Exception:
    """An error of that class, made the way the class wants it."""
    if foreign in MADE:
        return MADE[foreign]
    if not inspect.isfunction(foreign.__init__):
        return foreign("x")
    wanted = [each for each in inspect.signature(foreign).parameters.values() if each.default is each.empty]
    values = {"pool": POOL, "url": "/", "error": OSError("x"), "conn": CONNECTION, "message": "x", "scheme": "x"}
    named = [each for each in wanted if each.kind is each.POSITIONAL_OR_KEYWORD]
    return foreign(*(values.get(each.name, "x") for each in named))


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda each: each.__name__)
def test_no_error_of_urllib3_is_left_unmapped(foreign: type[Exception]) -> None:
    check_mapped(_made(foreign))


@pytest.mark.parametrize(
    "exc",
    [
        API_EXCEPTION(status=0, reason="tls"),
        API_EXCEPTION(status=None, reason=None),
        InfluxDBError(message="x"),
        ConnectionResetError(104, "reset"),
        TimeoutError("late"),
        http.client.IncompleteRead(b"", 3),
        http.client.BadStatusLine("x"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_no_error_below_or_above_it_either(exc: Exception) -> None:
    check_mapped(exc)


def check_mapped(exc: Exception) -> None:
    with pytest.raises(StoreUnavailableError) as caught, translated("trying"):
        raise exc
    assert caught.value.__cause__ is exc
    assert "0x" not in caught.value.message


@pytest.mark.services
class TestRealOne:
    def test_a_wrong_token(self, influx_bucket: Bucket, call: Call) -> None:
        store = InfluxStore(
            InfluxOptions(url=influx_bucket.url, org=influx_bucket.org, bucket=influx_bucket.bucket, token="wrong")
        )
        with pytest.raises(StoreDeniedError, match="token"):
            call(store)
        store.close()

    @pytest.mark.parametrize(("org", "bucket"), [(None, "nowhere"), ("nobody", None), (None, 'a"b\\c${d}\n|> yield()')])
    def test_a_wrong_name(self, influx_bucket: Bucket, call: Call, org: str | None, bucket: str | None) -> None:
        store = InfluxStore(
            InfluxOptions(
                url=influx_bucket.url,
                org=org or influx_bucket.org,
                bucket=bucket or influx_bucket.bucket,
                token=influx_bucket.token,
            )
        )
        if org is not None and call is CALLS["few"]:
            assert call(store) is not None  # InfluxQL goes by the token, which belongs to one organisation
        else:
            with pytest.raises(StoreDeniedError, match="courtyard init"):
                call(store)
        store.close()

    def test_a_field_of_another_type(self, influx_bucket: Bucket) -> None:
        """422: the good rows are kept and the bad are not."""
        batch = sample(TABLE, 30)
        key, when = batch.keys[batch.series[0]], batch.time[0]
        influx_bucket.write(f"{TABLE.measurement},compound={key.compound},device={key.device} direction=1i {when + 1}")
        store = InfluxStore(influx_options(influx_bucket))
        with pytest.raises(StoreRejectedError) as caught:
            store.write([batch])
        assert caught.value.partial
        store.close()
