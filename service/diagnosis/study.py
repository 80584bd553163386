"""Runs the diagnosis rules that look at a whole study."""

from __future__ import annotations

from collections.abc import Sequence

from lehr.wire.diagnosis import Finding
from service.diagnosis.all_rates_alike import all_rates_alike
from service.diagnosis.best_on_bound import best_on_bound
from service.diagnosis.many_diverged import many_diverged
from service.diagnosis.results import StudyResults
from service.diagnosis.too_noisy import too_noisy
from service.parts import Make, directly


def diagnose_study(study: StudyResults, of_best: Sequence[Finding] = (), make: Make = directly) -> list[Finding]:
    """Findings about the search, then those about its best training (`of_best`). Empty if there are none.

    If the trials do not differ by more than noise, the best one is best by chance. The other rules are then skipped.
    """
    indistinct = make("diagnosis.all_rates_alike", lambda: all_rates_alike(study), None)
    indistinct = indistinct or make("diagnosis.too_noisy", lambda: too_noisy(study), None)
    if indistinct is not None:
        return [indistinct]
    diverged = make("diagnosis.diverged", lambda: many_diverged(study), None)
    on_bound: list[Finding] = make("diagnosis.best_on_bound", lambda: list(best_on_bound(study)), [])
    return [*([diverged] if diverged else []), *on_bound, *of_best]
