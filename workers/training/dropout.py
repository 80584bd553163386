"""Dropout for cohorts: each member's masks come from its own random generator.

Random draws inside vmap come from one stream for the whole cohort, so a member's noise would depend on the other
members. Therefore the masks are drawn before the step, from the generators of the members, in the order and with the
draws of torch's own dropout, and the model reads them from a tape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(slots=True)
class Tape:
    """The dropout calls of one forward pass, in order. With `masks` None, records their shapes in `sites` instead."""

    sites: list[tuple[float, torch.Size]] = field(default_factory=list)
    masks: Sequence[Tensor] | None = None
    position: int = 0

    def rewind(self, masks: Sequence[Tensor] | None) -> None:
        self.masks = masks
        self.position = 0
        if masks is None:
            self.sites = []

    def apply_next(self, inputs: Tensor, rate: float) -> Tensor:
        if self.masks is None:
            self.sites.append((rate, inputs.shape))
            return inputs
        mask = self.masks[self.position]
        self.position += 1
        return inputs * mask


class TapedDropout(nn.Module):
    """`nn.Dropout` that reads its mask from a tape."""

    def __init__(self, rate: float, tape: Tape) -> None:
        super().__init__()
        self.rate = rate
        self._tape = tape

    def forward(self, inputs: Tensor) -> Tensor:
        return self._tape.apply_next(inputs, self.rate) if self.training and self.rate > 0 else inputs


class DrawnDropout(nn.Module):
    """`nn.Dropout` that draws as `draw_masks` does, from the device's default generator.

    Torch's own dropout draws the same on a CPU, but not on other devices, where it has a different kernel.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training or self.rate <= 0:
            return inputs
        mask = torch.empty(inputs.shape, device=inputs.device).bernoulli_(1 - self.rate)
        return inputs * (mask.div_(1 - self.rate) if self.rate < 1 else mask)


def tape_dropouts(model: nn.Module, tape: Tape) -> bool:
    """Replace the model's dropout layers. Returns whether any of them has a rate above 0."""
    rates = _replace_dropouts(model, lambda rate: TapedDropout(rate, tape))
    return any(rate > 0 for rate in rates)


def draw_dropouts(model: nn.Module) -> None:
    """Replace the model's dropout layers by ones that draw what a cohort draws on the same device."""
    _replace_dropouts(model, DrawnDropout)


def _replace_dropouts(model: nn.Module, make: Callable[[float], nn.Module]) -> list[float]:
    """Replace dropout layers and return their rates. A layer used in several places stays a single layer."""
    made = {module: make(module.p) for module in model.modules() if type(module) is nn.Dropout}
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                setattr(parent, name, made[child])
    return [dropout.p for dropout in made]


def draw_masks(
    sites: Sequence[tuple[float, torch.Size]], generators: Sequence[torch.Generator], device: torch.device
) -> list[Tensor]:
    """A mask (members, *shape) for each site: 0 where dropped, else the factor that keeps the mean."""
    masks = []
    for rate, shape in sites:
        mask = torch.empty((len(generators), *shape), device=device)
        for row, generator in zip(mask, generators, strict=True):
            row.bernoulli_(1 - rate, generator=generator)
        # At a rate of 1 everything is dropped, and there is no mean to keep.
        masks.append(mask.div_(1 - rate) if rate < 1 else mask)
    return masks
