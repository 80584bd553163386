"""The best trials crowd at a bound of the space: better ones may lie beyond it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lehr.schedules import Schedule
from lehr.wire.diagnosis import Finding
from lehr.wire.ranges import RangeSpec
from lehr.wire.studies import SpaceSpec
from service.diagnosis.results import Result, StudyResults

MIN_COMPLETED = 10
BEST = 5
CROWD = 4
"""Four of the best five, and the very best: drawn evenly, one study in 20,000 shows this at a bound."""
EDGE = 0.1
"""The part of a range's axis that counts as its edge."""


def best_on_bound(study: StudyResults) -> Iterator[Finding]:
    """A finding for each bound of a rate or of the warm-up that the best trials crowd at."""
    completed = study.completed
    if len(completed) < MIN_COMPLETED:
        return
    for field in ("start_lr", "peak_lr", "end_lr", "warmup_fraction"):
        for side in ("low", "high"):
            finding = _crowded(study.space, completed[:BEST], field, side)
            if finding is not None:
                yield finding


def _crowded(space: SpaceSpec, best: list[Result], field: str, side: str) -> Finding | None:
    asked = _range(space, field)
    if asked is None or asked.low == asked.high:
        return None
    places = [_place(space, one.schedule, field) for one in best]
    at_edge = [place is not None and (place <= EDGE if side == "low" else place >= 1 - EDGE) for place in places]
    if not at_edge[0] or sum(at_edge) < CROWD:
        return None
    bound, value = getattr(asked, side), _value(space, best[0].schedule, field)
    assert value is not None
    verb = "Lower" if side == "low" else "Raise"
    return Finding(
        code="best_on_bound",
        message=f"{sum(at_edge)} of the best {len(best)} trials lie at the {side} end of space.{field}: the best has "
        f"{value:.3g}, the bound is {bound:.3g}",
        remedy=f"{verb} space.{field}.{side}, by ten times for a rate, and search again.",
        evidence={"value": value, "bound": bound, "crowd": sum(at_edge), "of": len(best)},
        field=f"space.{field}.{side}",
        trial=best[0].number,
    )


def _range(space: SpaceSpec, field: str) -> RangeSpec | None:
    """The range of the field; None where it has none of its own: peaks are drawn as starts are, unless told."""
    asked: RangeSpec | None = getattr(space, field)
    if not isinstance(asked, RangeSpec):  # there is none, or a range test is still to find it
        return None
    return None if field == "peak_lr" and asked == space.start_lr else asked


def _value(space: SpaceSpec, schedule: Schedule, field: str) -> float | None:
    """The schedule's value in the field's range; None where it has none: a constant rate has no end of its own.

    Where starts and peaks share a range, the rate that it bounds is the highest.
    """
    if field == "end_lr" and schedule.family == "constant":
        return None
    if field == "start_lr" and schedule.peak_lr is not None:
        return schedule.peak_lr if _range(space, "peak_lr") is None else None
    value: float | None = getattr(schedule, field)
    return value


def _place(space: SpaceSpec, schedule: Schedule, field: str) -> float | None:
    """Where the value lies in its range, 0 at the low end and 1 at the high one; None where it has none."""
    asked, value = _range(space, field), _value(space, schedule, field)
    assert asked is not None
    low, high = asked.low, asked.high
    if value is None:
        return None
    if field != "warmup_fraction":
        if value <= 0:
            return None
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)
