"""The progress lines in a worker's log."""

from __future__ import annotations

from workers.monitor.pace import Pace


def test_the_pace_is_told_every_fifteen_seconds_over_the_steps_since() -> None:
    pace = Pace(horizon_steps=10_000, now=100.0)
    assert pace.due(1, 101.0) is None
    assert pace.due(500, 115.9) is None
    assert pace.due(601, 116.0) == {"step": 601, "of": 10_000, "steps_per_second": 40.0}
    assert pace.due(602, 130.9) is None
    assert pace.due(631, 136.0) == {"step": 631, "of": 10_000, "steps_per_second": 1.5}


def test_a_resumed_trials_steps_of_before_are_not_counted() -> None:
    pace = Pace(horizon_steps=10_000, now=0.0)
    assert pace.due(5000, 1.0) is None
    assert pace.due(5030, 16.0) == {"step": 5030, "of": 10_000, "steps_per_second": 2.0}
