"""The plan of a study's confirmation: who races, on which seeds, who is the answer. A value that a database keeps."""

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
"""Stands for the search among the seeds: each racer's estimate counts as the loss of one more seed."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A search trial that takes part. `estimate`: its expected loss after the search, None where nothing told it.
    `complexity`: how many of its fields there are to choose, then what a wrong rate costs; less is simpler.
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
    """Of the constraints by search trial: of the means of the race's runs, and of those of the measuring."""

    race: dict[int, float]
    measured: dict[int, float]


NOTHING_BROKEN = Violations({}, {})


@dataclass(frozen=True, slots=True)
class Run:
    """A training to be done: of the search trial `number`'s schedule with `seed`."""

    number: int
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`answer` None: the race goes on. `runs_left` of its trainings are not yet spent. `racing`: best first.

    `tied`: racers, best first, with how far they are behind the best one, that the race could not tell from it.
    `constrained`: there are constraints to keep to; `none_feasible`: no trial of the search did, and the race looks for
    the nearest, by its violation. `refuted`: were answers until measuring showed that they break a constraint.
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

        The race may spend (`top` - 1) `seeds` trainings, fewer where fewer race. Then
        the answer, the baseline and those that it is to be compared with train with `seeds` fresh seeds each.
        """
        trials = _each_schedule_once(trials)
        chosen_from, none_feasible = candidates(trials, top) if constrained else (trials, False)
        landscape = Landscape.of(chosen_from, "minimize" if none_feasible else direction)
        # A constant rate is compared with even if none keeps to the constraints.
        baseline = landscape.baseline() or Landscape.of(trials, direction).baseline() if with_constant else None
        racers = landscape.finalists(top)
        if baseline is not None and baseline not in racers:
            racers.append(baseline)
        estimates, sensitivity = landscape.estimates(), Sensitivity.of(trials, direction)
        contenders = tuple(
            Contender(
                one.number, estimates.get(one.number), complexity(one.schedule, space), sensitivity.at(one.schedule)
            )
            for one in racers
        )
        racing = tuple(each.number for each in contenders)
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
        """The answer; before there is one, who leads the race."""
        return self.racing[0] if self.answer is None else self.answer

    @property
    def numbers(self) -> tuple[int, ...]:
        """All that take part, each once."""
        racers = (each.number for each in self.contenders)
        return tuple(dict.fromkeys((*racers, *self._measured_besides)))

    @property
    def measured(self) -> tuple[int, ...]:
        """Whose values are stated: the answer first, each once. Empty while there is no answer."""
        return () if self.answer is None else tuple(dict.fromkeys((self.answer, *self._measured_besides)))

    @property
    def runs_to_come(self) -> int:
        """How many trainings may still be added to those that are enqueued, at most."""
        # An answer that its measuring refutes makes room for the next.
        more = self.seeds * (len(self.contenders) - 1 - len(self.refuted)) if self.constrained else 0
        if self.answer is not None:
            return max(0, more)
        return self.runs_left + self.seeds * (1 + len(self._measured_besides)) + more

    def next(
        self, losses: Losses, broken: Collection[int] = (), violations: Violations = NOTHING_BROKEN
    ) -> tuple[Plan, list[Run]]:
        """What to train next, and the plan that knows it. No runs: the confirmation is over.

        `losses`: of the race's runs that completed. `broken`: racers with a run that diverged or failed on a
        seed on which another racer completed; they are out, unless all are. `violations`: of the constraints, by the
        means of the race's runs, and by those of the measuring.
        """
        broken = {*broken, *(() if self.none_feasible else outside(self.racing, broken, violations.race))}
        if self.answer is not None:
            return self._reconsider(losses, broken, violations)
        standing = self._standing(losses, broken)
        alive = [each for each in self.racing if each not in broken] or list(self.racing)
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
        complexities = {each.number: each.complexity for each in self.contenders}
        plan = replace(
            self,
            answer=simplest(standing, complexities) if standing else self.racing[0],
            tied=tuple((place.racer, place.gap) for place in standing if place.tied),
            final_seeds=self._fresh_seeds(self.seeds),
        )
        return plan, [Run(number, seed) for seed in plan.final_seeds for number in plan.measured]

    def _reconsider(self, losses: Losses, broken: Collection[int], violations: Violations) -> tuple[Plan, list[Run]]:
        """Measure the next best racer, if what was measured breaks the constraints; in the end the nearest stands."""
        measured = violations.measured
        if not self.constrained or measured.get(self._answered, 0.0) <= 0 or self._answered in self.refuted:
            return self, []
        refuted = (*self.refuted, self._answered)
        order = [place.racer for place in self._standing(losses, broken)]
        out = {*refuted, *broken, *(each for each, found in (violations.race | measured).items() if found > 0)}
        left = [each for each in order if each not in out]
        if not left:
            nearest = min(refuted, key=lambda each: measured[each])
            return replace(self, answer=nearest, refuted=refuted), []
        plan = replace(self, answer=left[0], refuted=refuted)
        if left[0] in self._measured_besides:
            return plan._reconsider(losses, broken, violations)
        return plan, [Run(left[0], seed) for seed in plan.final_seeds]

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
            each.number: {
                **({SEARCH: each.estimate} if each.estimate is not None else {}),
                **losses.get(each.number, {}),
            }
            for each in self.contenders
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
        # Plans that were stored under the field's first name.
        document = {"none_feasible": document.get("nothing_kept", False), **document}
        document.pop("nothing_kept", None)
        lists = {name: tuple(value) for name, value in document.items() if isinstance(value, list | tuple)}
        lists["contenders"] = tuple(Contender(**each) for each in document["contenders"])
        lists["tied"] = tuple((number, gap) for number, gap in document["tied"])
        return cls(**{**document, **lists})


def _each_schedule_once(trials: Sequence[SearchTrial]) -> list[SearchTrial]:
    """The trials; those whose schedules differ by rounding have one schedule."""
    known = EqualSchedules()
    return [replace(trial, schedule=known.first(trial.schedule)) for trial in trials]
