"""Real processes are killed, stopped, starved and lied to under load; afterwards the store holds what was acknowledged.

Each scenario is bounded in time; `scripts/chaos` runs the long forms. CHAOS_AWAY_S says how long influxd is away.
"""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.chaos.broker_faults import Restarts, broker_restarts, resets_while_blocked, session_destroyed
from tests.chaos.full_disk import full_disk
from tests.chaos.kills import Kills, kills, kills_after_acceptance
from tests.chaos.report import Report
from tests.chaos.store_away import StoreAway, store_away
from tests.chaos.store_faults import poison_and_flood, store_in_trouble

AWAY_S = float(os.environ.get("CHAOS_AWAY_S", "20"))

pytestmark = pytest.mark.services


def kept(report: Report) -> None:
    """Show the figures where a promise was not kept."""
    assert not report.faults, json.dumps(report.figures, indent=1)


@pytest.mark.parametrize(("store", "times"), [("influx", 8), ("duck", 4)])
def test_ingest_killed_again_and_again(store: str, times: int, tmp_path: Path) -> None:
    kept(kills(tmp_path, Kills(kills=times, readings=times * 5000, period_s=2.5, store=store)))


def test_ingest_killed_between_acceptance_and_trim(tmp_path: Path) -> None:
    kept(kills_after_acceptance(tmp_path, 3))


@pytest.mark.timeout(AWAY_S + 300)
def test_the_store_away_under_load(tmp_path: Path) -> None:
    kept(store_away(tmp_path, StoreAway(away_s=AWAY_S, before_s=5, sample_s=1)))


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_the_broker_ended(by: signal.Signals, tmp_path: Path) -> None:
    kept(broker_restarts(tmp_path, Restarts(times=3, by=by)))


def test_connections_reset_while_the_writer_is_blocked(tmp_path: Path) -> None:
    kept(resets_while_blocked(tmp_path, 5))


def test_the_session_destroyed_by_a_stranger(tmp_path: Path) -> None:
    kept(session_destroyed(tmp_path, 2))


def test_a_store_that_refuses_and_fails(tmp_path: Path) -> None:
    kept(store_in_trouble(tmp_path, seconds=5))


def test_poison_and_a_flood_among_good_readings(tmp_path: Path) -> None:
    kept(poison_and_flood(tmp_path, rounds=2, seconds=5))


def test_the_disk_of_the_spool_fills(tmp_path: Path) -> None:
    kept(full_disk(tmp_path, full_s=1))
