"""The optimizers of torch.optim as updates of many rows of weights, each row with its own rates.

`p`: weights, `g`: gradients, both (members, numbers). Everything that differs between members and steps is passed as
coefficients: columns (members, 1), computed in double precision on the CPU for a whole epoch, so that a step neither
computes with Python numbers nor waits for the device.
Sources: torch.optim.SGD, Adam, AdamW and RMSprop, whose results these match to within rounding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from workers.tasks.params import TrainingParams
from workers.training.optimizers import ADAM_BETA2

ADAM_EPSILON = 1e-8
RMSPROP_ALPHA = 0.99
RMSPROP_EPSILON = 1e-8


class Update(ABC):
    """An optimizer. `slots`: torch's names of its state for each weight, which is zero at first."""

    slots: ClassVar[tuple[str, ...]]
    counts_steps: ClassVar[bool] = True

    def __init__(self, params: TrainingParams) -> None:
        self._decay = params.weight_decay

    @abstractmethod
    def coefficients(self, lr: Tensor, momentum: Tensor, step: Tensor) -> list[Tensor]:
        """The coefficients for `apply`. All tensors: (steps, members), double; step counts from 1."""

    @abstractmethod
    def apply(self, p: Tensor, g: Tensor, state: Mapping[str, Tensor], coefficients: Tensor) -> None:
        """Update p and state in place; g may be overwritten. coefficients: (coefficients, members, 1)."""

    def _with_penalty(self, p: Tensor, g: Tensor) -> Tensor:
        return g.add_(p, alpha=self._decay) if self._decay else g


class Sgd(Update):
    """b = mu b + g; p -= lr b, or with Nesterov's momentum p -= lr (g + mu b)."""

    slots = ("momentum_buffer",)
    counts_steps = False

    def __init__(self, params: TrainingParams) -> None:
        super().__init__(params)
        self._nesterov = params.optimizer == "nesterov" and params.resolved_momentum > 0

    def coefficients(self, lr: Tensor, momentum: Tensor, step: Tensor) -> list[Tensor]:
        return [-lr, momentum]

    def apply(self, p: Tensor, g: Tensor, state: Mapping[str, Tensor], coefficients: Tensor) -> None:
        minus_lr, mu = coefficients
        g = self._with_penalty(p, g)
        buffer = state["momentum_buffer"]
        torch.addcmul(g, buffer, mu, out=buffer)
        p.addcmul_(torch.addcmul(g, buffer, mu) if self._nesterov else buffer, minus_lr)


class Adam(Update):
    """m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g²; p -= lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)."""

    slots = ("exp_avg", "exp_avg_sq")

    def __init__(self, params: TrainingParams) -> None:
        super().__init__(params)
        self._decoupled = params.optimizer == "adamw"

    def coefficients(self, lr: Tensor, momentum: Tensor, step: Tensor) -> list[Tensor]:
        corrected = -lr / (1 - momentum**step)
        root = 1 / torch.sqrt(1 - torch.tensor(ADAM_BETA2, dtype=lr.dtype) ** step)
        return [corrected, 1 - momentum, root, 1 - lr * self._decay]

    def apply(self, p: Tensor, g: Tensor, state: Mapping[str, Tensor], coefficients: Tensor) -> None:
        corrected, one_minus_beta1, root, kept = coefficients
        if self._decoupled:
            if self._decay:
                p.mul_(kept)
        else:
            g = self._with_penalty(p, g)
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m.lerp_(g, one_minus_beta1)
        v.mul_(ADAM_BETA2).addcmul_(g, g, value=1 - ADAM_BETA2)
        # In torch's order, (lr m) / d, since at extreme rates the order decides which number overflows first.
        p.addcdiv_(m * corrected, v.sqrt().mul_(root).add_(ADAM_EPSILON))


class RmsProp(Update):
    """v = a v + (1 - a) g²; b = mu b + g / (sqrt(v) + eps); p -= lr b."""

    slots = ("square_avg", "momentum_buffer")

    def coefficients(self, lr: Tensor, momentum: Tensor, step: Tensor) -> list[Tensor]:
        return [-lr, momentum]

    def apply(self, p: Tensor, g: Tensor, state: Mapping[str, Tensor], coefficients: Tensor) -> None:
        minus_lr, mu = coefficients
        g = self._with_penalty(p, g)
        v, buffer = state["square_avg"], state["momentum_buffer"]
        v.mul_(RMSPROP_ALPHA).addcmul_(g, g, value=1 - RMSPROP_ALPHA)
        scaled = torch.div(g, v.sqrt().add_(RMSPROP_EPSILON))
        torch.addcmul(scaled, buffer, mu, out=buffer)
        p.addcmul_(buffer, minus_lr)


def build_update(params: TrainingParams) -> Update:
    if params.optimizer in ("sgd", "nesterov"):
        return Sgd(params)
    return RmsProp(params) if params.optimizer == "rmsprop" else Adam(params)


def clip_rows(g: Tensor, bound: float) -> Tensor:
    """Clip each member's gradient norm in place, as torch.nn.utils.clip_grad_norm_ does. g: (members, numbers)."""
    norms = torch.linalg.vector_norm(g, dim=1, keepdim=True)
    return g.mul_((bound / (norms + 1e-6)).clamp_(max=1.0))
