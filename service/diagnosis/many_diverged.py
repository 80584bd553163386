"""Too large a part of the search diverged: the space reaches too high."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.results import StudyResults

MIN_TRIALS = 6
MANY = 0.3


def many_diverged(study: StudyResults) -> Finding | None:
    """Each of them was paid from the budget, and told the search only that the rate was too high."""
    lost = [one for one in study.results if one.state == "DIVERGED"]
    if len(study.results) < MIN_TRIALS or len(lost) < MANY * len(study.results):
        return None
    lowest = min(one.schedule.max_lr for one in lost)
    field = "peak_lr" if study.space.peak_lr is not None else "start_lr"
    return Finding(
        code="diverged",
        message=f"{len(lost)} of {len(study.results)} trials diverged, the one of the lowest rate at {lowest:.3g}",
        remedy=f"Lower space.{field}.high towards that rate.",
        evidence={"diverged": len(lost), "trials": len(study.results), "lowest_lr": lowest},
        field=f"space.{field}.high",
    )
