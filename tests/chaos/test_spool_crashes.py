"""The spool keeps all that it said it keeps, whatever happens to its process and its machine."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.spool_machine import SpoolMachine


def test_what_was_kept_survives_kills_and_losses_of_power() -> None:
    run_state_machine_as_test(
        SpoolMachine,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
