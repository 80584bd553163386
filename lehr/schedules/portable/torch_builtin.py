"""Exports a schedule as constructor calls of torch's own schedulers."""

from __future__ import annotations

from lehr.schedules.base import Schedule
from lehr.schedules.families.one_cycle import OneCycle
from lehr.schedules.families.plateau import Plateau
from lehr.schedules.portable import adaptive
from lehr.schedules.portable.closed_form import RATIOS, arguments_text, set_rates, times_ratios
from lehr.schedules.portable.discretized import (
    HELD,
    WHOLE_SLACK,
    CannotExpressError,
    Discretized,
    check,
    discretize,
    require,
)
from lehr.schedules.portable.torch_closed_form import header

USAGE = """scheduler = make_scheduler(optimizer)  # sets the optimizer's rate too
for batch in batches:
    ...
    optimizer.step()
    scheduler.step()                   # once a step, not once an epoch"""
NOTE = "torch's own {names}. Beyond the horizon its rates may go on changing; lehr's stay at the last one."
RESUME_NOTE = (
    " To resume, make the optimizer and the scheduler first and then load both states: where the optimizer's is loaded"
    " before the scheduler is made, or not at all, torch goes on with the schedule's first rate."
)

CYCLIC = ("triangular", "triangular2", "exp_range")
"""The modes of CyclicLR; the families have the same names."""

Part = tuple[str, dict[str, object]]
"""A class of torch.optim.lr_scheduler and its arguments."""


def own(schedule: Schedule, horizon_steps: int) -> tuple[str, str]:
    """The code and a note. Raises CannotExpressError."""
    if schedule.family == "one_cycle":
        return _code(schedule, horizon_steps, [_one_cycle(schedule, horizon_steps)], [])
    if isinstance(schedule, Plateau):
        require(schedule.rise_fraction == 0, "its ReduceLROnPlateau has no warm-up")
        return adaptive.torch(schedule, horizon_steps)
    if schedule.family in CYCLIC:
        return _code(schedule, horizon_steps, [_cyclic(discretize(schedule, horizon_steps, momentum=True))], [])
    discrete = discretize(schedule, horizon_steps)
    parts, boundaries = _body(discrete)
    if discrete.rise:
        require(discrete.shape == "linear", f"it has no {discrete.shape} warm-up")
        require(discrete.start > 0, "its LinearLR cannot start from a rate of 0")
        rise: Part = ("LinearLR", {"start_factor": discrete.start / discrete.top, "total_iters": discrete.rise})
        parts, boundaries = [rise, *parts], [discrete.rise, *boundaries]
    return _code(schedule, horizon_steps, parts, boundaries)


def _body(discrete: Discretized) -> tuple[list[Part], list[int]]:
    """The parts after the rise, and the steps of the horizon at which each next part begins."""
    match discrete.schedule.family:
        case "constant":
            return [_held(1.0)], []
        case "linear" | "cosine" | "exponential" | "polynomial":
            return [_fall(discrete, discrete.schedule.family, discrete.body)], []
        case "step" | "multistep":
            return [_stepwise(discrete)], []
        case "cosine_restarts":
            return _restarts(discrete)
        case family if family in HELD:
            return _stable(discrete)
    raise CannotExpressError(f"it has no {discrete.schedule.family} schedule")


def _fall(discrete: Discretized, shape: str, steps: int) -> Part:
    if shape == "linear":
        return "LinearLR", {"start_factor": 1.0, "end_factor": discrete.end / discrete.top, "total_iters": steps}
    if shape == "cosine":
        return "CosineAnnealingLR", {"T_max": steps, "eta_min": discrete.end}
    if shape == "polynomial":
        require(discrete.end == 0, "its PolynomialLR falls to 0 only")
        return "PolynomialLR", {"total_iters": steps, "power": discrete.parameter("power")}
    require(shape == "exponential" and discrete.end > 0, f"it has no {shape} fall")
    return "ExponentialLR", {"gamma": (discrete.end / discrete.top) ** (1 / steps)}


def _held(factor: float) -> Part:
    return "ConstantLR", {"factor": factor, "total_iters": 10**12}


def _stepwise(discrete: Discretized) -> Part:
    steps, factor = discrete.drops()
    after = [step - discrete.rise for step in steps]
    if after == [after[0] * k for k in range(1, len(after) + 1)] and after[0] * (len(after) + 1) > discrete.body:
        return "StepLR", {"step_size": after[0], "gamma": factor}
    return "MultiStepLR", {"milestones": after, "gamma": factor}


def _restarts(discrete: Discretized) -> tuple[list[Part], list[int]]:
    growth = discrete.parameter("cycle_growth")
    require(discrete.parameter("cycle_decay") == 1, "its restarts all go up to one rate")
    require(growth == int(growth), "its cycles grow by whole factors only")
    restarts: Part = (
        "CosineAnnealingWarmRestarts",
        {"T_0": discrete.cycles()[0], "T_mult": int(growth), "eta_min": discrete.end},
    )
    # At the last step torch would restart once more.
    return [restarts, _held(discrete.end / discrete.top)], [discrete.last]


def _stable(discrete: Discretized) -> tuple[list[Part], list[int]]:
    shape, steps = discrete.fall()
    if steps == discrete.body:
        return [_fall(discrete, shape, steps)], []
    return [_held(1.0), _fall(discrete, shape, steps)], [discrete.last - steps]


def _one_cycle(schedule: Schedule, horizon_steps: int) -> Part:
    """OneCycleLR, whose phases may end between two steps."""
    check(schedule, horizon_steps, momentum=True)
    assert isinstance(schedule, OneCycle)
    require(schedule.warmup_shape == schedule.anneal, "its OneCycleLR rises and falls in one shape")
    first, top, end = schedule.levels
    require(first > 0 and end > 0, "its OneCycleLR divides by rates above 0 only")
    last = horizon_steps - 1
    rise = (schedule.rise_fraction * last + 1) / horizon_steps
    second = float(2 * rise * horizon_steps) - 2 if schedule.phases == "three" else float(rise * horizon_steps) - 1
    require(last - second > WHOLE_SLACK * horizon_steps, "the last phase of its OneCycleLR has no steps")
    arguments: dict[str, object] = {
        "max_lr": times_ratios(top),
        "total_steps": horizon_steps,
        "pct_start": rise,
        "anneal_strategy": "cos" if schedule.anneal == "cosine" else schedule.anneal,
        "div_factor": top / first,
        "final_div_factor": first / end,
        "three_phase": schedule.phases == "three",
    }
    return "OneCycleLR", arguments | _momentum(schedule)


def _cyclic(discrete: Discretized) -> Part:
    require(discrete.start == discrete.end, "its CyclicLR starts from the rate that it falls to")
    require(discrete.rise == discrete.legs()[0], "its CyclicLR rises as long as it falls")
    require(discrete.shape == "linear", f"it has no {discrete.shape} rise")
    mode = discrete.schedule.family
    arguments: dict[str, object] = {
        "base_lr": times_ratios(discrete.end),
        "max_lr": times_ratios(discrete.top),
        "step_size_up": discrete.rise,
        "mode": mode,
    }
    if mode == "exp_range":
        require(discrete.schedule.momentum_levels is None, "its swing of momentum stays between other bounds")
        arguments["gamma"] = discrete.parameter("swing_decay") ** (1 / discrete.last)
    return "CyclicLR", arguments | _momentum(discrete.schedule)


def _momentum(schedule: Schedule) -> dict[str, object]:
    levels = schedule.momentum_levels
    return {"cycle_momentum": False} if levels is None else {"base_momentum": levels.top, "max_momentum": levels.first}


def _code(schedule: Schedule, horizon_steps: int, parts: list[Part], boundaries: list[int]) -> tuple[str, str]:
    made = [f"lr_scheduler.{name}(optimizer, {arguments_text(arguments)})" for name, arguments in parts]
    names = [name for name, _ in parts]
    # The other schedulers scale initial_lr; CyclicLR uses it as its base_lr if the group has one.
    base = schedule.end_lr if "CyclicLR" in names else schedule.levels.top
    note = NOTE.format(names=" and ".join(dict.fromkeys(names)))
    if boundaries:
        note += RESUME_NOTE
        listed = "".join(f"\n            {each}," for each in made)
        opened = f"lr_scheduler.SequentialLR(\n        optimizer,\n        [{listed}\n        ],"
        whole = f"{opened}\n        milestones={boundaries!r},\n    )"
    else:
        (whole,) = made
    absolute = [name for name, arguments in parts if arguments.get("eta_min")]
    one_for_all = (absolute[0], "eta_min") if absolute else None
    code = f"""{header(schedule, horizon_steps, USAGE)}
from torch.optim import lr_scheduler


{RATIOS}

def make_scheduler(optimizer):
{set_rates(base, one_for_all=one_for_all)}    return {whole}
"""
    return code, note
