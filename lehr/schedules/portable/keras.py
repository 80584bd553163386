"""Exports a schedule as Keras' own classes, or as its rates by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lehr.schedules.base import Schedule
from lehr.schedules.portable.closed_form import MAX_TABLE_STEPS, arguments_text, functions
from lehr.schedules.portable.discretized import MAX_COUNT, Discretized, discretize, require
from lehr.schedules.portable.torch_closed_form import header

USAGE = "optimizer = keras.optimizers.SGD(learning_rate=schedule)"
NOTE = "Keras' own {name}; Keras computes rates in 32 bits."
TABLE_NOTE = (
    "Keras has no such schedule: {reason}. The code computes the rates by step from the formula, once, and looks them "
    "up; Keras keeps them in 32 bits."
)
MOMENTUM_NOTE = (
    " Keras schedules rates alone: the callback `Momentum()` sets the momentum of each step, or Adam's beta_1. A"
    " compiled training step would keep its momentum, so other backends than torch need run_eagerly=True."
)
MOMENTUM_USAGE = """optimizer = keras.optimizers.SGD(learning_rate=schedule, momentum=momentum_at(0))
model.fit(…, callbacks=[Momentum()])"""
MOMENTUM = '''

class Momentum(keras.callbacks.Callback):
    """Sets the momentum (or Adam's beta_1) of each step."""

    def on_train_begin(self, logs=None):
        if keras.backend.backend() != "torch" and not self.model.run_eagerly:
            raise RuntimeError("a compiled training step keeps its momentum: give compile(...) run_eagerly=True")
        if getattr(self.model.optimizer, "momentum", None) == 0:
            raise ValueError("an SGD made without momentum keeps no velocity: make it with momentum=momentum_at(0)")

    def on_train_batch_begin(self, batch, logs=None):
        optimizer = self.model.optimizer
        name = "beta_1" if hasattr(optimizer, "beta_1") else "momentum"
        setattr(optimizer, name, momentum_at(int(optimizer.iterations.value)))
'''


def own(schedule: Schedule, horizon_steps: int) -> tuple[str, str]:
    """The code and a note. Raises CannotExpressError."""
    require(horizon_steps <= MAX_COUNT, f"it counts {MAX_COUNT} steps")
    discrete = discretize(schedule, horizon_steps)
    usage = header(schedule, horizon_steps, USAGE)
    if schedule.family == "constant" and not discrete.rise:
        return f"{usage}\nschedule = {discrete.top!r}\n", "A constant rate is a number in Keras."
    name, arguments = _class(discrete)
    code = f"{usage}\nimport keras\n\nschedule = keras.optimizers.schedules.{name}({arguments_text(arguments)})\n"
    return code, NOTE.format(name=name)


def _class(discrete: Discretized) -> tuple[str, dict[str, object]]:
    family = discrete.schedule.family
    if family == "one_cycle":
        require(discrete.choice("phases") == "two", "it has no third phase")
        family = discrete.choice("anneal")
    require(family != "cosine_restarts", "its CosineDecayRestarts restarts once more at the last step")
    require(family in _CLASSES, f"it has no {family}")
    require(not discrete.rise or family == "cosine", "only its CosineDecay climbs first")
    require(discrete.shape in (None, "linear"), f"it has no {discrete.shape} rise")
    return _CLASSES[family](discrete)


def _cosine(discrete: Discretized) -> tuple[str, dict[str, object]]:
    arguments: dict[str, object] = {"initial_learning_rate": discrete.start, "decay_steps": discrete.body}
    warm = {"warmup_target": discrete.top, "warmup_steps": discrete.rise} if discrete.rise else {}
    return "CosineDecay", {**arguments, "alpha": discrete.end / discrete.top, **warm}


def _polynomial(discrete: Discretized) -> tuple[str, dict[str, object]]:
    power = discrete.parameter("power") if discrete.schedule.family == "polynomial" else 1.0
    arguments: dict[str, object] = {"initial_learning_rate": discrete.top, "decay_steps": discrete.body}
    return "PolynomialDecay", {**arguments, "end_learning_rate": discrete.end, "power": power}


def _exponential(discrete: Discretized) -> tuple[str, dict[str, object]]:
    arguments: dict[str, object] = {"initial_learning_rate": discrete.top, "decay_steps": discrete.body}
    return "ExponentialDecay", {**arguments, "decay_rate": discrete.end / discrete.top}


def _inverse_time(discrete: Discretized) -> tuple[str, dict[str, object]]:
    arguments: dict[str, object] = {"initial_learning_rate": discrete.top, "decay_steps": discrete.body}
    return "InverseTimeDecay", {**arguments, "decay_rate": discrete.top / discrete.end - 1}


def _stepwise(discrete: Discretized) -> tuple[str, dict[str, object]]:
    steps, factor = discrete.drops()
    # A boundary is the last step before the drop.
    values = [discrete.top * factor**k for k in range(len(steps) + 1)]
    return "PiecewiseConstantDecay", {"boundaries": [step - 1 for step in steps], "values": values}


_CLASSES: Mapping[str, Callable[[Discretized], tuple[str, dict[str, object]]]] = {
    "cosine": _cosine,
    "linear": _polynomial,
    "polynomial": _polynomial,
    "exponential": _exponential,
    "inverse_time": _inverse_time,
    "step": _stepwise,
    "multistep": _stepwise,
}


def by_step(schedule: Schedule, horizon_steps: int, reason: str) -> tuple[str, bool, str]:
    """Code that looks up rates, whether it has the rate of every step, and a note."""
    whole = horizon_steps <= MAX_TABLE_STEPS
    points = horizon_steps if whole else MAX_TABLE_STEPS
    note = TABLE_NOTE.format(reason=reason)
    cycled = schedule.momentum_levels is not None
    if cycled:
        note += MOMENTUM_NOTE
    if not whole:
        note += f" It keeps {points} points of the horizon and takes the nearest one before."
    lines = [
        header(schedule, horizon_steps, MOMENTUM_USAGE if cycled else USAGE),
        "import math\n\nimport keras\n\n",
        functions(schedule, horizon_steps) + "\n",
        _class_code(horizon_steps, points),
    ]
    return "\n".join(lines) + (MOMENTUM if cycled else ""), whole, note


def _class_code(horizon_steps: int, points: int) -> str:
    last, gaps = horizon_steps - 1, points - 1
    place = "place" if points == horizon_steps else f"place * ({gaps} / {last})"
    step = "step" if points == horizon_steps else f"step * ({last} / {gaps})"
    return f"""@keras.saving.register_keras_serializable(package="lehr")
class ByStep(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self):
        self.rates = keras.ops.convert_to_tensor([lr_at({step}) for step in range({points})], "float32")

    def __call__(self, step):
        place = keras.ops.minimum(keras.ops.cast(step, "int32"), {last})
        return keras.ops.take(self.rates, keras.ops.cast({place}, "int32"))

    def get_config(self):
        return {{}}


schedule = ByStep()
"""
