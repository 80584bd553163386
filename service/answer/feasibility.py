"""Selects the trials that an answer is chosen from in a study with constraints."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from service.answer.constraints import is_broken
from service.answer.finalists import SearchTrial
from service.answer.landscape import Landscape

ENOUGH = 3
"""Trials that probably kept the constraints by luck are left out if this many others per finalist remain."""


def candidates(trials: Sequence[SearchTrial], top: int) -> tuple[list[SearchTrial], bool]:
    """The trials to choose from, and whether none of the search's trials kept the constraints.

    A trial that kept them only by luck would break them on the next seed, and the best values lie close to the bounds.
    So if enough others remain, trials that are expected to break the constraints are left out, by a Gaussian process
    over the schedules' curves, fitted to the violations. If no trial kept them, the least violation is sought: each
    trial's value is then its violation, to be minimized.
    """
    completed = [trial for trial in trials if trial.value is not None and trial.state == "COMPLETED"]
    kept = [trial for trial in completed if not is_broken(trial.violation)]
    if not any(is_broken(trial.violation) for trial in completed):
        return list(trials), False
    if not kept:
        return [replace(trial, value=trial.violation, violation=None) for trial in completed], True
    likely = _likely(completed, kept)
    return (likely if len(likely) >= min(ENOUGH * top, len(kept)) else kept), False


def _likely(completed: Sequence[SearchTrial], kept: Sequence[SearchTrial]) -> list[SearchTrial]:
    # The process also sees the worst violations, because they reveal neighbours that were lucky.
    as_values = [replace(trial, value=trial.violation, violation=None) for trial in completed]
    expected = Landscape.of(as_values, "minimize", part=1.0).by_schedule()
    return [trial for trial in kept if expected.get(trial.schedule, 0.0) <= 0]


def outside(racing: Sequence[int], broken: Collection[int], violations: Mapping[int, float]) -> set[int]:
    """The racers that break the constraints by the mean of their runs; if all do, all but that of least violation."""
    standing = {racer: violations[racer] for racer in racing if racer not in broken and racer in violations}
    if not any(is_broken(violation) for violation in standing.values()):
        return set()
    least = max(0.0, min(standing.values()))
    return {racer for racer, violation in standing.items() if violation > least}
