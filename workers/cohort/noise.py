"""Dropout whose masks come from each member's own generator.

Random draws inside vmap would come from one stream for the whole cohort, so that a member's noise
would depend on its neighbours. So the masks are drawn before the step, from the generators of the
members, in the order and with the draws of torch's own dropout, and the model reads them off a tape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(slots=True)
class Tape:
    """What the model's dropouts meet in one forward pass, in order. `masks` None: take down the shapes."""

    sites: list[tuple[float, torch.Size]] = field(default_factory=list)
    masks: Sequence[Tensor] | None = None
    position: int = 0

    def rewind(self, masks: Sequence[Tensor] | None) -> None:
        self.masks = masks
        self.position = 0
        if masks is None:
            self.sites = []

    def shown(self, inputs: Tensor, rate: float) -> Tensor:
        if self.masks is None:
            self.sites.append((rate, inputs.shape))
            return inputs
        mask = self.masks[self.position]
        self.position += 1
        return inputs * mask


class TapedDropout(nn.Module):
    """`nn.Dropout` that reads its mask off a tape."""

    def __init__(self, rate: float, tape: Tape) -> None:
        super().__init__()
        self.rate = rate
        self._tape = tape

    def forward(self, inputs: Tensor) -> Tensor:
        return self._tape.shown(inputs, self.rate) if self.training and self.rate > 0 else inputs


def tape_dropouts(model: nn.Module, tape: Tape) -> bool:
    """Replace the model's dropouts; tell whether any of them drops something."""
    taped = {module: TapedDropout(module.p, tape) for module in model.modules() if type(module) is nn.Dropout}
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                setattr(parent, name, taped[child])
    return any(dropout.rate > 0 for dropout in taped.values())


def draw_masks(
    sites: Sequence[tuple[float, torch.Size]], generators: Sequence[torch.Generator], device: torch.device
) -> list[Tensor]:
    """For each site a mask (members, *shape): 0 where dropped, else what keeps the mean."""
    masks = []
    for rate, shape in sites:
        mask = torch.empty((len(generators), *shape), device=device)
        for row, generator in zip(mask, generators, strict=True):
            row.bernoulli_(1 - rate, generator=generator)
        # All are dropped at a rate of 1, where there is no mean to keep.
        masks.append(mask.div_(1 - rate) if rate < 1 else mask)
    return masks
