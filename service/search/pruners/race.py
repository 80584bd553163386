"""The pruner `race`: a harsher race, for searches of hundreds of trials."""

from __future__ import annotations

from service.search.pruners.rung_race import Rules, RungRacePruner

RULES = Rules(rungs=(0.1, 0.4), shares=(0.16, 0.04), leaders=2, least=1)
"""For searches of hundreds of trials; chosen on the tables of `benchmarks/search`, and too harsh for real curves.
Judging at 0.02 of the horizon was also tried there, and is worse: slow starters may end well. Without
leaders, the best of a few dozen is stopped for being second or third at 0.4, and nothing trains it again."""
RULES_FOR_GUESSES = Rules(rungs=RULES.rungs, shares=(1.0, 0.04), leaders=RULES.leaders, least=1)
"""The same for schedules that no sampler chose: those that did well in other studies start slowly more often."""


class RacePruner(RungRacePruner):
    """Judges trials that no sampler chose more leniently."""

    rules = RULES
    rules_for_guesses = RULES_FOR_GUESSES
