"""When leases may expire after a start, an outage and a jump of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.ledger.grace import Grace


class Clocks:
    """This machine's clock, which never steps, and the database's."""

    def __init__(self) -> None:
        self.here, self.there = 100.0, datetime(2026, 1, 1, tzinfo=UTC)

    def go_on(self, seconds: float, *, step: float = 0.0) -> None:
        self.here += seconds
        self.there += timedelta(seconds=seconds + step)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def granted(grace: Grace, clocks: Clocks, seconds: float) -> list[bool]:
    """What each look of the next seconds says."""
    looks = []
    for _ in range(round(seconds)):
        clocks.go_on(1.0)
        looks.append(grace.is_over(clocks.there))
    return looks


@pytest.fixture
def grace(clocks: Clocks) -> Grace:
    return Grace(60.0, clock=lambda: clocks.here)


def test_a_server_that_starts_waits_for_one_lease(grace: Grace, clocks: Clocks) -> None:
    assert not grace.is_over(clocks.there)
    assert granted(grace, clocks, 62) == [False] * 59 + [True] * 3


def test_while_all_is_well_leases_are_taken(grace: Grace, clocks: Clocks) -> None:
    granted(grace, clocks, 61)
    assert all(granted(grace, clocks, 600))


def test_after_an_outage_it_waits_for_one_lease(grace: Grace, clocks: Clocks) -> None:
    granted(grace, clocks, 61)
    clocks.go_on(90)  # no look came through
    assert not grace.is_over(clocks.there)
    assert granted(grace, clocks, 61) == [False] * 59 + [True] * 2


@pytest.mark.parametrize("step", [-3600.0, 8.0, 61.0, 86_400.0])
def test_after_a_step_of_the_databases_clock_it_waits_for_one_lease(grace: Grace, clocks: Clocks, step: float) -> None:
    granted(grace, clocks, 61)
    clocks.go_on(1, step=step)
    assert not grace.is_over(clocks.there)
    assert granted(grace, clocks, 61) == [False] * 59 + [True] * 2


def test_a_step_of_seven_seconds_matters_to_a_short_lease(clocks: Clocks) -> None:
    grace = Grace(10.0, clock=lambda: clocks.here)
    granted(grace, clocks, 11)
    clocks.go_on(1, step=7.0)
    assert not grace.is_over(clocks.there)


def test_a_slow_look_and_clocks_that_drift_are_nothing(grace: Grace, clocks: Clocks) -> None:
    granted(grace, clocks, 61)
    for _ in range(100):
        clocks.go_on(2.5, step=0.01)
        assert grace.is_over(clocks.there)
