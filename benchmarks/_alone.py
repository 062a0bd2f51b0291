"""InfluxDB alone: how fast it takes a load that lies ready as line protocol, so what no ingest can surpass."""

import http.client
import time
import urllib.parse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from benchmarks._load import Load
from benchmarks._watch import BenchmarkError
from store.lines import encode
from tests.services import Bucket

_ROWS = 20_000
_LANES = 2


def write_alone(bucket: Bucket, load: Load) -> float:
    """Post a load, sorted by series as InfluxDB likes it best, over two connections; the seconds it took."""
    bodies = [
        b"".join(encode(batch.take(slice(begin, begin + _ROWS)).sorted()))
        for batch in load.batches
        for begin in range(0, len(batch), _ROWS)
    ]
    began = time.perf_counter()
    with ThreadPoolExecutor(_LANES) as lanes:
        list(lanes.map(_post, [bucket] * _LANES, [bodies[lane::_LANES] for lane in range(_LANES)]))
    return time.perf_counter() - began


def _post(bucket: Bucket, bodies: Sequence[bytes]) -> None:
    url = urllib.parse.urlsplit(bucket.url)
    query = urllib.parse.urlencode({"org": bucket.org, "bucket": bucket.bucket, "precision": "ns"})
    connection = http.client.HTTPConnection(url.hostname or "", url.port)
    try:
        for body in bodies:
            connection.request("POST", f"/api/v2/write?{query}", body, {"Authorization": f"Token {bucket.token}"})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != HTTPStatus.NO_CONTENT:
                raise BenchmarkError(f"InfluxDB answered {answer.status}: {said[:200]!r}")
    finally:
        connection.close()
