"""A schedule in torch's own constructors."""

from __future__ import annotations

from lehr.schedules.base import Schedule
from lehr.schedules.families.one_cycle import OneCycle
from lehr.schedules.families.plateau import Plateau
from lehr.schedules.portable import adaptive
from lehr.schedules.portable.closed_form import RATIOS, arguments_text, set_rates, times_ratios
from lehr.schedules.portable.discretized import HELD, WHOLE_SLACK, CannotExpressError, Laid, check, lay, require
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
"""The modes of CyclicLR, which are families of the same names."""

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
        return _code(schedule, horizon_steps, [_cyclic(lay(schedule, horizon_steps, momentum=True))], [])
    laid = lay(schedule, horizon_steps)
    parts, boundaries = _body(laid)
    if laid.rise:
        require(laid.shape == "linear", f"it has no {laid.shape} warm-up")
        require(laid.start > 0, "its LinearLR cannot start from a rate of 0")
        rise: Part = ("LinearLR", {"start_factor": laid.start / laid.top, "total_iters": laid.rise})
        parts, boundaries = [rise, *parts], [laid.rise, *boundaries]
    return _code(schedule, horizon_steps, parts, boundaries)


def _body(laid: Laid) -> tuple[list[Part], list[int]]:
    """What follows the rise, and the steps of the horizon at which one part gives way to the next."""
    match laid.schedule.family:
        case "constant":
            return [_held(1.0)], []
        case "linear" | "cosine" | "exponential" | "polynomial":
            return [_fall(laid, laid.schedule.family, laid.body)], []
        case "step" | "multistep":
            return [_stepwise(laid)], []
        case "cosine_restarts":
            return _restarts(laid)
        case family if family in HELD:
            return _stable(laid)
    raise CannotExpressError(f"it has no {laid.schedule.family} schedule")


def _fall(laid: Laid, shape: str, steps: int) -> Part:
    if shape == "linear":
        return "LinearLR", {"start_factor": 1.0, "end_factor": laid.end / laid.top, "total_iters": steps}
    if shape == "cosine":
        return "CosineAnnealingLR", {"T_max": steps, "eta_min": laid.end}
    if shape == "polynomial":
        require(laid.end == 0, "its PolynomialLR falls to 0 only")
        return "PolynomialLR", {"total_iters": steps, "power": laid.parameter("power")}
    require(shape == "exponential" and laid.end > 0, f"it has no {shape} fall")
    return "ExponentialLR", {"gamma": (laid.end / laid.top) ** (1 / steps)}


def _held(factor: float) -> Part:
    return "ConstantLR", {"factor": factor, "total_iters": 10**12}


def _stepwise(laid: Laid) -> Part:
    steps, factor = laid.drops()
    after = [step - laid.rise for step in steps]
    if after == [after[0] * k for k in range(1, len(after) + 1)] and after[0] * (len(after) + 1) > laid.body:
        return "StepLR", {"step_size": after[0], "gamma": factor}
    return "MultiStepLR", {"milestones": after, "gamma": factor}


def _restarts(laid: Laid) -> tuple[list[Part], list[int]]:
    growth = laid.parameter("cycle_growth")
    require(laid.parameter("cycle_decay") == 1, "its restarts all go up to one rate")
    require(growth == int(growth), "its cycles grow by whole factors only")
    restarts: Part = (
        "CosineAnnealingWarmRestarts",
        {"T_0": laid.cycles()[0], "T_mult": int(growth), "eta_min": laid.end},
    )
    # At the last step torch would restart once more.
    return [restarts, _held(laid.end / laid.top)], [laid.last]


def _stable(laid: Laid) -> tuple[list[Part], list[int]]:
    shape, steps = laid.fall()
    if steps == laid.body:
        return [_fall(laid, shape, steps)], []
    return [_held(1.0), _fall(laid, shape, steps)], [laid.last - steps]


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


def _cyclic(laid: Laid) -> Part:
    require(laid.start == laid.end, "its CyclicLR starts from the rate that it falls to")
    require(laid.rise == laid.legs()[0], "its CyclicLR rises as long as it falls")
    require(laid.shape == "linear", f"it has no {laid.shape} rise")
    mode = laid.schedule.family
    arguments: dict[str, object] = {
        "base_lr": times_ratios(laid.end),
        "max_lr": times_ratios(laid.top),
        "step_size_up": laid.rise,
        "mode": mode,
    }
    if mode == "exp_range":
        require(laid.schedule.momentum_levels is None, "its swing of momentum stays between other bounds")
        arguments["gamma"] = laid.parameter("swing_decay") ** (1 / laid.last)
    return "CyclicLR", arguments | _momentum(laid.schedule)


def _momentum(schedule: Schedule) -> dict[str, object]:
    levels = schedule.momentum_levels
    return {"cycle_momentum": False} if levels is None else {"base_momentum": levels.top, "max_momentum": levels.first}


def _code(schedule: Schedule, horizon_steps: int, parts: list[Part], boundaries: list[int]) -> tuple[str, str]:
    made = [f"lr_scheduler.{name}(optimizer, {arguments_text(arguments)})" for name, arguments in parts]
    names = [name for name, _ in parts]
    # What the others scale; CyclicLR, though, takes an initial_lr that it finds for its base_lr.
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
