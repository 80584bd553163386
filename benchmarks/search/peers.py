"""Optuna's search on a table: its samplers and pruners, used as its documentation shows.

A draw is moved to the nearest row that was not trained yet, and Optuna learns that row's own coordinates, so that it
knows what was trained. Losses are capped at twice the first one (those of a diverged row are infinite), which keeps
their ranking and helps its Gaussian process.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from benchmarks.search.tables import Account, Table

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed)


PEERS: dict[str, tuple[Callable[[int], BaseSampler], Callable[[int], BasePruner]]] = {
    "random": (lambda seed: RandomSampler(seed=seed), lambda _: NopPruner()),
    "TPE": (_tpe, lambda _: NopPruner()),
    "TPE + median": (_tpe, lambda _: MedianPruner()),
    "TPE + ASHA": (_tpe, lambda _: SuccessiveHalvingPruner(min_resource=1, reduction_factor=4)),
    "TPE + Hyperband": (_tpe, lambda last: HyperbandPruner(1, last, 3)),
    "GP": (lambda seed: GPSampler(seed=seed), lambda _: NopPruner()),
}


def peer_regrets(name: str, table: Table, seed: int, first: Sequence[int] = ()) -> list[float]:
    """The peer's regret at each budget; the rows in `first` are enqueued before all others."""
    make_sampler, make_pruner = PEERS[name]
    # Hyperband draws a trial's bracket by the study's name, which is random where none is given.
    study = optuna.create_study(
        study_name=f"{table.name}, {seed}", sampler=make_sampler(seed), pruner=make_pruner(table.intervals)
    )
    space: dict[str, BaseDistribution] = {axis: FloatDistribution(0.0, 1.0) for axis in table.axes}
    free = np.ones(len(table.points), dtype=bool)
    account = Account(table)
    waiting = list(first)
    while not account.is_spent and free.any():
        row = waiting.pop(0) if waiting else _drawn_row(study, space, table, free)
        free[row] = False
        study.enqueue_trial(dict(zip(table.axes, table.points[row].tolist(), strict=True)))
        _train(study, study.ask(space), table, row, account)
    return account.regrets()


def _drawn_row(study: optuna.Study, space: dict[str, BaseDistribution], table: Table, free: np.ndarray) -> int:
    draw = study.ask(space)
    study.tell(draw, state=TrialState.FAIL)
    return _nearest(table, np.array([draw.params[axis] for axis in table.axes]), free)


def _nearest(table: Table, point: np.ndarray, free: np.ndarray) -> int:
    distance = ((table.points - point) ** 2).sum(axis=1)
    return int(np.argmin(np.where(free, distance, np.inf)))


def _train(study: optuna.Study, trial: Trial, table: Table, row: int, account: Account) -> None:
    losses = np.minimum(table.losses[row], 2 * table.losses[row, 0])
    for interval in range(1, table.intervals + 1):
        account.spent += 1
        if account.is_spent and interval < table.intervals:
            return
        trial.report(losses[interval], interval)
        if interval < table.intervals and (trial.should_prune() or not np.isfinite(table.losses[row, interval])):
            study.tell(trial, state=TrialState.PRUNED)
            return
    account.finish(row)
    study.tell(trial, losses[-1])
