"""Validates a study's spec against the server and the task, and fills in its defaults."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema

from lehr.errors import Fault, InvalidStudyError, nearest, suggest
from lehr.schedules import Schedule
from lehr.space.equality import is_among
from lehr.wire.base import Warning_
from lehr.wire.objectives import ObjectiveSpec
from lehr.wire.ranges import AUTO, RangeTestSpec
from lehr.wire.studies import StudySpec
from service.answer.warnings import warnings_before
from service.fleet import KnownTask
from service.offers.applied_schemas import TooMuchWorkError, parameter_errors
from service.offers.offered_schemas import MAX_FAULTS, schema_faults
from service.search.registry import check_pruner, check_sampler
from service.studies.warm_start import Start

NOT_OFFERED = "task_not_offered"
PERCENT = 100
"""The highest accuracy of a task that reports it in percent."""


@dataclass(frozen=True)
class Resolved:
    """A study's spec as it will run, warnings about it, and the schedules that it tries first."""

    spec: dict[str, Any]
    warnings: list[Warning_]
    starts: tuple[Start, ...] = ()


def resolve(spec: StudySpec, task: KnownTask | None, max_trials: int, known_tasks: Sequence[str] = ()) -> Resolved:
    """Check a spec against the server and the task, and fill in its defaults.

    `task`: None if no live worker offers it; its parameters are then checked once one does. `known_tasks`: names to
    suggest. Raises InvalidStudyError with every fault found.
    """
    faults = [*_budget_faults(spec, max_trials), *_target_faults(spec), *_constraint_faults(spec), *_first_faults(spec)]
    checks = (_pruner_fault(spec), check_sampler(spec.sampler.name))
    faults += [fault for fault in checks if fault]
    params = spec.task.params
    if task is not None:
        params = with_defaults(params, task.params_schema)
        faults += params_faults(params, task)
        faults += task_faults(spec.objective, spec.space.to_space().followed_metrics(), task)
    if faults:
        raise InvalidStudyError(faults)
    resolved = _resolved_document(spec, params)
    warnings = [*warnings_before(spec), *_task_warnings(spec, task, known_tasks)]
    return Resolved(resolved, warnings)


def _budget_faults(spec: StudySpec, max_trials: int) -> list[Fault]:
    if spec.budget.trials <= max_trials:
        return []
    return [
        Fault(
            "budget.trials",
            "the budget exceeds this server's limit",
            f"1 to {max_trials}",
            spec.budget.trials,
            "Use fewer trials, or ask the operator to raise LEHR_MAX_TRIALS.",
        )
    ]


def _pruner_fault(spec: StudySpec) -> Fault | None:
    objective = spec.objective
    return check_pruner(spec.pruner.name, objective.evaluations, constrained=bool(objective.constraints))


def _target_faults(spec: StudySpec) -> list[Fault]:
    """Faults of a target that, by the metric's name, no value or every value reaches."""
    target, metric = spec.budget.target, spec.objective.metric
    if target is None:
        return []
    maximize, message = spec.objective.direction == "maximize", ""
    if spec.objective.counts_steps and target < 1:
        message, bound = "no training takes fewer than one step", "1 or more"
    elif "accuracy" in metric and not 0 < target <= PERCENT:
        message, bound = "is not a possible accuracy", "above 0, and at most 1 (100 in percent)"
    elif "error" in metric and not maximize and target < 0:
        message, bound = "an error below 0 is never reached", "0 or more"
    if not message:
        return []
    return [Fault("budget.target", message, bound, target, f"Set a value of {metric} that a training can reach.")]


def _first_faults(spec: StudySpec) -> list[Fault]:
    baselines, guesses, trials = len(spec.baseline.schedules), len(spec.space.guesses), spec.budget.trials
    bound, remedy = f"fewer than budget.trials, which is {trials}", "Use more trials or fewer baselines."
    if 0 < baselines >= trials:
        message = "baselines count towards the budget, and use all of it"
        return [Fault("baseline.schedules", message, bound, baselines, remedy)]
    if 0 < guesses >= trials - baselines:
        message, remedy = "guesses count towards the budget, and use all of it", "Use more trials or fewer guesses."
        return [Fault("space.guesses", message, f"fewer than the {trials - baselines} trials left", guesses, remedy)]
    own, guessed = spec.baseline.schedules, spec.space.guesses
    repeated = [index for index, schedule in enumerate(own) if is_among(schedule, own[:index])]
    baselines_too = [index for index, schedule in enumerate(guessed) if is_among(schedule, own)]
    return [
        *(_repeated(f"baseline.schedules[{index}]", "is listed twice", own[index]) for index in repeated),
        *(_repeated(f"space.guesses[{index}]", "is already a baseline", guessed[index]) for index in baselines_too),
    ]


def _repeated(field: str, message: str, schedule: Schedule) -> Fault:
    return Fault(field, message, "each schedule once", schedule.to_dict(), "Remove it here.")


def task_faults(
    objective: ObjectiveSpec, followed_metrics: Mapping[str, Sequence[str]], task: KnownTask
) -> list[Fault]:
    """The faults of a study that needs metrics or folds that the task does not support."""
    return [
        *_metric_faults(objective, task),
        *_fold_faults(objective, task),
        *_followed_metric_faults(followed_metrics, task),
    ]


def _metric_faults(objective: ObjectiveSpec, task: KnownTask) -> list[Fault]:
    if task.metrics is None:
        return []
    metrics = {} if objective.counts_steps else {"objective.metric": objective.metric}
    for index, constraint in enumerate(objective.constraints):
        metrics[f"objective.constraints[{index}].metric"] = constraint.metric
    return [
        Fault(
            field,
            f"the task {task.name} does not report this metric",
            "one of " + ", ".join(task.metrics),
            metric,
            suggest(metric, task.metrics, "a metric"),
        )
        for field, metric in metrics.items()
        if metric not in task.metrics
    ]


def _constraint_faults(spec: StudySpec) -> list[Fault]:
    """Faults of bounds that, by the metric's name, no training can keep."""
    faults = []
    for index, constraint in enumerate(spec.objective.constraints):
        metric, low, high = constraint.metric, constraint.at_least, constraint.at_most
        field, remedy = f"objective.constraints[{index}]", f"Set a bound that {metric} can keep."
        if "accuracy" in metric and low is not None and low > PERCENT:
            bound = "at most 1 (100 in percent)"
            faults.append(Fault(f"{field}.at_least", "is above every possible accuracy", bound, low, remedy))
        if ("accuracy" in metric or "error" in metric) and high is not None and high < 0:
            faults.append(Fault(f"{field}.at_most", f"{metric} is never below 0", "0 or more", high, remedy))
    return faults


def _fold_faults(objective: ObjectiveSpec, task: KnownTask) -> list[Fault]:
    if objective.folds is None or task.folds:
        return []
    return [
        Fault(
            "objective.folds",
            f"the task {task.name} does not support folds: no worker offers it with folds",
            "null",
            objective.folds,
            "Use objective.seeds, or implement folds in the task and offer it with folds: true.",
        )
    ]


def _followed_metric_faults(followed_metrics: Mapping[str, Sequence[str]], task: KnownTask) -> list[Fault]:
    """Faults of adaptive families whose schedules follow a metric that the task does not report."""
    return [
        Fault(
            f"space.parameters.{family}.metric",
            f"the task {task.name} does not report this metric",
            "one of " + ", ".join(task.metrics),
            metric,
            f'Use metrics that the task reports: {{"{family}": {{"metric": ["{task.metrics[0]}"]}}}}.',
        )
        for family, metrics in followed_metrics.items()
        for metric in metrics
        if task.metrics and metric not in task.metrics
    ]


def params_faults(params: dict[str, Any], task: KnownTask) -> list[Fault]:
    if task.params_schema is None:
        return []
    # An older server may have accepted and stored the schema.
    if faults := schema_faults(task.params_schema):
        message = f"the worker's schema of the task {task.name} cannot be applied: {faults[0]}"[:500]
        bound, remedy = "a JSON Schema that this server supports", "Fix the schema that the worker offers."
        return [Fault("task.params", message, bound, None, remedy)]
    try:
        errors = parameter_errors(task.params_schema, params)
        return [fault for error in errors for fault in _schema_faults(error)][:MAX_FAULTS]
    except TooMuchWorkError:
        message, bound = "checking these parameters takes too long", "parameters that can be checked quickly"
        return [Fault("task.params", message, bound, None, "Send fewer or shorter parameters.")]


def _schema_faults(error: jsonschema.ValidationError) -> list[Fault]:
    path = ".".join(["task.params", *(str(part) for part in error.absolute_path)])
    remedy = "See the task's parameters at GET /v1/tasks."
    schema: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    known = list(schema.get("properties", {}))
    if error.validator == "additionalProperties" and error.validator_value is False:
        bound = "one of " + ", ".join(known)
        given: Any = error.instance
        unknown = [name for name in given if name not in known][:MAX_FAULTS]
        return [
            Fault(
                path, f"{name} is not a parameter of this task"[:300], bound, name, suggest(name, known, "a parameter")
            )
            for name in unknown
        ]
    bound = f"{error.validator}: {str(error.validator_value)[:300]}"
    if error.validator == "enum":
        choices: Any = error.validator_value
        remedy = suggest(error.instance, [choice for choice in choices if isinstance(choice, str)], "a value")
    elif error.validator == "pattern" and "description" in schema:
        # The parameter's description, because most readers do not understand a regular expression.
        bound, remedy = str(schema["description"])[:300], _pattern_remedy(str(schema["description"]))
        return [Fault(path, "this text is not allowed here", bound, error.instance, remedy)]
    return [Fault(path, error.message[:500], bound, error.instance, remedy)]


def _pattern_remedy(description: str) -> str:
    if "data folder" not in description:
        return "See the task's parameters at GET /v1/tasks."
    return (
        "Put the data into the worker's data folder (lehr worker --data-dir) and give its path inside that folder, "
        "without a leading /, a drive or .."
    )


def with_defaults(params: dict[str, Any], schema: dict[str, Any] | None) -> dict[str, Any]:
    """The parameters with the schema's defaults filled in, so that the resolved spec is complete."""
    filled = dict(params)
    properties = (schema or {}).get("properties")
    for name, described in properties.items() if isinstance(properties, dict) else ():
        if isinstance(described, dict) and "default" in described:
            filled.setdefault(name, copy.deepcopy(described["default"]))
    return filled


def _task_warnings(spec: StudySpec, task: KnownTask | None, known_tasks: Sequence[str]) -> list[Warning_]:
    reason = waiting_reason(spec.task.name, task, spec.objective.folds)
    if reason is None:
        return []
    near = nearest(spec.task.name, known_tasks) if task is None else None
    message = f"{reason}; did you mean {near}?" if near else reason
    return [Warning_(code="task_not_offered", field="task.name", message=message)]


def waiting_reason(task_name: str, task: KnownTask | None, folds: int | None) -> str | None:
    """Why no worker can train a study now; None if one can."""
    if task is not None and (task.is_live if folds is None else task.folds_are_live):
        return None
    how = "" if folds is None else " with folds"
    return f"no live worker offers the task {task_name}{how}; the study waits in the queue until one does"


def _resolved_document(spec: StudySpec, params: dict[str, Any]) -> dict[str, Any]:
    resolved = spec.model_dump(mode="json")
    resolved["task"]["params"] = params
    resolved["space"]["families"] = list(spec.space.to_space().families)
    if spec.space.start_lr == AUTO:
        resolved["range_test"] = (spec.range_test or RangeTestSpec()).model_dump(mode="json")
    elif resolved["space"]["peak_lr"] is None:
        resolved["space"]["peak_lr"] = resolved["space"]["start_lr"]
    if resolved["sampler"]["seed"] is None:
        resolved["sampler"]["seed"] = secrets.randbelow(2**31)
    return resolved
