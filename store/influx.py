"""Readings in InfluxDB 2: one measurement per table, tags compound, device and part, one field per column.

Numbers are floats, labels and identities strings, true/false booleans (docs/architecture.md has the schema).

Reading takes each field as InfluxDB keeps it, series by series, and lines the fields up here (`store.align`). Measured
on 1.2 M rows of a charger's telemetry, influxd 2.8 on one core: this way 0.9 µs a value (1.1 M values/s end to end,
the reading side being done before the server is); `pivot` in Flux takes 2.8 times as long. Where few rows are expected,
InfluxQL is asked instead (`store.influxql`).
"""

# The client types only half of itself.
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.dialect import Dialect
from influxdb_client.service.delete_service import DeleteService
from influxdb_client.service.write_service import WriteService

from devices.columns import Batch
from devices.errors import StoreRejectedError, StoreUnavailableError
from devices.kind import Table
from store import flux, influx_csv, influxql
from store.align import assembled, joined, newest
from store.bodies import LANES, are_distinct, bodies_of
from store.checks import MAX_NS, MIN_NS, check_rows, clipped
from store.flux import Selection
from store.influx_csv import Answer, Readable, UnexpectedShapeError
from store.influx_errors import check_url, said, translated
from store.influx_pieces import by_type, piece_of, presence, type_of
from store.influxql import InfluxqlError, Runs
from store.lines import encode
from store.prefixes import Prefixes
from store.protocol import Query

_DIALECT = Dialect(header=True, annotations=[], delimiter=",", comment_prefix="#", date_time_format="RFC3339")
_LATEST = "last()"
_WRITTEN = 204
Ask = Callable[[Selection, bool], Runs]


@dataclass(frozen=True, kw_only=True, slots=True)
class InfluxOptions:
    """Where readings are kept.

    Attributes:
        url: address of InfluxDB, for example "http://influxdb:8086".
        org: name of the organisation.
        bucket: name of the bucket.
        token: token with the right to what will be done.
        timeout_s: how long to wait for a connection, and for each part of an answer.
        ca_file: certificates to trust, in place of the system's; None for those.
        gzip: whether to compress what is sent and answered; on one machine or a fast net it costs more time than it
            saves.
    """

    url: str
    org: str
    bucket: str
    token: str = field(repr=False)
    timeout_s: float = 30.0
    ca_file: Path | None = None
    gzip: bool = False

    def __post_init__(self) -> None:
        """Check the address; raises `SettingsError` where it is none."""
        check_url(self.url)


_FEW_DEVICES = 20
"""Of so many devices the latest rows are few."""


class InfluxStore:
    """A `Store` in InfluxDB 2."""

    def __init__(self, options: InfluxOptions) -> None:
        """Prepare a store; the first call connects."""
        self._options = options
        self._client = InfluxDBClient(
            options.url,
            options.token,
            org=options.org,
            timeout=round(options.timeout_s * 1000),
            enable_gzip=options.gzip,
            ssl_ca_cert=None if options.ca_file is None else str(options.ca_file),
        )
        self._writer = WriteService(self._client.api_client)
        self._reader = self._client.query_api()
        self._deleter = DeleteService(self._client.api_client)
        self._lanes = ThreadPoolExecutor(LANES, thread_name_prefix="influx")  # its threads start when they are needed
        self._prefixes = Prefixes()
        self._closed = False

    def write(self, batches: Sequence[Batch]) -> None:
        """See `Store.write`. Requests hold up to `store.bodies.MAX_BODY_BYTES`; some of a failed call may be kept."""
        self._check_open()
        self.prepare(batches)()

    def prepare(self, batches: Sequence[Batch]) -> Callable[[], None]:
        """See `PreparingStore.prepare`."""
        for batch in batches:
            check_rows(batch)
        bodies = bodies_of([piece for batch in batches for piece in encode(batch, self._prefixes)])
        # InfluxDB works on a body on one core. Two at once end in any order, so no row may stand in both.
        together = len(bodies) > 1 and are_distinct(batches)
        return partial(self._post_together if together else self._post_in_turn, bodies)

    def read(self, query: Query) -> Batch:
        """See `Store.read`."""
        self._check_open()
        if query.is_empty:
            return Batch.empty(query.table, query.names)
        span = self._selection(query.table, query.start_ns, query.stop_ns, query.compounds, query.devices)
        if query.limit is not None:
            span = self._newest(span, query.limit)
        ask = self._few if query.few else self._many
        rows = self._rows(span, query.names, ask)
        if query.limit is not None:
            rows = newest(rows, query.limit)
        if not query.before_ns:
            return rows
        before = self._selection(
            query.table, query.start_ns - query.before_ns, query.start_ns, query.compounds, query.devices
        )
        return joined(self._assembled(before.of(query.names), query.names, ask, last=True), rows)

    def latest(
        self,
        table: Table,
        *,
        since_ns: int,
        compounds: Collection[str] | None = None,
        devices: Collection[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Batch:
        """See `Store.latest`."""
        self._check_open()
        names = tuple(table.by_name if fields is None else fields)
        ask = self._few if devices is not None and len(devices) <= _FEW_DEVICES else self._many
        rows = self._rows(self._selection(table, since_ns, MAX_NS, compounds, devices), names, ask, last=True)
        # Each field's last value has its own time; the newest of them is the newest row's, and all of its are last.
        return rows.take(rows.offsets()[1:] - 1)

    def count(self, table: Table, *, start_ns: int, stop_ns: int) -> int:
        """See `Store.count`."""
        self._check_open()
        selection = self._selection(table, start_ns, stop_ns).of((presence(table),))
        if selection.is_empty:
            return 0
        # Unique: see `_once`.
        with self._answer(selection.flux('unique(column: "_time")', "count()", "group()", "sum()")) as stream:
            return influx_csv.number(stream)

    def delete(self, table: Table, *, stop_ns: int, compound: str | None = None) -> None:
        """See `DeletingStore.delete`. It needs a token that may write: InfluxDB knows no right of its own for this."""
        self._check_open()
        predicate = f'_measurement="{table.measurement}"'
        if compound is not None:
            predicate += f' AND compound="{compound}"'
        last = clipped(stop_ns) - 1  # the last moment counts too
        if last <= MIN_NS:
            return
        with translated(f"InfluxDB at {self._options.url} did not delete readings"):
            self._deleter.post_delete(
                {"start": flux.instant(MIN_NS), "stop": flux.instant(last), "predicate": predicate},
                org=self._options.org,
                bucket=self._options.bucket,
            )

    def ping(self) -> None:
        """See `Store.ping`; reads nothing from the bucket, but needs the right to."""
        self._check_open()
        with self._answer(flux.probe(self._options.bucket)) as stream:
            influx_csv.number(stream)

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True
        self._lanes.shutdown()
        self._client.close()

    def _post(self, body: bytes) -> None:
        with translated(f"InfluxDB at {self._options.url} did not take readings"):
            # Without preloading, an answer is not decoded before its status is looked at.
            response = self._writer.post_write(
                self._options.org,
                self._options.bucket,
                body,
                precision="ns",
                content_type="text/plain; charset=utf-8",
                _preload_content=False,
            )
            response.read()
        if response.status != _WRITTEN:  # another server's yes says nothing about our readings
            raise StoreUnavailableError(
                f"what answers at {self._options.url} is no InfluxDB: it took readings with HTTP {response.status}; "
                "check COURTYARD_INFLUX_URL"
            )

    def _post_in_turn(self, bodies: Sequence[bytes]) -> None:
        _raise_first([self._rejected(body) for body in bodies])

    def _post_together(self, bodies: Sequence[bytes]) -> None:
        self._check_open()
        try:
            futures = [self._lanes.submit(self._rejected, body) for body in bodies]
        except RuntimeError as exc:
            raise StoreUnavailableError("the store is closed") from exc
        wait(futures)  # none goes on behind the back of a caller who tries again
        _raise_first([future.result() for future in futures])

    def _rejected(self, body: bytes) -> StoreRejectedError | None:
        """Post a body; why InfluxDB refused a part of it, or None."""
        self._check_open()
        try:
            self._post(body)
        except StoreRejectedError as exc:
            if not exc.partial:
                raise
            return exc  # the rest of the call is to be kept as well
        return None

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailableError("the store is closed")

    def _selection(
        self,
        table: Table,
        start_ns: int,
        stop_ns: int,
        compounds: Collection[str] | None = None,
        devices: Collection[str] | None = None,
    ) -> Selection:
        return Selection(
            bucket=self._options.bucket,
            table=table,
            fields=(),
            start_ns=start_ns,
            stop_ns=stop_ns,
            compounds=compounds,
            devices=devices,
        )

    def _rows(self, selection: Selection, names: tuple[str, ...], ask: Ask, *, last: bool = False) -> Batch:
        """Whole rows: where no column of `names` is in every row, one that is in every row is read beside them."""
        fields = names
        if not any(selection.table.by_name[name].required for name in names):
            fields = (*names, presence(selection.table))
        return self._assembled(selection.of(fields), names, ask, last=last)

    def _newest(self, selection: Selection, limit: int) -> Selection:
        """The same, from the time of the row on that is the `limit`-th newest."""
        # Twice as many, for each may come twice; see `_once`.
        answer = self._fetch(selection.of((presence(selection.table),)), f"tail(n: {2 * limit})")
        time = np.concatenate([np.unique(answer.time[run.begin : run.end]) for run in answer.runs] or [answer.time])
        if len(time) <= limit:
            return selection
        return replace(selection, start_ns=int(np.partition(time, -limit)[-limit]))

    def _assembled(self, selection: Selection, names: tuple[str, ...], ask: Ask, *, last: bool = False) -> Batch:
        """The columns `names` of all rows that have any of the selection's fields."""
        runs = {} if selection.is_empty else ask(selection, last)
        keys = sorted({run.key for each in runs.values() for run, _ in each})
        ranks = {key: rank for rank, key in enumerate(keys)}
        pieces = {name: piece_of(selection.table.by_name.get(name), each, ranks) for name, each in runs.items()}
        return assembled(selection.table, keys, names, pieces)

    def _many(self, selection: Selection, last: bool) -> Runs:  # noqa: FBT001  (one of two ways to ask)
        """The values of fields by Flux, type by type."""
        runs: Runs = {}
        for fields in by_type(selection.table, selection.fields):
            answer = self._fetch(selection.of(fields), *([_LATEST] if last else []))
            for run in answer.runs:
                runs.setdefault(run.field, []).append((run, answer))
        return runs

    def _few(self, selection: Selection, last: bool) -> Runs:  # noqa: FBT001
        """The values of fields by InfluxQL."""
        doing = f"InfluxDB at {self._options.url} did not answer a question"
        with translated(doing):
            response = self._client.api_client.call_api(
                "/query",
                "POST",
                header_params={"Accept": influxql.MEDIA_TYPE, "Content-Type": "application/x-www-form-urlencoded"},
                post_params=[
                    ("db", self._options.bucket),
                    ("epoch", "ns"),
                    ("q", influxql.select(selection, last=last)),
                ],
                _preload_content=False,
                _return_http_data_only=True,
            )
            body = response.read(decode_content=True)
        types = {name: type_of(selection.table.by_name.get(name)) for name in selection.fields}
        try:
            return influxql.read(body, types)
        except InfluxqlError as exc:
            raise said(doing, str(exc)) from exc
        except UnexpectedShapeError as exc:
            raise _of_another_type(selection) from exc

    def _fetch(self, selection: Selection, *steps: str) -> Answer:
        """The values of fields of one type."""
        if selection.is_empty:
            return influx_csv.EMPTY
        values = type_of(selection.table.by_name.get(selection.fields[0]))
        try:
            with self._answer(selection.flux(*steps)) as stream:
                return influx_csv.read(stream, values)
        except UnexpectedShapeError:
            pass  # asked for once more, to be read with more patience
        try:
            with self._answer(selection.flux(*steps)) as stream:
                return influx_csv.read_blocks(stream, values)
        except UnexpectedShapeError as exc:
            raise _of_another_type(selection) from exc

    @contextmanager
    def _answer(self, query: str) -> Iterator[Readable]:
        with translated(f"InfluxDB at {self._options.url} did not answer a question"):
            response = self._reader.query_raw(query, self._options.org, _DIALECT)
            try:
                yield response
            finally:
                response.close()  # a connection read to its end is back in the pool already and stays open


def _raise_first(errors: Iterable[StoreRejectedError | None]) -> None:
    for error in errors:
        if error is not None:
            raise error


def _of_another_type(selection: Selection) -> StoreRejectedError:
    where = f"{selection.table.measurement}: {', '.join(selection.fields)}"
    return StoreRejectedError(f"the bucket holds values of another type than declared in {where}")
