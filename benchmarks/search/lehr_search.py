"""lehr's search on a table: the server's race, standings, surrogate and portfolio, over its rows.

The adapter is this file: the candidates are rows that were not trained yet, a phase is a part of
the intervals, and nothing anneals, so that everybody is everybody's rival.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.search.tables import Account, Table
from service.search import race
from service.search.portfolio import greedy_cover
from service.search.standing import merits, standings
from service.search.surrogate import FIT_GROWTH, fit_scales, propose

STARTUP = 20
CANDIDATES = 256
PORTFOLIO = 12
"""What is tried before the surrogate decides: so many evenly at random, or so many from the portfolio."""
HOT = (1.0,) * (len(race.RACE.rungs) + 1)
"""Nothing anneals here; the last entry is the end's."""


def lehr_regrets(table: Table, seed: int, known: Sequence[Table] = ()) -> list[float]:
    """Our regret at each budget. `known`: the tables of other tasks, to warm up with."""
    return _Search(table, seed, _portfolio(table, known)).run()


def _portfolio(table: Table, known: Sequence[Table]) -> list[int]:
    assert all(other.name != table.name for other in known), "the task itself is held out"
    return greedy_cover(np.stack([other.regrets for other in known]), PORTFOLIO) if known else []


class _Search:
    def __init__(self, table: Table, seed: int, portfolio: Sequence[int]) -> None:
        self._table = table
        self._seed = seed
        self._portfolio = list(portfolio)
        self._generator = np.random.default_rng(seed)
        self._rungs = [max(1, round(phase * table.intervals)) for phase in race.RACE.rungs]
        self._runners: list[race.Runner] = []
        self._rows: list[int] = []
        self._free = np.ones(len(table.points), dtype=bool)
        self._scales: np.ndarray | None = None
        self._fitted = 0

    def run(self) -> list[float]:
        account = Account(self._table)
        while not account.is_spent and self._free.any():
            known = len(self._portfolio) > len(self._rows)
            row = self._portfolio[len(self._rows)] if known else self._next_row()
            self._free[row] = False
            self._rows.append(row)
            self._train(row, account, race.KIND_RACE if known else race.RACE)
        return account.regrets()

    def _train(self, row: int, account: Account, rules: race.Rules) -> None:
        losses, last = self._table.losses[row], self._table.intervals
        passed: list[float] = []
        runner = race.Runner(len(self._runners), passed, HOT)
        self._runners.append(runner)
        for interval in range(1, last + 1):
            account.spent += 1
            if not np.isfinite(losses[interval]) or (account.is_spent and interval < last):
                passed.append(np.inf)
                break
            if interval == last:
                passed.append(losses[last])
                account.finish(row)
            if interval in self._rungs:
                passed.append(losses[interval])
                if race.falls_behind(runner, self._runners, rules):
                    break
        self._runners[-1] = replace(runner, has_ended=True)

    def _next_row(self) -> int:
        free = np.flatnonzero(self._free)
        if len(self._rows) < STARTUP:
            return int(self._generator.choice(free))
        points = self._table.points[self._rows]
        values = np.array(merits(standings([runner.passed for runner in self._runners])))
        if self._scales is None or len(values) >= FIT_GROWTH * self._fitted:
            standard = (values - values.mean()) / values.std()
            self._scales, self._fitted = fit_scales(points, standard, self._scales), len(values)
        offered = free if len(free) <= CANDIDATES else self._generator.choice(free, CANDIDATES, replace=False)
        return int(offered[propose(points, values, self._table.points[offered], self._scales, self._generator)])
