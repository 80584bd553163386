"""Exports a schedule as optax's own functions, or as its rates by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from lehr.schedules.base import Schedule
from lehr.schedules.families.piecewise import Piecewise
from lehr.schedules.portable.closed_form import MAX_TABLE_STEPS, functions
from lehr.schedules.portable.discretized import HELD, MAX_COUNT, Discretized, discretize, require, whole
from lehr.schedules.portable.torch_closed_form import header

USAGE = "optimizer = optax.sgd(schedule)        # or optax.adamw(schedule), …"
MOMENTUM_USAGE = "optimizer = optax.inject_hyperparams(optax.sgd)(learning_rate=schedule, momentum=momentum)"
NOTE = "optax's own {names}; jax computes in 32 bits unless jax_enable_x64 is set."
TABLE_NOTE = (
    "optax has no such schedule: {reason}. The code computes the rates by step from the formula, once, and looks them "
    "up; jax keeps them in 32 bits unless jax_enable_x64 is set."
)

Piece = tuple[int, str]
"""The length of a piece in steps, and the expression that creates it."""


def own(schedule: Schedule, horizon_steps: int) -> tuple[str, str]:
    """The code and a note. Raises CannotExpressError."""
    require(horizon_steps <= MAX_COUNT, f"it counts {MAX_COUNT} steps")
    discrete = discretize(schedule, horizon_steps)
    pieces = _body(discrete)
    if discrete.rise:
        pieces = [(discrete.rise, _rise(discrete)), *pieces]
    return _code(schedule, horizon_steps, pieces)


def _rise(discrete: Discretized) -> str:
    start, top, steps = discrete.start, discrete.top, discrete.rise
    if discrete.shape == "linear":
        return f"optax.linear_schedule({start!r}, {top!r}, {steps})"
    if discrete.shape == "exponential":
        return f"optax.exponential_decay({start!r}, {steps}, {top / start!r})"
    # A cosine rise is the cosine fall upside down.
    fall = f"optax.cosine_decay_schedule({top - start!r}, {steps})"
    return f"(lambda fall: lambda step: {top!r} - fall(step))({fall})" if top > start else _constant(top)


def _body(discrete: Discretized) -> list[Piece]:
    """The pieces after the rise."""
    require(discrete.schedule.family in _BODIES, f"it has no {discrete.schedule.family}")
    return _BODIES[discrete.schedule.family](discrete)


def _straight(discrete: Discretized) -> list[Piece]:
    return [(discrete.body, _fall(discrete.schedule.family, discrete.top, discrete.end, discrete.body))]


def _polynomial(discrete: Discretized) -> list[Piece]:
    return [(discrete.body, _powered(discrete, discrete.body))]


def _powered(discrete: Discretized, steps: int) -> str:
    return f"optax.polynomial_schedule({discrete.top!r}, {discrete.end!r}, {discrete.parameter('power')!r}, {steps})"


def _stepwise(discrete: Discretized) -> list[Piece]:
    steps, factor = discrete.drops()
    scales = {step - discrete.rise: factor for step in steps}
    return [(discrete.body, f"optax.piecewise_constant_schedule({discrete.top!r}, {scales!r})")]


def _restarts(discrete: Discretized) -> list[Piece]:
    cycles, decay = discrete.cycles(), discrete.parameter("cycle_decay")
    tops = [max(discrete.top * decay**k, discrete.end) for k in range(len(cycles))]
    return [(steps, _fall("cosine", top, discrete.end, steps)) for top, steps in zip(tops, cycles, strict=True)]


def _swings(discrete: Discretized) -> list[Piece]:
    shrinks = 2 if discrete.schedule.family == "triangular2" else 1
    pieces = []
    for leg, steps in enumerate(discrete.legs()):
        crest = discrete.end + (discrete.top - discrete.end) / shrinks ** ((leg + 1) // 2)
        first, last = (discrete.end, crest) if leg % 2 else (crest, discrete.end)
        pieces.append((steps, _fall("linear", first, last, steps)))
    return pieces


def _through_knots(discrete: Discretized) -> list[Piece]:
    schedule = discrete.schedule
    assert isinstance(schedule, Piecewise)
    require(schedule.interpolation == "linear", "it interpolates along straight lines and cosines only")
    at = [discrete.rise, *(whole(discrete.last * knot, "a piece") for knot in schedule.knots), discrete.last]
    rates = [discrete.top, *schedule.rates, discrete.end]
    return [
        (end - begin, _fall("linear", first, last, end - begin))
        for (begin, end), (first, last) in zip(pairwise(at), pairwise(rates), strict=True)
    ]


def _one_cycle(discrete: Discretized) -> list[Piece]:
    shape = discrete.choice("anneal")
    if discrete.choice("phases") == "two" or discrete.body == discrete.rise:
        return [(discrete.body, _fall(shape, discrete.top, discrete.end, discrete.body))]
    rest = discrete.body - discrete.rise
    back = (discrete.rise, _fall(shape, discrete.top, discrete.start, discrete.rise))
    require(discrete.start > 0 or discrete.end == 0, "its third phase rises")
    return [back, (rest, _constant(0.0) if discrete.start == 0 else _fall(shape, discrete.start, discrete.end, rest))]


def _stable(discrete: Discretized) -> list[Piece]:
    shape, steps = discrete.fall()
    if shape == "polynomial":
        fall = (steps, _powered(discrete, steps))
    else:
        fall = (steps, _fall(shape, discrete.top, discrete.end, steps))
    return [(discrete.body - steps, _constant(discrete.top)), fall] if discrete.body > steps else [fall]


_BODIES: Mapping[str, Callable[[Discretized], list[Piece]]] = {
    "constant": lambda discrete: [(discrete.body, _constant(discrete.top))],
    "linear": _straight,
    "cosine": _straight,
    "exponential": _straight,
    "polynomial": _polynomial,
    "step": _stepwise,
    "multistep": _stepwise,
    "cosine_restarts": _restarts,
    "triangular": _swings,
    "triangular2": _swings,
    "piecewise": _through_knots,
    "one_cycle": _one_cycle,
    **dict.fromkeys(HELD, _stable),
}


def _constant(rate: float) -> str:
    return f"optax.constant_schedule({rate!r})"


def _fall(shape: str, first: float, last: float, steps: int) -> str:
    if shape == "linear":
        return f"optax.linear_schedule({first!r}, {last!r}, {steps})"
    if shape == "cosine":
        return f"optax.cosine_decay_schedule({first!r}, {steps}, alpha={last / first!r})"
    require(shape == "exponential" and last > 0, f"it has no {shape} fall")
    return f"optax.exponential_decay({first!r}, {steps}, {last / first!r}, end_value={last!r})"


def _code(schedule: Schedule, horizon_steps: int, pieces: list[Piece]) -> tuple[str, str]:
    made = [text for _, text in pieces]
    names = dict.fromkeys(text[text.index("optax.") + 6 :].split("(")[0] for text in made)
    if len(made) == 1:
        expression = made[0]
    else:
        boundaries = [sum(steps for steps, _ in pieces[:k]) for k in range(1, len(pieces))]
        listed = "".join(f"\n        {text}," for text in made)
        expression = f"optax.join_schedules(\n    [{listed}\n    ],\n    {boundaries!r},\n)"
    lines = [header(schedule, horizon_steps, USAGE), "import optax\n", f"schedule = {expression}\n"]
    return "\n".join(lines), NOTE.format(names=" and ".join(names))


def by_step(schedule: Schedule, horizon_steps: int, reason: str) -> tuple[str, bool, str]:
    """Code that looks up rates, whether it has the rate of every step, and a note."""
    cycles = schedule.momentum_levels is not None
    names = {"lr_at": "schedule"} | ({"momentum_at": "momentum"} if cycles else {})
    whole = horizon_steps <= MAX_TABLE_STEPS
    lines = [
        header(schedule, horizon_steps, MOMENTUM_USAGE if cycles else USAGE),
        "import math\n\nimport jax.numpy as jnp\nimport numpy as np\n\n",
        functions(schedule, horizon_steps) + "\n",
        _lookup(horizon_steps) if whole else _interpolation(horizon_steps),
    ]
    lines += [f"{name} = by_step({function})" for function, name in names.items()]
    note = TABLE_NOTE.format(reason=reason)
    if not whole:
        note += f" Between {MAX_TABLE_STEPS} points of the horizon it draws straight lines."
    return "\n".join(lines) + "\n", whole, note


def _lookup(horizon_steps: int) -> str:
    return f"""def by_step(function):
    values = jnp.asarray(np.array([function(step) for step in range({horizon_steps})]))
    return lambda step: values[jnp.minimum(step, {horizon_steps - 1})]

"""


def _interpolation(horizon_steps: int) -> str:
    return f"""def by_step(function):
    steps = np.linspace(0, {horizon_steps - 1}, {MAX_TABLE_STEPS})
    values = np.array([function(step) for step in steps])
    return lambda step: jnp.interp(jnp.asarray(step, float), jnp.asarray(steps), jnp.asarray(values))

"""
