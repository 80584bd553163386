"""lehr's search on a table: the server's own Searcher, sampler and pruner, called as the ledger calls them.

In place of a study, a trial trains a row and reports after each interval; nothing anneals, so each schedule is a
constant and every trial is a rival of every other. The surrogate's candidates are rows that were not trained yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from benchmarks.search.tables import Account, Table
from lehr.schedules import Schedule, schedule_from_dict
from lehr.space import Coordinate, Space
from lehr.wire.trials import TrialState
from service.search.observations import Observation
from service.search.portfolio import Known, portfolio
from service.search.samplers.surrogate import CandidateSpace, Place, SurrogateModel, SurrogateSampler
from service.search.searcher import Searcher
from service.search.starts import mixed_starts
from service.studies.warm_start import MOST

FAMILY = "row"
TRIALS = 1000
"""The budget in trials; the steps run out before."""
CANDIDATES = 256
PRIORS = 2
"""No row is the field's default; so many of its neighbours stand for it."""
DECADES = 3
"""The width of a usual search. The prior's length scales are in decades, and an axis of a table spans this many."""
INTERVAL_STEPS = 200
"""TaskSet trained 10,000 steps and measured after every 200th."""
SCHEDULE = schedule_from_dict({"family": "constant", "start_lr": 1.0, "end_lr": 1.0})


def lehr_regrets(
    table: Table,
    seed: int,
    known: Sequence[Table] = (),
    *,
    priors: int = PRIORS,
    sampler: str = "surrogate",
    pruner: str = "race",
) -> list[float]:
    """Our regret at each budget. `known`: the tables of other tasks, to warm up with."""
    return _Search(table, seed, first_rows(table, known, priors), sampler, pruner).run()


def first_rows(table: Table, known: Sequence[Table], priors: int = PRIORS) -> list[int]:
    """What a study of the table starts with: the server's portfolio of the others, and the field's default."""
    defaults = nearest_rows(table, priors)
    return [row for row, _ in mixed_starts(warm_rows(table, known), defaults, MOST)]


def nearest_rows(table: Table, count: int) -> list[int]:
    """So many rows, those nearest to the field's default."""
    if table.default is None:
        return []
    return [int(row) for row in np.argsort(((table.points - table.default) ** 2).sum(axis=1), kind="stable")[:count]]


def warm_rows(table: Table, known: Sequence[Table]) -> list[int]:
    """The portfolio for the table, the others being finished studies, all equally similar."""
    assert all(other.name != table.name for other in known), "the task itself is held out"
    studies = [Known(1.0, dict(enumerate(other.losses[:, -1].tolist()))) for other in known]
    return portfolio(studies, dict(enumerate(DECADES * table.points)), MOST)


class _TableSpace(Space):
    """One family whose coordinates are the table's axes."""

    def __init__(self, table: Table) -> None:
        axes = tuple(Coordinate(name, "float", 0.0, 1.0) for name in table.axes)
        object.__setattr__(self, "families", (FAMILY,))
        object.__setattr__(self, "_table_axes", axes)

    def coordinates(self, family: str) -> tuple[Coordinate, ...]:
        axes: tuple[Coordinate, ...] = self.__dict__["_table_axes"]
        return axes

    def schedule(self, family: str, point: Mapping[str, object]) -> Schedule:
        return SCHEDULE


class _TableCandidates(CandidateSpace):
    def __init__(self, table: Table, free: np.ndarray) -> None:
        self._table = table
        self._free = free

    def axes(self, place: Place) -> np.ndarray:
        return DECADES * np.array([float(place[1][name]) for name in self._table.axes])

    def candidates(self, best: Sequence[Place], family: str | None, generator: np.random.Generator) -> list[Place]:
        free = np.flatnonzero(self._free)
        rows = free if len(free) <= CANDIDATES else generator.choice(free, CANDIDATES, replace=False)
        return [(FAMILY, _point(self._table, int(row))) for row in rows]


class _TableSurrogate(SurrogateSampler):
    def __init__(self, table: Table, free: np.ndarray, seed: int) -> None:
        super().__init__(_TableSpace(table), "minimize", seed, TRIALS)
        self._candidates = _TableCandidates(table, free)

    @cached_property
    def _surrogate(self) -> SurrogateModel:
        return SurrogateModel(self._candidates, "minimize", self._seed)


def _point(table: Table, row: int) -> dict[str, float | int | str]:
    return dict(zip(table.axes, table.points[row].tolist(), strict=True))


class _Search:
    def __init__(self, table: Table, seed: int, first: Sequence[int], sampler: str, pruner: str) -> None:
        self._table = table
        self._first = list(first)
        self._free = np.ones(len(table.points), dtype=bool)
        self._searcher = Searcher(_TableSpace(table), "minimize", sampler, seed, trials_budget=TRIALS, pruner=pruner)
        if sampler == "surrogate":
            self._searcher._sampler = _TableSurrogate(table, self._free, seed)

    def run(self) -> list[float]:
        account, number = Account(self._table), 0
        while not account.is_spent and self._free.any():
            guessed = number < len(self._first)
            row = self._first[number] if guessed else self._asked_row(number)
            self._free[row] = False
            self._searcher.tell(self._observation(number, row, "RUNNING", 0))
            end, state = self._train(number, row, account, guessed)
            self._searcher.tell(self._observation(number, row, state, end))
            number += 1
        return account.regrets()

    def _asked_row(self, number: int) -> int:
        """The row asked for; where a point between rows is, the nearest that was not trained yet."""
        point = self._searcher.ask(number).point
        wanted = np.array([float(point[name]) for name in self._table.axes])
        distance = ((self._table.points - wanted) ** 2).sum(axis=1)
        return int(np.argmin(np.where(self._free, distance, np.inf)))

    def _train(self, number: int, row: int, account: Account, guessed: bool) -> tuple[int, TrialState]:
        losses, last = self._table.losses[row], self._table.intervals
        for interval in range(1, last + 1):
            account.spent += 1
            if not np.isfinite(losses[interval]):
                return interval - 1, "DIVERGED"
            if interval == last:
                account.finish(row)
                return last, "COMPLETED"
            reports, horizon = self._reports(row, interval), last * INTERVAL_STEPS
            if self._searcher.should_prune(number, SCHEDULE, horizon, reports, guessed=guessed) or account.is_spent:
                return interval, "PRUNED"
        raise AssertionError("the last interval ends the training")

    def _reports(self, row: int, end: int) -> tuple[tuple[int, float], ...]:
        return tuple((at * INTERVAL_STEPS - 1, float(self._table.losses[row, at])) for at in range(1, end + 1))

    def _observation(self, number: int, row: int, state: TrialState, end: int) -> Observation:
        value = float(self._table.losses[row, -1]) if state == "COMPLETED" else None
        return Observation(number, FAMILY, _point(self._table, row), state, value, self._reports(row, end))
