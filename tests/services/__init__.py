"""The real mosquitto and the real influxd, started on free loopback ports in a folder of their own.

Tests use them through the fixtures of `tests/conftest.py`; `scripts/services` and `scripts/stack` use them directly.
All of these are tools for trying the system out, so the code stands here, once, and no part of the system imports it.
A service that is not installed is an error that says what to install: nothing here skips a test.
"""

from tests.services.influx import Bucket, Influxd, influxd_binary
from tests.services.mosquitto import Mosquitto, mosquitto_binary
from tests.services.process import LOOPBACK, Service, ServiceError, free_port

__all__ = [
    "LOOPBACK",
    "Bucket",
    "Influxd",
    "Mosquitto",
    "Service",
    "ServiceError",
    "free_port",
    "influxd_binary",
    "mosquitto_binary",
]
