"""Builds the torch.optim optimizers that tasks name."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn, optim

from workers.tasks.params import TrainingParams

ADAM_BETA2 = 0.999


def build_optimizer(weights: Iterable[nn.Parameter], params: TrainingParams, lr: float) -> optim.Optimizer:
    """`lr`: the rate of the first step; the trainer sets the rate before every step."""
    momentum, decay = params.resolved_momentum, params.weight_decay
    match params.optimizer:
        case "sgd":
            return optim.SGD(weights, lr=lr, momentum=momentum, weight_decay=decay)
        case "nesterov":
            # torch refuses Nesterov momentum of 0, which is plain SGD.
            return optim.SGD(weights, lr=lr, momentum=momentum, weight_decay=decay, nesterov=momentum > 0)
        case "adam":
            return optim.Adam(weights, lr=lr, betas=(momentum, ADAM_BETA2), weight_decay=decay)
        case "adamw":
            return optim.AdamW(weights, lr=lr, betas=(momentum, ADAM_BETA2), weight_decay=decay)
        case "rmsprop":
            return optim.RMSprop(weights, lr=lr, momentum=momentum, weight_decay=decay)


def set_rates(optimizer: optim.Optimizer, lr: float, momentum: float | None) -> None:
    """Set the next step's rate and, unless None, its momentum (beta1 if the optimizer has betas)."""
    for group in optimizer.param_groups:
        group["lr"] = lr
        if momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum
