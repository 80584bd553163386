"""Which of a search's trials an answer is chosen from, where there are constraints to keep to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from service.answer.constraints import is_broken
from service.answer.finalists import SearchTrial
from service.answer.landscape import Landscape

ENOUGH = 3
"""Times as many likely ones as finalists are needed to leave the lucky ones out."""


def candidates(trials: Sequence[SearchTrial], top: int) -> tuple[list[SearchTrial], bool]:
    """The trials to choose from, and whether none of the search's kept to the constraints.

    What kept to them by luck alone would break them on the next seed, and the best values lie just at the bound. So
    where enough others are left, those are left out that are expected to break them, by a process over the
    schedules' curves that is fitted to the violations. Where nothing kept to them the nearest is looked for: the value
    of each trial is then its violation, to be minimized.
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
    # Those that break them most are seen as well: they are what gives a lucky neighbour away.
    as_values = [replace(trial, value=trial.violation, violation=None) for trial in completed]
    expected = Landscape.of(as_values, "minimize", part=1.0).by_schedule()
    return [trial for trial in kept if expected.get(trial.schedule, 0.0) <= 0]


def outside(racing: Sequence[int], broken: Collection[int], violations: Mapping[int, float]) -> set[int]:
    """The racers that break the constraints by the mean of their runs; where all do, all but the nearest."""
    standing = {each: violations[each] for each in racing if each not in broken and each in violations}
    if not any(is_broken(each) for each in standing.values()):
        return set()
    least = max(0.0, min(standing.values()))
    return {each for each, found in standing.items() if found > least}
