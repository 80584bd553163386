"""All that is wrong with a study."""

from __future__ import annotations

from collections.abc import Sequence

from lehr.wire.diagnosis import Finding
from service.diagnosis.all_rates_alike import all_rates_alike
from service.diagnosis.best_on_bound import best_on_bound
from service.diagnosis.many_diverged import many_diverged
from service.diagnosis.results import StudyResults
from service.diagnosis.too_noisy import too_noisy


def diagnose_study(study: StudyResults, of_best: Sequence[Finding] = ()) -> list[Finding]:
    """What is wrong with the search, then what is wrong with its best training (`of_best`). Empty where nothing is.

    Where all rates are alike or lost in noise, it is chance which of them is the best: nothing else is told then.
    """
    blind = all_rates_alike(study) or too_noisy(study)
    if blind is not None:
        return [blind]
    diverged = many_diverged(study)
    return [*([diverged] if diverged else []), *best_on_bound(study), *of_best]
