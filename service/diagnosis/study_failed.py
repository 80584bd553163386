"""Explains why a study FAILED, with the most frequent error of its trainings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lehr.wire.diagnosis import Finding

LONGEST_ERROR = 300
"""How many characters of an error are quoted: its last line may be of any length."""


@dataclass(frozen=True, slots=True)
class FailedStudy:
    """A failed study. `trainings`: their count by state. `errors`: what failed trainings reported, by trial number."""

    reason: str | None
    trainings: Mapping[str, int]
    errors: Mapping[int, str | None]


def study_failed(study: FailedStudy) -> Finding:
    """A finding with the study's reason, the most frequent error, and what to change."""
    failed, diverged = study.trainings.get("FAILED", 0), study.trainings.get("DIVERGED", 0)
    lines = {number: line for number, error in study.errors.items() if (line := _last_line(error))}
    common = Counter(lines.values()).most_common(1)
    message = f"the study failed: {study.reason}" if study.reason else "the study failed"
    evidence: dict[str, float] = {"trainings": sum(study.trainings.values()), "failed": failed, "diverged": diverged}
    if diverged >= max(failed, 1):
        field = "space.start_lr.high"
        remedy = f"Lower {field} (and space.peak_lr.high) by a factor of 10: the learning rates are too high."
        return Finding(code="study_failed", message=message, remedy=remedy, evidence=evidence, field=field)
    if not common:
        remedy = "Fix what the reason describes, then create the study again."
        return Finding(code="study_failed", message=message, remedy=remedy, evidence=evidence)
    ((error, count),) = common
    trial = next(number for number, line in lines.items() if line == error)
    return Finding(
        code="study_failed",
        message=f"{message}. {count} of {len(study.errors)} failed trainings ended with {error}",
        remedy=f"Fix the training code, the data or the task's parameters (trial {trial} has the full error), then "
        "create the study again.",
        evidence={**evidence, "same_error": count},
        trial=trial,
    )


def _last_line(error: str | None) -> str:
    """The line of a traceback that names the error."""
    lines: Sequence[str] = (error or "").strip().splitlines()
    return lines[-1].strip()[:LONGEST_ERROR] if lines else ""
