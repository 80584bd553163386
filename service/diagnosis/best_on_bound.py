"""Finds bounds of the search space on which the best trials lie: better values may lie beyond them."""

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
"""Four of the best five, including the best one. With uniform draws, 1 study in 20,000 shows this at a given bound."""
EDGE = 0.1
"""The fraction of a range's axis that counts as its edge."""


def best_on_bound(study: StudyResults) -> list[Finding]:
    """A finding for each bound near which most of the best trials lie, or on which the best trial lies."""
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
    """The bounds on which the best trial lies, as in the study's warnings."""
    if study.best is None:
        return
    for hit in on_bounds(study.space, study.best.schedule):
        yield Finding(
            code="best_on_bound",
            message=f"the best trial's {hit.field.rsplit('.', 1)[-1]} of {hit.value:.3g} lies on the {hit.side} bound "
            f"{hit.bound:.3g} of space.{hit.field}",
            remedy=_remedy(hit.field, hit.side),
            evidence={"value": hit.value, "bound": hit.bound},
            field=f"space.{hit.field}.{hit.side}",
            trial=study.best.number,
        )


def _crowded(study: StudyResults, best: list[Result], field: str, side: str) -> Finding | None:
    space = study.space
    searched = _range(space, field)
    if searched is None or searched.low == searched.high:
        return None
    if field == "warmup_fraction" and side == "low" and searched.low == 0:
        return None
    positions = [_position(space, result.schedule, field) for result in best]
    at_edge = [
        position is not None and (position <= EDGE if side == "low" else position >= 1 - EDGE) for position in positions
    ]
    if not at_edge[0] or sum(at_edge) < CROWD:
        return None
    crowd = [result for result, is_there in zip(best, at_edge, strict=True) if is_there]
    named = study.best if study.best in crowd else crowd[0]
    bound, value = getattr(searched, side), _value(space, named.schedule, field)
    assert value is not None
    return Finding(
        code="best_on_bound",
        message=f"{len(crowd)} of the best {len(best)} trials lie near the {side} bound of space.{field}: trial "
        f"{named.number} has {value:.3g}, the bound is {bound:.3g}",
        remedy=_remedy(field, side),
        evidence={"value": value, "bound": bound, "crowd": len(crowd), "of": len(best)},
        field=f"space.{field}.{side}",
        trial=named.number,
    )


def _remedy(field: str, side: str) -> str:
    verb, factor = "Lower" if side == "low" else "Raise", " by a factor of 10" if field.endswith("_lr") else ""
    return f"{verb} space.{field}.{side}{factor}, then search again."


def _range(space: SpaceSpec, field: str) -> RangeSpec | None:
    """The field's range; None if it has none of its own. By default, peak_lr is drawn from the range of start_lr."""
    searched: RangeSpec | None = getattr(space, field)
    if not isinstance(searched, RangeSpec):  # there is no range, or a range test has yet to find it
        return None
    return None if field == "peak_lr" and searched == space.start_lr else searched


def _value(space: SpaceSpec, schedule: Schedule, field: str) -> float | None:
    """The schedule's value for the field's range; None if it has none: a constant schedule has no end_lr of its own.

    If start_lr and peak_lr share a range, that range bounds the highest rate.
    """
    if field == "end_lr" and schedule.family == "constant":
        return None
    if field == "start_lr" and schedule.peak_lr is not None:
        return schedule.peak_lr if _range(space, "peak_lr") is None else None
    value: float | None = getattr(schedule, field)
    return value


def _position(space: SpaceSpec, schedule: Schedule, field: str) -> float | None:
    """The value's position in its range, from 0 at the low bound to 1 at the high bound; None without a value."""
    searched, value = _range(space, field), _value(space, schedule, field)
    assert searched is not None
    low, high = searched.low, searched.high
    if value is None:
        return None
    if field != "warmup_fraction":
        if value <= 0:
            return None
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)
