"""Imports samplers and pruners by name, and checks that the server and the study can use them."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from lehr.errors import Fault
from lehr.wire.search_methods import PRUNERS, SAMPLERS
from service.search.pruners.base import CurvePruner, EvaluationPruner, Pruner
from service.search.samplers.base import Sampler


def sampler_class(name: str) -> type[Sampler]:
    sampler: type[Sampler] = _load(SAMPLERS[name])
    return sampler


def find_pruner(name: str) -> Pruner:
    pruner: Pruner = _load(PRUNERS[name])()
    return pruner


def curve_pruner(name: str) -> CurvePruner | None:
    """The pruner, if it judges the curves of running trials."""
    pruner = find_pruner(name)
    return pruner if isinstance(pruner, CurvePruner) else None


def evaluation_pruner(name: str) -> EvaluationPruner | None:
    """The pruner, if it judges a trial between its trainings."""
    pruner = find_pruner(name)
    return pruner if isinstance(pruner, EvaluationPruner) else None


def available_samplers() -> tuple[str, ...]:
    """The samplers whose packages are installed here."""
    return tuple(name for name in SAMPLERS if not _missing_packages(name))


def check_sampler(name: str) -> Fault | None:
    """Why this server can't use a sampler; None if it can."""
    missing = ", ".join(_missing_packages(name))
    if not missing:
        return None
    return Fault(
        "sampler.name",
        f"this sampler needs packages that the server lacks ({missing})",
        ", ".join(available_samplers()),
        name,
        f'Use "tpe", or have the operator install {missing} beside the server.',
    )


def check_pruner(name: str, evaluations: int = 1, *, constrained: bool = False) -> Fault | None:
    """Why a pruner can't be used with this number of evaluations per trial; None if it can."""
    judges_curves = curve_pruner(name) is not None
    without_curves = [other for other in PRUNERS if curve_pruner(other) is None]
    if constrained and judges_curves:
        return Fault(
            "pruner.name",
            "this pruner sees only the objective, and would stop trials that meet the constraints",
            f"one of {', '.join(without_curves)}",
            name,
            'Use "none", or omit objective.constraints.',
        )
    if evaluations == 1 and evaluation_pruner(name) is not None:
        return Fault(
            "pruner.name",
            "this pruner compares several evaluations of each trial, and a trial has one",
            ", ".join(other for other in PRUNERS if evaluation_pruner(other) is None),
            name,
            'Set objective.folds or objective.seeds, or use "median".',
        )
    if evaluations > 1 and judges_curves:
        return Fault(
            "pruner.name",
            f"this pruner judges a trial by its only training, and a trial has {evaluations}",
            ", ".join(without_curves),
            name,
            'Use "wilcoxon", which stops trials between their trainings, or omit objective.folds and objective.seeds.',
        )
    return None


def _missing_packages(name: str) -> list[str]:
    return [package for package in sampler_class(name).packages if importlib.util.find_spec(package) is None]


def _load(location: str) -> Any:
    module, _, attribute = location.partition(":")
    return getattr(importlib.import_module(module), attribute)
