"""Exports a schedule as DeepSpeed configuration."""

from __future__ import annotations

import json

from lehr.schedules.base import Schedule
from lehr.schedules.portable.discretized import CannotExpressError, Discretized, check, discretize, require

NOTE = "The part 'scheduler' of DeepSpeed's configuration. Its OneCycle gives all parameter groups one rate."


def own(schedule: Schedule, horizon_steps: int) -> tuple[str, str]:
    """The JSON of DeepSpeed's configuration and a note. Raises CannotExpressError.

    OneCycle is the only scheduler that can match: WarmupLR, WarmupDecayLR and WarmupCosineLR use the first rate
    of their warm-up twice, and are a step late from there on.
    """
    if schedule.family == "constant":
        check(schedule, horizon_steps)
        require(schedule.rise_fraction == 0, "its WarmupLR is one step late")
        config = {"optimizer": {"type": "Adam", "params": {"lr": schedule.max_lr}}}
        return json.dumps(config, indent=2) + "\n", "Without a scheduler DeepSpeed keeps the optimizer's rate."
    if schedule.family not in ("one_cycle", "triangular"):
        raise CannotExpressError(
            "its WarmupDecayLR and WarmupCosineLR are late"
            if schedule.family in ("linear", "cosine")
            else f"it has no {schedule.family}"
        )
    discrete = discretize(schedule, horizon_steps, momentum=True)
    config = {"scheduler": {"type": "OneCycle", "params": _one_cycle(discrete)}}
    return json.dumps(config, indent=2) + "\n", NOTE


def _one_cycle(discrete: Discretized) -> dict[str, object]:
    straight = getattr(discrete.schedule, "anneal", "linear") == discrete.shape == "linear"
    require(straight, "its OneCycle goes along straight lines")
    require(getattr(discrete.schedule, "phases", "two") == "two", "its OneCycle has two phases")
    require(discrete.start == discrete.end, "its OneCycle falls to the rate that it starts from")
    require(getattr(discrete.schedule, "cycles", 1) == 1, "its OneCycle has one cycle")
    momenta = discrete.schedule.momentum_levels
    cycled = {"cycle_min_mom": momenta.top, "cycle_max_mom": momenta.first} if momenta else {}
    return {
        "cycle_min_lr": discrete.end,
        "cycle_max_lr": discrete.top,
        "cycle_first_step_size": discrete.rise,
        "cycle_second_step_size": discrete.body,
        "decay_step_size": 0,
        "cycle_momentum": momenta is not None,
        **cycled,
    }
