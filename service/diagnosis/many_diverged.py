"""Finds studies in which many trials diverged: the search space includes learning rates that are too high."""

from __future__ import annotations

from lehr.wire.diagnosis import Finding
from service.diagnosis.results import StudyResults

MIN_TRIALS = 6
MANY = 0.3


def many_diverged(study: StudyResults) -> Finding | None:
    """Each diverged trial used up budget, and showed the search only that its rate was too high."""
    diverged = [result for result in study.results if result.state == "DIVERGED"]
    if len(study.results) < MIN_TRIALS or len(diverged) < MANY * len(study.results):
        return None
    lowest = min(result.schedule.max_lr for result in diverged)
    field = "peak_lr" if study.space.peak_lr is not None else "start_lr"
    return Finding(
        code="diverged",
        message=f"{len(diverged)} of {len(study.results)} trials diverged; their lowest learning rate was {lowest:.3g}",
        remedy=f"Lower space.{field}.high towards that rate.",
        evidence={"diverged": len(diverged), "trials": len(study.results), "lowest_lr": lowest},
        field=f"space.{field}.high",
    )
