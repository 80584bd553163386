"""Example schedules of every family over 101 steps, chosen so that the frameworks can express them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lehr.errors import InvalidScheduleError
from lehr.schedules import FAMILIES, Schedule, schedule_from_dict

STEPS = 101
WARM_UPS: tuple[dict[str, Any], ...] = (
    {},
    {"start_lr": 0.01, "peak_lr": 0.3, "warmup_fraction": 0.2},
    {"start_lr": 0.0, "peak_lr": 0.3, "warmup_fraction": 0.2},
    {"start_lr": 0.01, "peak_lr": 0.3, "warmup_fraction": 0.2, "warmup_shape": "cosine"},
    {"start_lr": 0.01, "peak_lr": 0.3, "warmup_fraction": 0.2, "warmup_shape": "exponential"},
)
EVEN: dict[str, Any] = {"start_lr": 0.01, "peak_lr": 0.3, "end_lr": 0.01}
"""A rise from the rate that it falls to."""
VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "cosine_restarts": (
        {"cycles": 4},
        {"cycles": 4, "end_lr": 0.0},
        {"cycles": 2, "cycle_growth": 4.0},
        {"cycles": 5, "cycle_decay": 0.5},
    ),
    "multistep": ({"milestones": [0.34, 0.68]},),
    "one_cycle": (
        {"warmup_shape": "linear", "anneal": "linear"},
        {**EVEN, "warmup_shape": "linear", "anneal": "linear"},
        {"phases": "three"},
    ),
    "triangular": (EVEN, {**EVEN, "cycles": 5}),
    "triangular2": ({**EVEN, "cycles": 5},),
    "exp_range": ({**EVEN, "cycles": 5},),
    "inverse_sqrt": ({"start_lr": 0.0, "peak_lr": 0.3, "end_lr": 0.3 / 5**0.5, "warmup_fraction": 0.2},),
    "k_decay": ({"curve_shape": "polynomial", "power": 2.0},),
    "piecewise": ({"knots": [0.2, 0.6], "rates": [0.2, 0.05]},),
    "polynomial": ({"end_lr": 0.0}, {"power": 1.0}),
    "power": ({"end_lr": 0.0, "power": 2.0},),
    "step": ({"drops": 1}, {"drops": 7}),
    "wsd": (
        {"cooldown": "cosine"},
        {"cooldown": "sqrt"},
        {"cooldown": "exponential"},
        {"start_lr": 0.001, "peak_lr": 0.3, "warmup_fraction": 0.2, "end_lr": 0.001},
    ),
}


def specimens(family: str) -> Iterator[Schedule]:
    """Schedules of a closed-form family."""
    kind = FAMILIES[family]
    for given in (*WARM_UPS, *VARIANTS.get(family, ()), *({**each, "end_lr": 0.0} for each in WARM_UPS[::2])):
        document: dict[str, Any] = {"family": family, "start_lr": 0.1, "end_lr": 0.001}
        if kind.climbs:
            document["peak_lr"] = 0.3
        document |= given
        if not kind.decays:
            document["end_lr"] = document.get("peak_lr", document["start_lr"])
        try:
            yield schedule_from_dict(document)
        except InvalidScheduleError:
            continue  # an end of 0 is not for every family
