"""The best trial sits on a bound of the space, or the best ones crowd at it: better ones may lie beyond."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lehr.schedules import Schedule
from lehr.wire.diagnosis import Finding
from lehr.wire.ranges import RangeSpec
from lehr.wire.studies import SpaceSpec
from service.answer.warnings import on_bounds
from service.diagnosis.results import Result, StudyResults

MIN_COMPLETED = 10
BEST = 5
CROWD = 4
"""Four of the best five, and the very best: drawn evenly, one study in 20,000 shows this at a bound."""
EDGE = 0.1
"""The part of a range's axis that counts as its edge."""


def best_on_bound(study: StudyResults) -> list[Finding]:
    """A finding for each bound that the best trials crowd at, or that the best one sits on."""
    crowds = list(_crowds(study))
    fields = {finding.field for finding in crowds}
    return crowds + [finding for finding in _of_best(study) if finding.field not in fields]


def _crowds(study: StudyResults) -> Iterator[Finding]:
    completed = study.completed
    if len(completed) < MIN_COMPLETED:
        return
    for field in ("start_lr", "peak_lr", "end_lr", "warmup_fraction"):
        for side in ("low", "high"):
            finding = _crowded(study, completed[:BEST], field, side)
            if finding is not None:
                yield finding


def _of_best(study: StudyResults) -> Iterator[Finding]:
    """What the study warns of."""
    if study.best is None:
        return
    for one in on_bounds(study.space, study.best.schedule):
        yield Finding(
            code="best_on_bound",
            message=f"the best trial's {one.field.rsplit('.', 1)[-1]} {one.value:.3g} sits on the {one.side} end "
            f"{one.bound:.3g} of space.{one.field}",
            remedy=_remedy(one.field, one.side),
            evidence={"value": one.value, "bound": one.bound},
            field=f"space.{one.field}.{one.side}",
            trial=study.best.number,
        )


def _crowded(study: StudyResults, best: list[Result], field: str, side: str) -> Finding | None:
    space = study.space
    asked = _range(space, field)
    if asked is None or asked.low == asked.high or (field == "warmup_fraction" and side == "low" and asked.low == 0):
        return None
    places = [_place(space, one.schedule, field) for one in best]
    at_edge = [place is not None and (place <= EDGE if side == "low" else place >= 1 - EDGE) for place in places]
    if not at_edge[0] or sum(at_edge) < CROWD:
        return None
    crowd = [one for one, is_there in zip(best, at_edge, strict=True) if is_there]
    named = study.best if study.best in crowd else crowd[0]
    bound, value = getattr(asked, side), _value(space, named.schedule, field)
    assert value is not None
    return Finding(
        code="best_on_bound",
        message=f"{len(crowd)} of the best {len(best)} trials lie at the {side} end of space.{field}: trial "
        f"{named.number} has {value:.3g}, the bound is {bound:.3g}",
        remedy=_remedy(field, side),
        evidence={"value": value, "bound": bound, "crowd": len(crowd), "of": len(best)},
        field=f"space.{field}.{side}",
        trial=named.number,
    )


def _remedy(field: str, side: str) -> str:
    verb, far = "Lower" if side == "low" else "Raise", " tenfold" if field.endswith("_lr") else ""
    return f"{verb} space.{field}.{side}{far}, and search again."


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
