"""The plan of a study's confirmation: which trials race, on which seeds, and which is the answer. An immutable value
that the database stores.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lehr.space import Space
from lehr.space.equality import EqualSchedules
from lehr.wire.studies import Direction
from service.answer.complexity import complexity
from service.answer.feasibility import candidates, outside
from service.answer.finalists import SearchTrial
from service.answer.landscape import Landscape
from service.answer.race import Losses, Place, places, rounds, seeds_of_round, simplest, survivors
from service.answer.sensitivity import Sensitivity
from service.store.seeds import confirm_seeds

SEARCH = -1
"""The seed that stands for the search: each racer's estimate counts as its loss on one more seed."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A search trial that takes part in the confirmation.

    `estimate`: its expected loss after the search; None without an estimate. `complexity`: its number of fields to
    choose, then its sensitivity to a wrong rate; lower is simpler.
    """

    number: int
    estimate: float | None
    fields: int
    sensitivity: float | None

    @property
    def complexity(self) -> tuple[float, ...]:
        return (self.fields, self.sensitivity or 0.0)


@dataclass(frozen=True, slots=True)
class Violations:
    """Violations of the constraints by search trial: by the means of the race's runs, and of the measurement's runs."""

    race: dict[int, float]
    measured: dict[int, float]


NOTHING_BROKEN = Violations({}, {})


@dataclass(frozen=True, slots=True)
class Run:
    """A training to run: the schedule of the search trial `number` with `seed`."""

    number: int
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The state of a confirmation. `answer` is None while the race continues.

    `runs_left`: trainings that the race may still spend. `racing`: best first. `tied`: the racers that the race could
    not distinguish from the best, best first, with their distance to it. `constrained`: the study has constraints.
    `none_feasible`: no trial of the search kept them, and the race seeks the least violation. `refuted`: former answers
    that broke a constraint when they were measured.
    """

    contenders: tuple[Contender, ...]
    baseline: int | None
    compared: tuple[int, ...]
    seeds: int
    search_seed: int
    runs_left: int
    rounds_left: int
    racing: tuple[int, ...]
    race_seeds: tuple[int, ...] = ()
    final_seeds: tuple[int, ...] = ()
    answer: int | None = None
    tied: tuple[tuple[int, float], ...] = ()
    constrained: bool = False
    none_feasible: bool = False
    refuted: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        trials: Sequence[SearchTrial],
        direction: Direction,
        space: Space,
        *,
        top: int,
        seeds: int,
        search_seed: int,
        with_constant: bool = True,
        compared: Sequence[int] = (),
        constrained: bool = False,
    ) -> Plan:
        """The plan for a search of `space` that has ended with at least one COMPLETED trial.

        The race may spend (`top` - 1) * `seeds` trainings, or fewer with fewer racers. Then the answer, the baseline
        and the `compared` trials train on `seeds` fresh seeds each.
        """
        trials = _merge_equal_schedules(trials)
        chosen_from, none_feasible = candidates(trials, top) if constrained else (trials, False)
        landscape = Landscape.of(chosen_from, "minimize" if none_feasible else direction)
        # There is a constant baseline even if no constant schedule keeps the constraints.
        baseline = landscape.baseline() or Landscape.of(trials, direction).baseline() if with_constant else None
        racers = landscape.finalists(top)
        if baseline is not None and baseline not in racers:
            racers.append(baseline)
        estimates, sensitivity = landscape.estimates(), Sensitivity.of(trials, direction)
        contenders = tuple(
            Contender(
                trial.number,
                estimates.get(trial.number),
                complexity(trial.schedule, space),
                sensitivity.at(trial.schedule),
            )
            for trial in racers
        )
        racing = tuple(contender.number for contender in contenders)
        completed = {trial.number for trial in trials if trial.state == "COMPLETED"}
        return cls(
            contenders=contenders,
            baseline=baseline.number if baseline else None,
            compared=tuple(number for number in compared if number in completed),
            seeds=seeds,
            search_seed=search_seed,
            runs_left=(min(top, len(racing)) - 1) * seeds,
            rounds_left=rounds(len(racing)),
            racing=racing,
            constrained=constrained,
            none_feasible=none_feasible,
        )

    @property
    def leader(self) -> int:
        """The answer or, while there is none, the leader of the race."""
        return self.racing[0] if self.answer is None else self.answer

    @property
    def numbers(self) -> tuple[int, ...]:
        """All trials that take part, without duplicates."""
        racers = (contender.number for contender in self.contenders)
        return tuple(dict.fromkeys((*racers, *self._measured_besides)))

    @property
    def measured(self) -> tuple[int, ...]:
        """The trials that are measured, the answer first, without duplicates. Empty while there is no answer."""
        return () if self.answer is None else tuple(dict.fromkeys((self.answer, *self._measured_besides)))

    @property
    def runs_to_come(self) -> int:
        """The most trainings that may still be enqueued."""
        # An answer that is refuted when measured is replaced by the next one, which is then measured.
        more = self.seeds * (len(self.contenders) - 1 - len(self.refuted)) if self.constrained else 0
        if self.answer is not None:
            return max(0, more)
        return self.runs_left + self.seeds * (1 + len(self._measured_besides)) + more

    def next(
        self, losses: Losses, broken: Collection[int] = (), violations: Violations = NOTHING_BROKEN
    ) -> tuple[Plan, list[Run]]:
        """The next plan, and the trainings to run next. The confirmation is over if there are none.

        `losses`: of the race's completed runs. `broken`: racers with a run that diverged or failed on a seed on which
        another racer completed; they are out, unless all are. `violations`: of the constraints.
        """
        broken = {*broken, *(() if self.none_feasible else outside(self.racing, broken, violations.race))}
        if self.answer is not None:
            return self._reconsider(losses, broken, violations)
        standing = self._standing(losses, broken)
        alive = [racer for racer in self.racing if racer not in broken] or list(self.racing)
        racing = survivors(standing, alive) if self.race_seeds and standing else alive
        count = seeds_of_round(len(racing), self.runs_left, self.rounds_left)
        return self._race_on(racing, count) if count else self._measure(standing)

    def _race_on(self, racing: Sequence[int], count: int) -> tuple[Plan, list[Run]]:
        fresh = self._fresh_seeds(count)
        plan = replace(
            self,
            racing=tuple(racing),
            race_seeds=(*self.race_seeds, *fresh),
            runs_left=self.runs_left - count * len(racing),
            rounds_left=self.rounds_left - 1,
        )
        return plan, [Run(number, seed) for seed in fresh for number in racing]

    def _measure(self, standing: Sequence[Place]) -> tuple[Plan, list[Run]]:
        complexities = {contender.number: contender.complexity for contender in self.contenders}
        plan = replace(
            self,
            answer=simplest(standing, complexities) if standing else self.racing[0],
            tied=tuple((place.racer, place.gap) for place in standing if place.tied),
            final_seeds=self._fresh_seeds(self.seeds),
        )
        return plan, [Run(number, seed) for seed in plan.final_seeds for number in plan.measured]

    def _reconsider(self, losses: Losses, broken: Collection[int], violations: Violations) -> tuple[Plan, list[Run]]:
        """Measure the next best racer if the answer breaks a constraint; if none is left, take the least violation."""
        measured = violations.measured
        if not self.constrained or measured.get(self._answered, 0.0) <= 0 or self._answered in self.refuted:
            return self, []
        refuted = (*self.refuted, self._answered)
        order = [place.racer for place in self._standing(losses, broken)]
        infeasible = (racer for racer, violation in (violations.race | measured).items() if violation > 0)
        out = {*refuted, *broken, *infeasible}
        remaining = [racer for racer in order if racer not in out]
        if not remaining:
            nearest = min(refuted, key=lambda racer: measured[racer])
            return replace(self, answer=nearest, refuted=refuted), []
        plan = replace(self, answer=remaining[0], refuted=refuted)
        if remaining[0] in self._measured_besides:
            return plan._reconsider(losses, broken, violations)
        return plan, [Run(remaining[0], seed) for seed in plan.final_seeds]

    @property
    def _answered(self) -> int:
        assert self.answer is not None
        return self.answer

    def _standing(self, losses: Losses, broken: Collection[int]) -> list[Place]:
        standing = places({number: values for number, values in self._blocks(losses).items() if number not in broken})
        return standing or places(self._blocks(losses))

    def _blocks(self, losses: Losses) -> Losses:
        """The race's losses, with the search's estimates as one more block."""
        return {
            contender.number: {
                **({SEARCH: contender.estimate} if contender.estimate is not None else {}),
                **losses.get(contender.number, {}),
            }
            for contender in self.contenders
        }

    def _fresh_seeds(self, count: int) -> tuple[int, ...]:
        used = len(self.race_seeds)
        return confirm_seeds(self.search_seed, used + count)[used:]

    @property
    def _measured_besides(self) -> tuple[int, ...]:
        return (*((self.baseline,) if self.baseline is not None else ()), *self.compared)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Plan:
        # Older plans were stored with an earlier name of the field.
        document = {"none_feasible": document.get("nothing_kept", False), **document}
        document.pop("nothing_kept", None)
        lists = {name: tuple(value) for name, value in document.items() if isinstance(value, list | tuple)}
        lists["contenders"] = tuple(Contender(**contender) for contender in document["contenders"])
        lists["tied"] = tuple((number, gap) for number, gap in document["tied"])
        return cls(**{**document, **lists})


def _merge_equal_schedules(trials: Sequence[SearchTrial]) -> list[SearchTrial]:
    """The trials, with one schedule object for schedules that differ only by rounding."""
    schedules = EqualSchedules()
    return [replace(trial, schedule=schedules.first(trial.schedule)) for trial in trials]
