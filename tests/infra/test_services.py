"""The services that other tests stand on do what their fixtures promise."""

import signal
import socket
import time

import pytest

from tests.services import Bucket, Influxd, Mosquitto, ServiceError

pytestmark = pytest.mark.services


def test_a_broker_starts_again_on_the_same_port(broker: Mosquitto) -> None:
    port = broker.port
    broker.restart()
    assert broker.port == port
    socket.create_connection((broker.host, port), timeout=1).close()
    broker.stop(signal.SIGKILL)
    assert not broker.running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((broker.host, port), timeout=1)
    broker.start()
    assert broker.running


def test_a_broker_starts_fast(broker: Mosquitto) -> None:
    began = time.monotonic()
    broker.restart()
    assert time.monotonic() - began < 5


def test_a_second_start_is_refused(broker: Mosquitto) -> None:
    with pytest.raises(ServiceError, match="runs already"):
        broker.start()


def test_a_port_in_use_is_an_error_with_the_log(broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> None:
    second = Mosquitto(folder=tmp_path_factory.mktemp("second"), port=broker.port)
    with pytest.raises(ServiceError, match="in use"):
        second.start()


def test_a_missing_service_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr("tests.services.mosquitto.shutil.which", lambda *_, **__: None)
    with pytest.raises(ServiceError, match=r"mosquitto is missing; install it: scripts/services install"):
        Mosquitto(folder=tmp_path_factory.mktemp("none")).start()


def test_a_bucket_keeps_what_is_written(influx_bucket: Bucket) -> None:
    influx_bucket.write("gate_pass,compound=jingyuan,device=g n=1i 1700000000000000000")
    answer = influx_bucket.query(f'from(bucket: "{influx_bucket.bucket}") |> range(start: 0)')
    assert answer.count("jingyuan") == 1


def test_a_bucket_refuses_with_the_reason(influx_bucket: Bucket) -> None:
    with pytest.raises(ServiceError, match="unable to parse"):
        influx_bucket.write("nonsense")


def test_buckets_are_apart(influxd: Influxd, influx_bucket: Bucket) -> None:
    other = influxd.create_bucket()
    other.write("m f=1 1700000000000000000")
    assert not influx_bucket.query(f'from(bucket: "{influx_bucket.bucket}") |> range(start: 0)').strip()
    influxd.delete_bucket(other.bucket)
    with pytest.raises(ServiceError, match="404"):
        other.query(f'from(bucket: "{other.bucket}") |> range(start: 0)')


def test_influxd_keeps_points_over_a_kill(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Influxd(folder=tmp_path_factory.mktemp("killed")) as service:
        bucket = service.create_bucket()
        bucket.write("m f=1 1700000000000000000")
        service.restart(signal.SIGKILL)
        assert bucket.query(f'from(bucket: "{bucket.bucket}") |> range(start: 0)').count("2023-11-14T22:13:20Z") == 1
