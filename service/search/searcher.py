"""The search of a study: learns from observed trials, suggests schedules and prunes running trials."""

from __future__ import annotations

import math
from collections import Counter

from lehr.schedules import Schedule
from lehr.space import Space
from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState
from service.search.judging import CurveJudge
from service.search.observations import PENDING, Observation, Point, Suggestion, draw_seed
from service.search.pruners.base import Reports
from service.search.registry import curve_pruner, sampler_class
from service.search.samplers.base import SearchView
from service.search.sequence import point_key, random_point
from service.search.window import Window, WindowSize

WINDOW = WindowSize(best=64, newest=96, spread=96)
"""The results that TPE sees: at most 256, so that the cost of a suggestion does not grow with the search."""

REDRAWS = 64
"""Maximum number of redraws for a point tried before: in a space of few points, all may have been tried."""


class Searcher:
    """Suggests schedules; used by one thread at a time.

    The result of `ask` depends only on the constructor's arguments, the trial's number and the set of
    observations so far, in any order. It keeps no state of a random generator, so that a searcher
    rebuilt from rows after a restart continues as the previous one would have. Trials from `ask`
    count as RUNNING until `tell` reports another state.

    Start-up: the first `startup_trials` trials take the families in turn, `constant` first, and follow a
    low-discrepancy sequence in each family. So each family gets a trial if the budget allows. Start-up
    continues while fewer than half of these trials have ended, because a model without data is worse
    than an even spread.

    Afterwards the sampler decides, but `constant` keeps its share, at least every F-th trial of F
    families: each answer is compared with the best constant rate, and a badly tuned baseline
    would make every schedule look good. FAILED and CANCELLED trials are not informative, but they count
    as tried, so that a family whose trials fail is not suggested forever.
    """

    def __init__(
        self,
        space: Space,
        direction: Direction,
        sampler: str = "tpe",
        seed: int = 0,
        *,
        trials_budget: int,
        pruner: str = "none",
    ) -> None:
        self._space = space
        self._direction = direction
        self._startup_trials = startup_trials(len(space.families), trials_budget)
        self._sampler = sampler_class(sampler)(space, direction, seed, trials_budget)
        self._seed = seed
        self._tried: Counter[int] = Counter()
        self._states: dict[int, TrialState] = {}
        self.next_number = 0
        """The number from which on all trials are unknown to the searcher."""
        self._asked: Counter[str] = Counter()
        self._pending: dict[int, Observation] = {}
        self._window = Window(WINDOW, direction, seed)
        size = self._sampler.family_window
        self._family_windows = {family: Window(size, direction, seed) for family in space.families} if size else {}
        judge = curve_pruner(pruner)
        self._curves = CurveJudge(judge, direction) if judge else None

    def tell(self, observation: Observation) -> None:
        """Record a trial's state. Repetitions, and anything after the trial's end, have no effect."""
        number, state = observation.number, self._states.get(observation.number)
        if state is not None and state not in PENDING:
            return
        if self._curves is not None:
            self._curves.tell(observation, self._schedule(observation))
        if state is not None:
            known = self._pending.pop(number)
            self._count(known, -1)
        self._count(observation, 1)
        self._states[number] = observation.state
        self.next_number = max(self.next_number, number + 1)
        if observation.state in PENDING:
            self._pending[number] = observation
        elif observation.informative and observation.point is not None:
            self._window.add(observation)
            if observation.family in self._family_windows:
                self._family_windows[observation.family].add(observation)
        self._sampler.record(observation)

    @property
    def most_at_once(self) -> float:
        """Maximum number of schedules that the sampler chooses per claim; infinite unless it is slow."""
        return self._sampler.most_at_once

    def ask(self, number: int, *, quickly: bool = False) -> Suggestion:
        """The suggestion for trial `number`, which counts as RUNNING from now on.

        `quickly`: within milliseconds, with TPE if the sampler takes longer.
        Raises ValueError for a number that is already known.
        """
        if number in self._states:
            raise ValueError(f"trial {number} was asked or told before; numbers are used once")
        family, point = self._fresh(number, *self._choose(number, quickly=quickly))
        schedule = self._space.schedule(family, point)
        self.tell(Observation(number, family, point, "RUNNING", None))
        return Suggestion(schedule, point)

    @property
    def open_numbers(self) -> list[int]:
        """The trials that had not ended at their last observation. No other known trial can change."""
        return list(self._pending)

    def forget(self, number: int) -> None:
        """Undo an `ask` whose trial was never created. Trials that have ended stay."""
        if number in self._pending:
            known = self._pending.pop(number)
            self._count(known, -1)
            del self._states[number]
            self.next_number = min(self.next_number, number)
            self._sampler.forget(known)

    def should_prune(
        self, number: int, schedule: Schedule, horizon_steps: int, reports: Reports, *, guessed: bool = False
    ) -> bool:
        """Whether a running trial should stop at the last of its `reports` (step, objective value).

        `guessed`: no sampler chose its schedule. One that did well in other studies may start slowly here.
        """
        if self._curves is None:
            return False
        return self._curves.should_prune(number, schedule, horizon_steps, reports, guessed=guessed)

    def _count(self, observation: Observation, by: int) -> None:
        self._asked[observation.family] += by
        if observation.point is not None:
            self._tried[_identity(observation.family, observation.point)] += by

    def _fresh(self, number: int, family: str, point: Point) -> tuple[str, Point]:
        """The given family and point, or another point of the family if this one was tried before."""
        coordinates = self._space.coordinates(family)
        for again in range(REDRAWS if coordinates else 0):
            if self._tried[_identity(family, point)] == 0:
                break
            seed = draw_seed("again", self._seed, number, again)
            point = random_point(coordinates, seed)
        return family, point

    def _choose(self, number: int, *, quickly: bool) -> tuple[str, Point]:
        view = SearchView(
            number=number,
            asked={family: self._asked[family] for family in self._space.families},
            due_family=self._due_family(),
            results=tuple(self._window),
            pending=tuple(self._pending[one] for one in sorted(self._pending) if self._pending[one].point is not None),
            family_windows=self._family_windows,
        )
        if view.due_family is not None and self._sampler.learns and self._in_startup():
            return self._sampler.spread(view.due_family, view)
        return self._sampler.draw_quickly(view) if quickly else self._sampler.draw(view)

    def _in_startup(self) -> bool:
        asked = sum(self._asked.values())
        return asked < self._startup_trials or self._window.added < math.ceil(self._startup_trials / 2)

    def _due_family(self) -> str | None:
        """The family that must come next, whatever the sampler prefers; None if it can choose."""
        families = self._space.families
        if self._in_startup():
            order = sorted(families, key=lambda family: family != "constant")
            return min(order, key=lambda family: self._asked[family])
        if "constant" in families and self._asked["constant"] * len(families) < sum(self._asked.values()):
            return "constant"
        return None

    def _schedule(self, observation: Observation) -> Schedule | None:
        if observation.point is None or observation.family not in self._space.families:
            return None
        return self._space.schedule(observation.family, observation.point)


def _identity(family: str, point: Point) -> int:
    return draw_seed(*point_key(family, point))


def startup_trials(families: int, budget: int) -> int:
    """Number of trials that are spread evenly before the sampler decides.

    Twice the number of families but at least 10, and at most a third of the budget, unless one trial for each
    family needs more.
    """
    return max(min(families, budget), min(max(10, 2 * families), budget // 3))
