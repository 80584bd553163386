"""Runs Optuna's samplers and pruners on a given set of trials. The only file that imports optuna.

Each call builds a temporary study from the given trials and a sampler with its own seed, so the
result depends only on the arguments: there is no storage to keep in sync, and no random generator
whose state a restart would lose. All studies minimise; the callers convert values to losses.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from lehr.space import Coordinate

optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would log every temporary study

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # trials need a time, but nothing uses it


def distribution(coordinate: Coordinate) -> BaseDistribution:
    """A coordinate's range as an Optuna distribution."""
    if coordinate.kind == "choice":
        return CategoricalDistribution(coordinate.choices)
    if coordinate.kind == "int":
        return IntDistribution(int(coordinate.low), int(coordinate.high), log=coordinate.log)
    return FloatDistribution(float(coordinate.low), float(coordinate.high), log=coordinate.log)


def choices(values: Sequence[str]) -> BaseDistribution:
    return CategoricalDistribution(values)


def complete(number: int, params: Mapping[str, Any], space: Mapping[str, BaseDistribution], loss: float) -> FrozenTrial:
    """A trial that completed with a finite `loss`."""
    return _trial(number, params, space, TrialState.COMPLETE, loss=loss)


def pruned(
    number: int, params: Mapping[str, Any], space: Mapping[str, BaseDistribution], reports: Mapping[int, float]
) -> FrozenTrial:
    """A trial that was stopped early. TPE ranks it behind all complete ones, by its last report."""
    return _trial(number, params, space, TrialState.PRUNED, reports=reports)


def infeasible(
    number: int, params: Mapping[str, Any], space: Mapping[str, BaseDistribution], violation: float
) -> FrozenTrial:
    """A trial with a constraint violation > 0. TPE ranks it behind all others, smallest violation first."""
    trial = create_trial(state=TrialState.PRUNED, constraints={"diverged": violation})
    return _trial(number, params, space, TrialState.PRUNED, system_attrs=trial.system_attrs)


def running(number: int, params: Mapping[str, Any], space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """A trial without a result yet. Samplers avoid points near it."""
    return _trial(number, params, space, TrialState.RUNNING)


def draw_tpe(
    trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution], number: int, seed: int
) -> dict[str, Any]:
    """A joint draw by a tree-structured Parzen estimator, from the trials that have all parameters of the space.

    Running trials count as bad ones (constant liar), so that parallel draws spread. Source: Bergstra et al.,
    Algorithms for hyper-parameter optimization, NeurIPS 2011; joint kernels as in Falkner et al., BOHB, ICML 2018.
    """
    sampler = TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)
    return _draw(sampler, trials, space, number)


def draw_gp(
    trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution], number: int, seed: int
) -> dict[str, Any]:
    """A draw by a Gaussian process and expected improvement; running trials count as a batch (qLogEI)."""
    sampler = GPSampler(seed=seed, n_startup_trials=0, warn_independent_sampling=False)
    return _draw(sampler, trials, space, number)


def median_prunes(trial: FrozenTrial, others: Sequence[FrozenTrial], startup: int) -> bool:
    """Whether the trial's best report is worse than the median of the complete `others` at its last step."""
    return _prunes(MedianPruner(n_startup_trials=startup, n_warmup_steps=0), trial, others)


def halving_prunes(trial: FrozenTrial, others: Sequence[FrozenTrial], first_rung_steps: int, factor: int) -> bool:
    """Whether asynchronous successive halving prunes the trial at a rung that its last report completes.

    Rung r is at `first_rung_steps` · `factor`^r. Source: Li et al., A system for massively
    parallel hyperparameter tuning, MLSys 2020.
    """
    return _prunes(SuccessiveHalvingPruner(min_resource=first_rung_steps, reduction_factor=factor), trial, others)


def reported(
    number: int, reports: dict[int, float], rungs: Sequence[float] = (), *, completed: bool = False
) -> FrozenTrial:
    """A trial for the pruners, with its reports by step and its value at each rung that it has passed."""
    state = TrialState.COMPLETE if completed else TrialState.RUNNING
    loss = next(reversed(reports.values()), 0.0) if completed else None
    attributes = {f"completed_rung_{rung}": value for rung, value in enumerate(rungs)}
    return _trial(number, {}, {}, state, loss=loss, reports=reports, system_attrs=attributes)


class _GivenTrials(InMemoryStorage):
    """A storage that contains the given trials and discards what samplers and pruners write to it."""

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
    return optuna.create_study(
        storage=_GivenTrials(trials), sampler=sampler or _NO_SAMPLER, pruner=pruner or NopPruner()
    )


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
    """Created directly, because `create_trial` would validate every value again, thousands of times in a rebuild."""
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
