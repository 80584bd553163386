"""The published rules for how the best learning rate changes with the horizon, the batch size and the width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lehr.wire.transfer import BatchRule, HorizonRule, Optimizer, WidthRule

ADAPTIVE: tuple[Optimizer, ...] = ("adam", "adamw", "rmsprop")
TOKEN_EXPONENT = 0.32


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: the factor for every rate at r = target / origin, its source, and its assumptions."""

    formula: str
    factor: Callable[[float], float]
    source: str
    rests_on: str


UNCHANGED = Rule(
    "lr' = lr",
    lambda ratio: 1.0,
    "lehr: schedules are functions of progress",
    "that the best rate does not change; the shape is stretched over the new horizon",
)

BATCH: dict[BatchRule, Rule] = {
    "linear": Rule(
        "lr' = lr B'/B",
        lambda ratio: ratio,
        "Goyal et al., Accurate, large minibatch SGD, 2017, arXiv 1706.02677",
        "SGD for the same number of epochs, batches well below the critical size, and a warm-up over the first epochs",
    ),
    "square_root": Rule(
        "lr' = lr sqrt(B'/B)",
        lambda ratio: ratio**0.5,
        "Malladi et al., On the SDEs and scaling rules for adaptive gradient algorithms, 2022, arXiv 2205.10287",
        "an adaptive optimizer with noise-dominated gradients, the same number of epochs, and rescaled betas",
    ),
    "unchanged": UNCHANGED,
}

HORIZON: dict[HorizonRule, Rule] = {
    "unchanged": UNCHANGED,
    "power": Rule(
        "lr' = lr (T'/T)^-0.32",
        lambda ratio: ratio**-TOKEN_EXPONENT,
        "Bjorck et al., Scaling optimal LR across token horizons, ICLR 2025, arXiv 2409.19913",
        "AdamW, a cosine schedule, and language models that see each token once",
    ),
    "inverse_square_root": Rule(
        "lr' = lr sqrt(T/T')",
        lambda ratio: ratio**-0.5,
        "Nemirovski et al., Robust stochastic approximation approach to stochastic programming, 2009",
        "the bound for convex losses with bounded gradients, which neural networks satisfy only approximately",
    ),
}

WIDTH: dict[WidthRule, Rule] = {
    "standard": Rule(
        "lr' = lr n/n'",
        lambda ratio: 1 / ratio,
        "Yang and Hu, Feature learning in infinite-width neural networks, 2021, arXiv 2011.14522",
        "standard initialisation with one rate for all weights: the largest stable rate falls as 1/width",
    ),
    "mup": Rule(
        "lr' = lr n/n' (Adam) or lr (SGD), of hidden weights",
        lambda ratio: 1 / ratio,
        "Yang et al., Tensor programs V, 2022, arXiv 2203.03466, table 3",
        "a model in the maximal update parametrisation at both widths, with a separate rate for each group of weights",
    ),
    "unchanged": UNCHANGED,
}


def default_batch_rule(optimizer: Optimizer) -> BatchRule:
    return "square_root" if optimizer in ADAPTIVE else "linear"


def default_horizon_rule(optimizer: Optimizer) -> HorizonRule:
    """The default rule. There is a published exponent only for Adam."""
    return "power" if optimizer in ("adam", "adamw") else "unchanged"


def mup_groups(optimizer: Optimizer, ratio: float) -> dict[str, float]:
    """The factor for the rate of each group of weights under muP, at r = target / origin width (its table 3)."""
    if optimizer in ADAPTIVE:
        return {"input_and_biases": 1.0, "hidden": 1 / ratio, "output": 1 / ratio}
    return {"input_and_biases": ratio, "hidden": 1.0, "output": 1 / ratio}
