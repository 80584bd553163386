"""Warns of choices that are valid but unwise: in a study's spec, and in the best schedule that it found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lehr.schedules import Schedule
from lehr.schedules.parameters import Parameter
from lehr.space.overrides import searched
from lehr.space.ranges import RATE, WARMUP_FRACTION
from lehr.wire.base import Warning_
from lehr.wire.ranges import AUTO, RangeSpec
from lehr.wire.studies import SpaceSpec, StudySpec
from service.answer.convergence import FEWEST
from service.search.registry import evaluation_pruner, sampler_class
from service.search.searcher import startup_trials

TRIALS_PER_FAMILY = 10
"""With fewer trials, a family's rates stay untuned, and families are compared by luck."""
BOUND_FRACTION = 0.02
"""A value this close to a bound, as a fraction of its range's (log) axis, lies on it."""


def warnings_before(spec: StudySpec) -> list[Warning_]:
    """The warnings about a study's spec, including its defaults."""
    return [
        *_family_warnings(spec),
        *_single_value_warnings(spec.space),
        *_budget_warnings(spec),
        *_confirm_warnings(spec),
        *_direction_warnings(spec),
        *_target_warnings(spec),
        *_constraint_warnings(spec),
        *_convergence_warnings(spec),
        *_evaluation_warnings(spec),
    ]


@dataclass(frozen=True, slots=True)
class OnBound:
    """A value of the best schedule that lies on the bound `space.{field}.{side}`."""

    field: str
    side: Literal["low", "high"]
    value: float
    bound: float


def warnings_after(space: SpaceSpec, best: Schedule) -> list[Warning_]:
    """A warning for each bound on which the best schedule lies: a better one may lie beyond."""
    return [_bound_warning(hit) for hit in on_bounds(space, best)]


def on_bounds(space: SpaceSpec, best: Schedule) -> list[OnBound]:
    """The bounds on which the best schedule lies, without duplicates, and without bounds that no space can exceed."""
    start = _known(space)
    checks = [("start_lr", start, best.start_lr, RATE), ("end_lr", space.end_lr, best.end_lr, RATE)]
    if best.family == "constant":
        checks = checks[:1]  # a constant schedule's end_lr equals its start_lr, whatever the range of end_lr
    if best.peak_lr is not None:
        peak_field = "peak_lr" if space.peak_lr else "start_lr"
        checks.append((peak_field, space.peak_lr or start, best.peak_lr, RATE))
    if space.warmup_fraction is not None and best.rise_fraction == best.warmup_fraction > 0:
        checks.append(("warmup_fraction", space.warmup_fraction, best.warmup_fraction, WARMUP_FRACTION))
    own, known = space.parameters.get(best.family, {}), searched(type(best))
    checks += [
        (f"parameters.{best.family}.{name}", asked, getattr(best, name), known[name])
        for name, asked in own.items()
        if isinstance(asked, RangeSpec)
    ]
    hits = (_on_bound(field, asked, value, parameter) for field, asked, value, parameter in checks)
    return list({(hit.field, hit.side): hit for hit in hits if hit is not None}.values())


def _family_warnings(spec: StudySpec) -> Iterator[Warning_]:
    families = spec.space.to_space().families
    if spec.space.families is not None and "constant" not in spec.space.families:
        yield Warning_(
            code="constant_added",
            field="space.families",
            message="constant was added: the answer is compared with the best constant learning rate",
        )
    trials, wanted = spec.budget.trials, TRIALS_PER_FAMILY * len(families)
    if trials < len(families):
        yield Warning_(
            code="families_untried",
            field="budget.trials",
            message=f"{trials} trials for {len(families)} families: some are never tried; "
            f"use {wanted} trials or fewer families",
        )
    elif trials < wanted:
        yield Warning_(
            code="few_trials_per_family",
            field="budget.trials",
            message=f"{trials} trials for {len(families)} families are fewer than {TRIALS_PER_FAMILY} for each; "
            f"use {wanted} trials or fewer families",
        )


def _single_value_warnings(space: SpaceSpec) -> Iterator[Warning_]:
    start = space.start_lr if space.start_lr != AUTO else None
    ranges = {"start_lr": start, "end_lr": space.end_lr, "peak_lr": space.peak_lr}
    for family, own in space.parameters.items():
        ranges |= {f"parameters.{family}.{name}": span for name, span in own.items() if isinstance(span, RangeSpec)}
    for field, span in ranges.items():
        if span is not None and span.low == span.high:
            yield Warning_(
                code="single_value",
                field=f"space.{field}",
                message=f"the range has only one value, {span.low:g}, so it is not searched",
            )


def _budget_warnings(spec: StudySpec) -> Iterator[Warning_]:
    trials, parallel = spec.budget.trials, spec.budget.parallel
    # The default of `parallel` exceeds tiny budgets, so only a number that the user set is warned of.
    if parallel > trials and "parallel" in spec.budget.model_fields_set:
        yield Warning_(
            code="parallel_above_trials",
            field="budget.parallel",
            message=f"{parallel} trials cannot run at once in a budget of {trials} trials",
        )
    families = len(spec.space.to_space().families)
    if not sampler_class(spec.sampler.name).learns:
        return
    if startup_trials(families, trials) * 2 > trials:
        yield Warning_(
            code="mostly_startup",
            field="budget.trials",
            message=f"{startup_trials(families, trials)} of {trials} trials are spread evenly before the sampler "
            "uses any results; use more trials or fewer families",
        )
    elif parallel * 2 > trials > 1:
        yield Warning_(
            code="parallel_high",
            field="budget.parallel",
            message=f"with {min(parallel, trials)} of {trials} trials running at once, most are chosen before results "
            f"are available; lower parallel to {max(1, trials // 4)} for a better search",
        )


def _confirm_warnings(spec: StudySpec) -> Iterator[Warning_]:
    if spec.confirm is None:
        yield Warning_(
            code="not_confirmed",
            field="confirm",
            message="without confirmation, the best value is too optimistic, because it is that of the luckiest trial; "
            'set {"top": 8, "seeds": 4}',
        )


def _convergence_warnings(spec: StudySpec) -> Iterator[Warning_]:
    if spec.budget.stop_when is not None and spec.budget.trials <= FEWEST:
        yield Warning_(
            code="converges_never",
            field="budget.stop_when",
            message=f"convergence is checked only after {FEWEST} trials, but budget.trials is {spec.budget.trials}: "
            "the search never stops early",
        )


def _direction_warnings(spec: StudySpec) -> Iterator[Warning_]:
    metric, direction = spec.objective.metric, spec.objective.direction
    if metric.endswith(("loss", "error")) and direction == "maximize":
        better = "minimize"
    elif metric.endswith("accuracy") and direction == "minimize":
        better = "maximize"
    else:
        return
    message = f"the search will {direction} {metric} and so find the worst training; {better} it instead"
    yield Warning_(code="direction_unusual", field="objective.direction", message=message)


def _target_warnings(spec: StudySpec) -> Iterator[Warning_]:
    target, metric = spec.budget.target, spec.objective.metric
    if target is None:
        return
    message = ""
    if "accuracy" in metric and target > 1:
        message = f"a target of {target:g} is never reached unless the task reports {metric} in percent"
    elif "loss" in metric and spec.objective.direction == "minimize" and target <= 0:
        message = f"a target of {target:g} is never reached unless {metric} may be negative"
    if message:
        yield Warning_(code="target_out_of_reach", field="budget.target", message=message)


def _constraint_warnings(spec: StudySpec) -> Iterator[Warning_]:
    for index, constraint in enumerate(spec.objective.constraints):
        metric, low, high, message = constraint.metric, constraint.at_least, constraint.at_most, ""
        if "accuracy" in metric and low is not None and low > 1:
            message = f"an accuracy of {low:g} is never reached unless the task reports {metric} in percent"
        elif "loss" in metric and high is not None and high <= 0:
            message = f"a loss of {high:g} is never reached unless {metric} may be negative"
        if message:
            yield Warning_(code="constraint_out_of_reach", field=f"objective.constraints[{index}]", message=message)


def _known(space: SpaceSpec) -> RangeSpec:
    assert space.start_lr != AUTO, "a space that was searched has bounds"
    return space.start_lr


def _evaluation_warnings(spec: StudySpec) -> Iterator[Warning_]:
    folds, count = spec.objective.folds, spec.objective.evaluations
    pruner = evaluation_pruner(spec.pruner.name)
    if pruner is not None and count < pruner.fewest_useful:
        yield Warning_(
            code="few_evaluations",
            field="pruner.name",
            message=f"with {count} evaluations per trial, this pruner saves at most one; "
            f"set objective.folds and objective.seeds for {pruner.fewest_useful} or more",
        )
    if spec.confirm is not None and folds is not None and spec.confirm.seeds % folds:
        yield Warning_(
            code="uneven_folds",
            field="confirm.seeds",
            message=f"{spec.confirm.seeds} seeds cannot be divided evenly among {folds} folds, so some folds have more "
            f"weight in the answer's mean; use {-(-spec.confirm.seeds // folds) * folds} seeds",
        )


def _on_bound(field: str, asked: RangeSpec, value: float, parameter: Parameter) -> OnBound | None:
    log = parameter is RATE
    if asked.low == asked.high or (value <= 0 and log):
        return None
    place = _place(asked, value, log=log)
    if BOUND_FRACTION < place < 1 - BOUND_FRACTION:
        return None
    side: Literal["low", "high"] = "low" if place <= BOUND_FRACTION else "high"
    bound, last = (asked.low, parameter.low) if side == "low" else (asked.high, parameter.high)
    return None if bound == last else OnBound(field, side, value, bound)


def _bound_warning(hit: OnBound) -> Warning_:
    field, verb = f"space.{hit.field}.{hit.side}", "lower" if hit.side == "low" else "raise"
    return Warning_(
        code="best_on_bound",
        field=field,
        message=f"the best {hit.field.rsplit('.', 1)[-1]}, {hit.value:g}, lies on the bound {hit.bound:g} of its "
        f"range; {verb} {field} to see whether a better value lies beyond it",
    )


def _place(asked: RangeSpec, value: float, *, log: bool) -> float:
    """The value's position in its range, from 0 at the low bound to 1 at the high bound."""
    low, high = asked.low, asked.high
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)
