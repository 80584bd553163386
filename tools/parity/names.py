"""Maps every schedule of torch, optax, transformers and Keras to lehr's families."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from lehr.schedules import Constant, Cosine, CosineRestarts, Exponential, OneCycle, Piecewise, Schedule
from tools.parity import plateaus
from tools.parity.grid import difference
from tools.parity.specimens import STEPS

NONE = "none: "
COUNTERPARTS: Mapping[str, Mapping[str, str]] = {
    "torch": {
        "ChainedScheduler": NONE + "multiplies what several schedulers give",
        "ConstantLR": "constant",
        "CosineAnnealingLR": "cosine",
        "CosineAnnealingWarmRestarts": "cosine_restarts",
        "CyclicLR": "triangular, triangular2, exp_range",
        "ExponentialLR": "exponential",
        "LambdaLR": NONE + "any function of the user's",
        "LinearLR": "linear, and the linear warm-up",
        "MultiStepLR": "multistep",
        "MultiplicativeLR": NONE + "any function of the user's",
        "OneCycleLR": "one_cycle",
        "PolynomialLR": "polynomial",
        "ReduceLROnPlateau": "plateau",
        "SequentialLR": "warm-ups, wsd, flat_cosine, knee, joined",
        "StepLR": "step, multistep",
        "SWALR": NONE + "leads the rate of another scheduler to a constant one",
    },
    "optax": {
        "constant_schedule": "constant",
        "cosine_decay_schedule": "cosine (exponent 1)",
        "cosine_onecycle_schedule": "one_cycle",
        "exponential_decay": "exponential; step where staircase",
        "join_schedules": "warm-ups, wsd, cosine_restarts, triangular, joined",
        "linear_onecycle_schedule": "one_cycle (three phases, of other lengths), piecewise",
        "linear_schedule": "linear, and the linear warm-up",
        "piecewise_constant_schedule": "step, multistep",
        "piecewise_interpolate_schedule": "piecewise (linear)",
        "polynomial_schedule": "polynomial",
        "reduce_on_plateau": "plateau (patience one less, threshold rtol)",
        "sgdr_schedule": "cosine_restarts",
        "warmup_constant_schedule": "constant with a warm-up",
        "warmup_cosine_decay_schedule": "cosine with a warm-up",
        "warmup_exponential_decay_schedule": "exponential with a warm-up",
    },
    "Keras": {
        "CosineDecay": "cosine, one_cycle",
        "CosineDecayRestarts": "cosine_restarts",
        "ExponentialDecay": "exponential; step where staircase",
        "InverseTimeDecay": "inverse_time",
        "LearningRateScheduler": NONE + "any function of the user's",
        "PiecewiseConstantDecay": "step, multistep",
        "PolynomialDecay": "linear, polynomial",
        "ReduceLROnPlateau": "plateau (patience and cooldown one less, threshold absolute)",
    },
    "transformers": {
        "constant": "constant",
        "constant_with_warmup": "constant with a warm-up",
        "cosine": "cosine (num_cycles 0.5)",
        "cosine_warmup_with_min_lr": "cosine with a warm-up",
        "cosine_with_min_lr": "cosine (num_cycles 0.5)",
        "cosine_with_restarts": "cosine_restarts",
        "greedy": NONE + "raises and lowers the rate by the loss",
        "inverse_sqrt": "inverse_sqrt",
        "linear": "linear",
        "polynomial": "linear, polynomial",
        "reduce_lr_on_plateau": "plateau",
        "warmup_stable_decay": "wsd, flat_cosine, knee",
    },
}
TOP, END, LAST = 0.5, 0.001, STEPS - 1


def public_names() -> dict[str, set[str]]:
    """The schedules that the installed frameworks offer, the adaptive ones and callbacks too."""
    import keras.callbacks
    import keras.optimizers.schedules
    import optax.contrib
    import optax.schedules
    import torch.optim.lr_scheduler as torch_lr
    import torch.optim.swa_utils
    from transformers import SchedulerType

    swa = {name for name in vars(torch.optim.swa_utils) if name.endswith("LR")}
    torchs = {name: each for name, each in vars(torch_lr).items() if inspect.isclass(each)}
    classes = {name for name, each in torchs.items() if each.__module__ == torch_lr.__name__ and name[0] != "_"}
    endings = ("_schedule", "_schedules", "_decay")
    functions = {name for name in vars(optax.schedules) if name.endswith(endings) and name[0] != "_"}
    functions |= {name for name in vars(optax.contrib) if name.endswith("_plateau") and name[0] != "_"}
    callbacks = {name for name in vars(keras.callbacks) if "LR" in name or "LearningRate" in name}
    keras_classes = callbacks | {
        name for name, each in vars(keras.optimizers.schedules).items() if inspect.isclass(each)
    }
    return {
        "torch": (classes | swa) - {"LRScheduler"},
        "optax": functions,
        "Keras": keras_classes - {"LearningRateSchedule"},
        "transformers": {each.value for each in SchedulerType},
    }


def _optax(schedule: Schedule, configured: Callable[[Any], Any]) -> float:
    import optax

    theirs = configured(optax)
    return difference(schedule, [float(theirs(step)) for step in range(STEPS)])


WARM: dict[str, Any] = {"start_lr": 0.1, "peak_lr": TOP, "warmup_fraction": 0.2}
CYCLE = {"init_value": TOP, "peak_value": TOP, "warmup_steps": 0, "decay_steps": 25, "end_value": END}
ONE_CYCLE = OneCycle(start_lr=TOP / 25, peak_lr=TOP, end_lr=TOP / 25e4, warmup_fraction=0.3)
IN_LINES = Piecewise(start_lr=TOP / 25, end_lr=TOP / 25e4, knots=(0.3, 0.85), rates=(TOP, TOP / 25))
MEASURED: Mapping[tuple[str, str], Callable[[], float]] = {
    ("optax", "warmup_constant_schedule"): lambda: _optax(
        Constant(**WARM, end_lr=TOP), lambda optax: optax.warmup_constant_schedule(0.1, TOP, 20)
    ),
    ("optax", "warmup_cosine_decay_schedule"): lambda: _optax(
        Cosine(**WARM, end_lr=END), lambda optax: optax.warmup_cosine_decay_schedule(0.1, TOP, 20, LAST, END)
    ),
    ("optax", "warmup_exponential_decay_schedule"): lambda: _optax(
        Exponential(**WARM, end_lr=END),
        lambda optax: optax.warmup_exponential_decay_schedule(0.1, TOP, 20, LAST - 20, END / TOP),
    ),
    ("optax", "cosine_onecycle_schedule"): lambda: _optax(
        ONE_CYCLE, lambda optax: optax.cosine_onecycle_schedule(LAST, TOP)
    ),
    ("optax", "linear_onecycle_schedule"): lambda: _optax(
        IN_LINES, lambda optax: optax.linear_onecycle_schedule(LAST, TOP)
    ),
    ("optax", "piecewise_interpolate_schedule"): lambda: _optax(
        IN_LINES,
        lambda optax: optax.piecewise_interpolate_schedule("linear", TOP / 25, {30: 25.0, 85: 1 / 25, LAST: 1e-4}),
    ),
    ("optax", "sgdr_schedule"): lambda: _optax(
        CosineRestarts(start_lr=TOP, end_lr=END, cycles=4), lambda optax: optax.sgdr_schedule([CYCLE] * 4)
    ),
    ("torch", "ReduceLROnPlateau"): plateaus.torchs,
    ("transformers", "reduce_lr_on_plateau"): plateaus.torchs,  # the same class
    ("optax", "reduce_on_plateau"): plateaus.optaxs,
    ("Keras", "ReduceLROnPlateau"): plateaus.kerass,
}
"""Schedules that exports do not use, measured by themselves."""
