"""The study FAILED: why, and which error its trainings had in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lehr.wire.diagnosis import Finding

LONGEST_ERROR = 300
"""Characters of an error that are quoted: its line may hold anything."""


@dataclass(frozen=True, slots=True)
class FailedStudy:
    """`trainings`: how many there are by state. `errors`: of failed ones, by number, as their workers told."""

    reason: str | None
    trainings: Mapping[str, int]
    errors: Mapping[int, str | None]


def study_failed(study: FailedStudy) -> Finding:
    """The study's reason with the most frequent error, and what to change."""
    failed, diverged = study.trainings.get("FAILED", 0), study.trainings.get("DIVERGED", 0)
    lines = {number: line for number, error in study.errors.items() if (line := _last_line(error))}
    common = Counter(lines.values()).most_common(1)
    message = f"the study failed: {study.reason}" if study.reason else "the study failed"
    evidence: dict[str, float] = {"trainings": sum(study.trainings.values()), "failed": failed, "diverged": diverged}
    if diverged >= max(failed, 1):
        field = "space.start_lr.high"
        remedy = f"Lower {field} (and space.peak_lr.high) ten times: the rates are too high."
        return Finding(code="study_failed", message=message, remedy=remedy, evidence=evidence, field=field)
    if not common:
        remedy = "Change what the reason names, and post the study again."
        return Finding(code="study_failed", message=message, remedy=remedy, evidence=evidence)
    ((error, count),) = common
    trial = next(number for number, line in lines.items() if line == error)
    return Finding(
        code="study_failed",
        message=f"{message}. Trainings failed, {count} of {len(study.errors)} with {error}",
        remedy=f"Correct the training code, the data or the task's parameters (trial {trial} has the whole error), "
        "and post the study again.",
        evidence={**evidence, "same_error": count},
        trial=trial,
    )


def _last_line(error: str | None) -> str:
    """The line of a traceback that names the error."""
    lines: Sequence[str] = (error or "").strip().splitlines()
    return lines[-1].strip()[:LONGEST_ERROR] if lines else ""
