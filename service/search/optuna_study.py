"""Optuna's samplers and pruners, asked over a given set of trials. The only file that imports optuna.

Each question builds a throw-away study over the trials it is given and a sampler with a seed of
its own, so an answer depends on nothing but its arguments: no storage to keep in step, no
generator whose state a restart would lose. Every study here minimises; the callers turn signs.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.probability_distributions import _BatchedCategoricalDistributions
from optuna.samplers._tpe.sampler import _split_trials, default_gamma, default_weights
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy.special import erf, log_ndtr

from lehr.space import Coordinate
from service.search.mixture import Choices, Mixture, Normals

optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would announce every throw-away study

# Optuna has no need of SciPy and computes these two value by value, in Python: a quarter of what a draw costs.
vars(_truncnorm).update(erf=erf, _log_ndtr=log_ndtr)

_TPE = TPESampler(multivariate=True)
_PARAMETERS, _CANDIDATES = _TPE._parzen_estimator_parameters, _TPE._n_ei_candidates
_weights = lru_cache(maxsize=1024)(default_weights)

_Row = tuple[float, ...]
"""A trial's number and its values on the axes of a space."""

_STUDY_NAME = "lehr"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # trials need a time; nothing here looks at it


def gp_is_available() -> bool:
    """Whether the libraries that Optuna's GP sampler imports late are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "scipy"))


def distribution(coordinate: Coordinate) -> BaseDistribution:
    """A coordinate's range, in Optuna's words."""
    if coordinate.kind == "choice":
        return CategoricalDistribution(coordinate.choices)
    if coordinate.kind == "int":
        return IntDistribution(int(coordinate.low), int(coordinate.high), log=coordinate.log)
    return FloatDistribution(float(coordinate.low), float(coordinate.high), log=coordinate.log)


def choices(values: Sequence[str]) -> BaseDistribution:
    return CategoricalDistribution(values)


def complete(number: int, params: Mapping[str, Any], space: Mapping[str, BaseDistribution], loss: float) -> FrozenTrial:
    """A trial that ended with `loss`, finite."""
    return _trial(number, params, space, TrialState.COMPLETE, loss=loss)


def pruned(
    number: int, params: Mapping[str, Any], space: Mapping[str, BaseDistribution], reports: Mapping[int, float]
) -> FrozenTrial:
    """A trial that was stopped early: TPE ranks it behind all complete ones, by its last report."""
    return _trial(number, params, space, TrialState.PRUNED, reports=reports)


def infeasible(
    number: int, params: Mapping[str, Any], space: Mapping[str, BaseDistribution], violation: float
) -> FrozenTrial:
    """A trial that broke by `violation` > 0: TPE ranks it behind all others, the least broken first."""
    trial = create_trial(state=TrialState.PRUNED, constraints={"diverged": violation})
    return _trial(number, params, space, TrialState.PRUNED, system_attrs=trial.system_attrs)


def running(number: int, params: Mapping[str, Any], space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """A trial without a result yet: samplers keep away from it."""
    return _trial(number, params, space, TrialState.RUNNING)


class Tpe:
    """Optuna's tree-structured Parzen estimator over one space, which keeps what draws have in common.

    Source: Bergstra et al., Algorithms for hyper-parameter optimization, NeurIPS 2011; joint
    kernels as in Falkner et al., BOHB, ICML 2018. Running trials count as bad ones (the constant liar), so
    that parallel draws spread. What it draws depends on the arguments of `draw` alone, and is what Optuna's
    sampler draws. That one would begin anew each time, though a lease's draws differ by one running trial.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self._free = {name: one for name, one in space.items() if not one.single()}
        self._only = {name: _only_value(one) for name, one in space.items() if one.single()}
        self._generator = np.random.RandomState(0)
        self._rows: dict[int, tuple[FrozenTrial, _Row | None]] = {}
        self._ended: list[FrozenTrial] | None = None
        self._good: _Estimate
        self._bad: list[_Row]

    def draw(self, trials: Sequence[FrozenTrial], seed: int) -> dict[str, Any]:
        """One joint draw, from the trials that have all of the space."""
        if not self._free:
            return dict(self._only)
        ended: list[FrozenTrial] = []
        running: list[FrozenTrial] = []
        for trial in trials:
            (running if trial.state == TrialState.RUNNING else ended).append(trial)
        if ended != self._ended:
            self._learn(ended)
        bad = self._estimate([*self._bad, *self._rows_of(running)])
        self._generator.seed(seed)
        points = self._good.sample(self._generator, _CANDIDATES)
        best = np.argmax(self._good.log_pdf(points) - bad.log_pdf(points))
        drawn = zip(self._free.items(), points, strict=True)
        return self._only | {name: one.to_external_repr(values[best].item()) for (name, one), values in drawn}

    def _learn(self, ended: list[FrozenTrial]) -> None:
        """Part the trials that have ended into good ones and bad ones."""
        known = self._rows
        self._rows = {one.number: known[one.number] for one in ended if one.number in known}
        good, bad = _split_trials(_study([]), ended, default_gamma(len(ended)))
        self._good = self._estimate(self._rows_of(good))
        self._bad = self._rows_of(bad)
        self._ended = ended

    def _rows_of(self, trials: Sequence[FrozenTrial]) -> list[_Row]:
        """What each is in numbers, those left out that lack some of the space. Made once of each."""
        rows = []
        for trial in trials:
            kept, row = self._rows.get(trial.number, (None, None))
            if kept is not trial:
                row = self._row(trial)
                self._rows[trial.number] = trial, row
            if row is not None:
                rows.append(row)
        return rows

    def _row(self, trial: FrozenTrial) -> _Row | None:
        if not self._free.keys() <= trial.params.keys():
            return None
        return (trial.number, *(one.to_internal_repr(trial.params[name]) for name, one in self._free.items()))

    def _estimate(self, rows: list[_Row]) -> _Estimate:
        """By their numbers: TPE gives the older ones less weight."""
        values = np.array(sorted(rows), dtype=float).reshape(len(rows), 1 + len(self._free))
        columns = {name: values[:, axis] for axis, name in enumerate(self._free, 1)}
        return _mixture(_ParzenEstimator(columns, self._free, _PARAMETERS, _weights(len(rows))))


def _mixture(estimator: _ParzenEstimator) -> _Estimate:
    found = estimator._mixture_distribution
    axes = [_axis(one) for one in found.distributions]
    known = [axis for axis in axes if axis is not None]
    return Mixture(found.weights, known) if len(known) == len(axes) else _Given(estimator)


def _axis(found: Any) -> Choices | Normals | None:
    """What the distribution is in Mixture's words; None of one whose values have steps."""
    if isinstance(found, _BatchedCategoricalDistributions):
        return Choices(found.weights)
    if found.step != 0.0:
        return None
    return Normals(found.mu, found.sigma, (found.adapted_low, found.adapted_high), is_log=found.is_log)


class _Estimate(Protocol):
    def sample(self, generator: np.random.RandomState, size: int) -> Sequence[Any]: ...
    def log_pdf(self, columns: Sequence[Any]) -> Any: ...


class _Given:
    """Optuna's own estimator, spoken to as a Mixture is."""

    def __init__(self, estimator: _ParzenEstimator) -> None:
        self._estimator = estimator

    def sample(self, generator: np.random.RandomState, size: int) -> Sequence[Any]:
        return list(self._estimator.sample(generator, size).values())

    def log_pdf(self, columns: Sequence[Any]) -> Any:
        return self._estimator.log_pdf(dict(zip(self._estimator._search_space, columns, strict=True)))


def draw_gp(
    trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution], number: int, seed: int
) -> dict[str, Any]:
    """One draw by a Gaussian process and expected improvement; running trials count as a batch (qLogEI)."""
    sampler = GPSampler(seed=seed, n_startup_trials=0, warn_independent_sampling=False)
    return _draw(sampler, trials, space, number)


def median_prunes(trial: FrozenTrial, others: Sequence[FrozenTrial], startup: int) -> bool:
    """Whether the trial's best report is worse than the median of the complete `others` at its last step."""
    return _prunes(MedianPruner(n_startup_trials=startup, n_warmup_steps=0), trial, others)


def halving_prunes(trial: FrozenTrial, others: Sequence[FrozenTrial], first_rung_steps: int, factor: int) -> bool:
    """Whether asynchronous successive halving drops the trial at a rung that its last report completes.

    Rung r lies at `first_rung_steps` · `factor`^r. Source: Li et al., A system for massively
    parallel hyperparameter tuning, MLSys 2020.
    """
    return _prunes(SuccessiveHalvingPruner(min_resource=first_rung_steps, reduction_factor=factor), trial, others)


def reported(
    number: int, reports: dict[int, float], rungs: Sequence[float] = (), *, completed: bool = False
) -> FrozenTrial:
    """A trial for the pruners: its reports by step, and its value at each rung it has passed."""
    state = TrialState.COMPLETE if completed else TrialState.RUNNING
    loss = next(reversed(reports.values()), 0.0) if completed else None
    attributes = {f"completed_rung_{rung}": value for rung, value in enumerate(rungs)}
    return _trial(number, {}, {}, state, loss=loss, reports=reports, system_attrs=attributes)


class _GivenTrials(InMemoryStorage):
    """A storage that holds the given trials and forgets what samplers and pruners note down."""

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._given = trials

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self._given if states is None or trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        pass


def _study(
    trials: Sequence[FrozenTrial], sampler: BaseSampler | None = None, pruner: BasePruner | None = None
) -> Study:
    storage = _GivenTrials(trials)
    storage.create_new_study([StudyDirection.MINIMIZE], _STUDY_NAME)
    return Study(_STUDY_NAME, storage, sampler=sampler or _NO_SAMPLER, pruner=pruner or NopPruner())


def _draw(
    sampler: BaseSampler, trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution], number: int
) -> dict[str, Any]:
    free = {name: one for name, one in space.items() if not one.single()}
    drawn = {name: _only_value(one) for name, one in space.items() if one.single()}
    if free:
        asking = _trial(number, {}, {}, TrialState.RUNNING)
        drawn |= sampler.sample_relative(_study(trials, sampler), asking, free)
    return drawn


def _prunes(pruner: BasePruner, trial: FrozenTrial, others: Sequence[FrozenTrial]) -> bool:
    return bool(pruner.prune(_study([*others, trial], pruner=pruner), trial))


def _only_value(one: BaseDistribution) -> Any:
    if isinstance(one, CategoricalDistribution):
        return one.choices[0]
    assert isinstance(one, (FloatDistribution, IntDistribution))
    return one.low


def _trial(
    number: int,
    params: Mapping[str, Any],
    space: Mapping[str, BaseDistribution],
    state: TrialState,
    *,
    loss: float | None = None,
    reports: Mapping[int, float] | None = None,
    system_attrs: Mapping[str, Any] | None = None,
) -> FrozenTrial:
    """Made directly: `create_trial` would check every value again, thousands of times at a rebuild."""
    assert loss is None or math.isfinite(loss)
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=loss,
        datetime_start=_EPOCH,
        datetime_complete=_EPOCH if state.is_finished() else None,
        params=dict(params),
        distributions=dict(space),
        user_attrs={},
        system_attrs=dict(system_attrs or {}),
        intermediate_values=dict(reports or {}),
    )


_NO_SAMPLER = optuna.samplers.RandomSampler(seed=0)
