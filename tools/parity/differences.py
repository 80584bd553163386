"""Lists and measures differences between schedules of the same name in lehr and in other frameworks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lehr.schedules import Cosine, CosineRestarts, Linear, MultiStep, OneCycle, Schedule, Tanh, Wsd
from tools.parity import upstream
from tools.parity.grid import difference
from tools.parity.running import an_optimizer, stepped

LAST = 100
STEPS = LAST + 1
TOP = 0.5


@dataclass(frozen=True)
class Difference:
    """A difference: in which framework and where upstream, how, and its size as a part of the highest rate.

    `families` are lehr's that it concerns; `measure` runs it.
    """

    framework: str
    file: str
    families: tuple[str, ...]
    how: str
    measure: Callable[[], float]


def _run(optimizer: Any, scheduler: Any, steps: int = STEPS) -> list[float]:
    return stepped(optimizer, lambda _number: scheduler.step(), steps)


def _against(schedule: Schedule, configured: Callable[[Any], Any], steps: int = STEPS) -> float:
    optimizer = an_optimizer(TOP)
    return difference(schedule, _run(optimizer, configured(optimizer), steps), steps)


def _sequence(optimizer: Any) -> Any:
    from torch.optim import lr_scheduler

    rise = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=20)
    return lr_scheduler.SequentialLR(optimizer, [rise, lr_scheduler.CosineAnnealingLR(optimizer, 80)], [20])


def _resumed(configured: Callable[[Any], Any], *, optimizer_first: bool, stop: int = 50) -> float:
    """How far a resumed run is from an uninterrupted one."""
    optimizer = an_optimizer(TOP)
    whole = _run(optimizer, configured(optimizer))
    optimizer = an_optimizer(TOP)
    scheduler = configured(optimizer)
    _run(optimizer, scheduler, stop + 1)
    saved = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    fresh = an_optimizer(TOP)
    if optimizer_first:
        fresh.load_state_dict(saved[0])
    again = configured(fresh)
    again.load_state_dict(saved[1])
    rest = _run(fresh, again, STEPS - stop)
    return max(abs(one - other) for one, other in zip(rest, whole[stop:], strict=True)) / TOP


def _warm_restarts() -> float:
    from torch.optim import lr_scheduler

    schedule = CosineRestarts(start_lr=TOP, end_lr=0.0, cycles=4)
    return _against(schedule, lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=25))


def _leftover_rate() -> float:
    from torch.optim import lr_scheduler

    optimizer = an_optimizer(TOP)
    lr_scheduler.LambdaLR(optimizer, lambda _step: 1.0)  # leaves initial_lr in the groups
    lr_scheduler.CyclicLR(optimizer, base_lr=0.01, max_lr=TOP, step_size_up=20, cycle_momentum=False)
    return abs(float(optimizer.param_groups[0]["lr"]) - 0.01) / TOP


def _cosine_of_all_steps() -> float:
    from torch.optim import lr_scheduler

    schedule = Cosine(start_lr=TOP, end_lr=0.0)
    return _against(schedule, lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS))


def _one_cycle_in_optax() -> float:
    import optax

    theirs = optax.cosine_onecycle_schedule(STEPS, TOP)
    return difference(_torchs_one_cycle(), [float(theirs(step)) for step in range(STEPS)])


def _one_cycle_in_fastai() -> float:
    curve = upstream.fastai_one_cycle()(0.25, TOP / 25, TOP, TOP / 1e5)
    return difference(_torchs_one_cycle(), [float(curve(step / STEPS)) for step in range(STEPS)])


def _torchs_one_cycle() -> Schedule:
    """What OneCycleLR gives by default, which a test compares with torch."""
    rise = (0.3 * STEPS - 1) / LAST
    return OneCycle(start_lr=TOP / 25, peak_lr=TOP, end_lr=TOP / 25e4, warmup_fraction=rise)


def _three_phases_in_optax() -> float:
    import optax

    schedule = OneCycle(start_lr=TOP / 25, peak_lr=TOP, end_lr=TOP / 25e4, warmup_fraction=0.3, warmup_shape="linear",
                        anneal="linear", phases="three")  # fmt: skip
    theirs = optax.linear_onecycle_schedule(LAST, TOP)
    return difference(schedule, [float(theirs(step)) for step in range(STEPS)])


def _keras_restarts() -> float:
    from keras.optimizers.schedules import CosineDecayRestarts

    theirs = CosineDecayRestarts(TOP, 25, t_mul=1.0)
    schedule = CosineRestarts(start_lr=TOP, end_lr=0.0, cycles=4)
    return difference(schedule, [float(theirs(step)) for step in range(STEPS)])


def _trainers_horizon() -> float:
    from transformers import get_scheduler

    schedule = Linear(start_lr=0.0, peak_lr=TOP, end_lr=0.0, warmup_fraction=0.1)
    return _against(schedule, lambda optimizer: get_scheduler("linear", optimizer, 10, STEPS))


def _early_cosine() -> float:
    from transformers import get_scheduler

    schedule = Cosine(start_lr=0.05, peak_lr=TOP, end_lr=0.05, warmup_fraction=0.1)
    ratios = {"min_lr_rate": 0.1, "warmup_lr_rate": 0.1}
    return _against(schedule, lambda optimizer: get_scheduler("cosine_warmup_with_min_lr", optimizer, 10, LAST, ratios))


def _timm(name: str, schedule: Schedule, **arguments: Any) -> float:
    optimizer = an_optimizer(TOP)
    scheduler = getattr(upstream.timm_scheduler(), name)(optimizer, t_in_epochs=False, **arguments)
    return difference(schedule, stepped(optimizer, scheduler.step_update, STEPS))


def _early_drop() -> float:
    schedule = MultiStep(start_lr=TOP, end_lr=TOP / 100, milestones=(0.3, 0.6))
    return _timm("MultiStepLRScheduler", schedule, decay_t=[30, 60], decay_rate=0.1)


def _tanh() -> float:
    return _timm(
        "TanhLRScheduler", Tanh(start_lr=TOP, end_lr=0.0, lower=-3.0, upper=2.0), t_initial=LAST, lb=-3.0, ub=2.0
    )


def _jumping_wsd() -> float:
    from pytorch_optimizer.lr_scheduler.wsd import get_wsd_schedule

    schedule = Wsd(start_lr=TOP, end_lr=0.2 * TOP, cooldown_fraction=0.3, cooldown="sqrt")
    return _against(schedule, lambda optimizer: get_wsd_schedule(optimizer, 0, 70, 30, min_lr_ratio=0.2))


def _deepspeed(name: str, schedule: Schedule, **arguments: Any) -> float:
    optimizer = an_optimizer(TOP)
    return difference(schedule, _run(optimizer, getattr(upstream.deepspeed_schedules(), name)(optimizer, **arguments)))


def _late_warm_up() -> float:
    schedule = Linear(start_lr=0.0, peak_lr=TOP, end_lr=0.0, warmup_fraction=0.1)
    return _deepspeed("WarmupDecayLR", schedule, total_num_steps=LAST, warmup_max_lr=TOP, warmup_num_steps=10,
                      warmup_type="linear")  # fmt: skip


def _late_cosine() -> float:
    schedule = Cosine(start_lr=0.0, peak_lr=TOP, end_lr=0.0, warmup_fraction=0.1)
    return _deepspeed("WarmupCosineLR", schedule, total_num_steps=LAST, warmup_num_steps=10, cos_min_ratio=0.0,
                      warmup_type="linear")  # fmt: skip


def _megatrons_exponential() -> float:
    optimizer = an_optimizer(TOP)
    scheduler = upstream.megatron_scheduler()(
        optimizer, init_lr=0.0, max_lr=TOP, min_lr=0.05, lr_warmup_steps=0, lr_decay_steps=LAST, lr_decay_style="WSD",
        start_wd=0.0, end_wd=0.0, wd_incr_steps=1, wd_incr_style="constant", wsd_decay_steps=40,
        lr_wsd_decay_style="exponential",
    )  # fmt: skip
    schedule = Wsd(start_lr=TOP, end_lr=0.05, cooldown_fraction=0.4, cooldown="exponential")
    return difference(schedule, stepped(optimizer, lambda _number: scheduler.step(1), STEPS))


TORCH = "torch/optim/lr_scheduler.py"
DIFFERENCES = (
    Difference(
        "torch", f"{TORCH}, SequentialLR.__init__", ("warm-ups", "wsd", "joined"),
        "`SequentialLR` resumed with its own state alone goes on with the first rate of the schedule: making it resets "
        "the groups, and its parts go on from there. With a recursive part it never finds back.",
        lambda: _resumed(_sequence, optimizer_first=False),
    ),
    Difference(
        "torch", f"{TORCH}, SequentialLR.__init__", ("warm-ups", "wsd", "joined"),
        "So it does where the optimizer's state is loaded before the scheduler is made. Loaded after it was made, it "
        "resumes right.",
        lambda: _resumed(_sequence, optimizer_first=True),
    ),
    Difference(
        "torch", f"{TORCH}, CosineAnnealingWarmRestarts.step", ("cosine_restarts",),
        "`CosineAnnealingWarmRestarts` starts a further cycle at the step where the last one ends; lehr ends at "
        "end_lr. The export puts a `ConstantLR` there.",
        _warm_restarts,
    ),
    Difference(
        "torch", f"{TORCH}, CosineAnnealingLR", ("cosine",),
        "`CosineAnnealingLR` with T_max = the number of steps, as is usual, reaches eta_min one step after the last "
        "one trained. lehr's last step has end_lr: T_max is one less.",
        _cosine_of_all_steps,
    ),
    Difference(
        "torch", f"{TORCH}, CyclicLR.__init__", ("triangular", "triangular2", "exp_range"),
        "`CyclicLR` starts from the `initial_lr` that another scheduler left in the groups, not from base_lr.",
        _leftover_rate,
    ),
    Difference(
        "optax", "optax/schedules/_schedule.py, cosine_onecycle_schedule", ("one_cycle",),
        "One-cycle's defaults: optax counts `transition_steps` to one step beyond torch's `total_steps`, and its rise "
        "ends at the whole step below pct_start of them; torch's ends at pct_start total_steps - 1, between two.",
        _one_cycle_in_optax,
    ),
    Difference(
        "fastai", "fastai/callback/schedule.py, fit_one_cycle", ("one_cycle",),
        "One-cycle's defaults: fastai rises over 25% instead of torch's 30%, and ends at lr_max / 1e5 instead of "
        "max_lr / 2.5e5; its last batch is one short of the end.",
        _one_cycle_in_fastai,
    ),
    Difference(
        "optax", "optax/schedules/_schedule.py, linear_onecycle_schedule", ("one_cycle",),
        "`linear_onecycle_schedule` falls back to its first rate until 85% of the steps, where three phases by the "
        "paper and torch fall as long as they rose.",
        _three_phases_in_optax,
    ),
    Difference(
        "Keras", "keras/src/optimizers/schedules/learning_rate_schedule.py, CosineDecayRestarts", ("cosine_restarts",),
        "`CosineDecayRestarts` starts a further cycle at the step where the last one ends. With `m_mul` and an alpha "
        "above 0 its crests are between the two as well.",
        _keras_restarts,
    ),
    Difference(
        "transformers", "transformers/trainer.py, Trainer.create_scheduler", ("cosine", "linear", "polynomial"),
        "The Trainer lays a schedule over max_steps, of which it trains all but the last: the end is never reached. "
        "lehr's last step has end_lr: num_training_steps is one less.",
        _trainers_horizon,
    ),
    Difference(
        "transformers", "transformers/optimization.py, _get_cosine_with_min_lr_schedule_with_warmup_lr_rate_lambda",
        ("cosine",),
        "`cosine_warmup_with_min_lr` is one step early: it reaches the top at num_warmup_steps - 1, the end at "
        "num_training_steps - 1, unlike transformers' other schedules. The export adds one to both.",
        _early_cosine,
    ),
    Difference(
        "timm", "timm/scheduler/multistep_lr.py, MultiStepLRScheduler.get_curr_decay_steps", ("multistep", "step"),
        "`MultiStepLRScheduler` drops one step before each of decay_t, by convention (pull request 2753). The export "
        "adds one to each.",
        _early_drop,
    ),
    Difference(
        "timm", "timm/scheduler/tanh_lr.py, TanhLRScheduler._get_lr", ("tanh",),
        "`TanhLRScheduler` starts short of the top and ends above lr_min, as the paper does; lehr meets both. Here for "
        "lb = -3 and ub = 2.",
        _tanh,
    ),
    Difference(
        "pytorch_optimizer", "pytorch_optimizer/lr_scheduler/wsd.py, get_wsd_scheduler_lambda", ("wsd",),
        "The 1-sqrt, linear and 1-square cooldowns fall to 0 whatever min_lr_ratio is, then jump up to it. Here for a "
        "ratio of 0.2.",
        _jumping_wsd,
    ),
    Difference(
        "DeepSpeed", "deepspeed/runtime/lr_schedules.py, WarmupDecayLR", ("constant", "linear"),
        "`WarmupLR` and `WarmupDecayLR` give the first step's rate to the second one too, and are late by a step from "
        "there.",
        _late_warm_up,
    ),
    Difference(
        "DeepSpeed", "deepspeed/runtime/lr_schedules.py, WarmupCosineLR", ("cosine",),
        "`WarmupCosineLR` starts with a rate of 0, and its warm-up is late by a step; the fall keeps time.",
        _late_cosine,
    ),
    Difference(
        "Megatron-LM", "megatron/core/optimizer_param_scheduler.py, OptimizerParamScheduler.get_lr", ("wsd",),
        "`--lr-wsd-decay-style exponential` is 2 · 0.5^z - 1 between the two rates, no equal factors in equal times.",
        _megatrons_exponential,
    ),
)  # fmt: skip
