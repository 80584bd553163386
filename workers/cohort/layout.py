"""Where each of a model's weights lies in a row of numbers.

A cohort keeps its weights as one matrix (members, numbers): an optimizer's update is then a few
operations, however many layers the model has, and a member that leaves is a row less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Layout:
    """Of one model's trained parameters, in the order of `parameters()`, which is the optimizer's too."""

    def __init__(self, model: nn.Module) -> None:
        trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.names = tuple(trained)
        self.shapes = tuple(tuple(weight.shape) for weight in trained.values())
        self.sizes = tuple(math.prod(shape) for shape in self.shapes)

    def row(self, weights: Iterable[Tensor]) -> Tensor:
        """The weights, in the layout's order, as (numbers,)."""
        return torch.cat([weight.detach().reshape(-1) for weight in weights])

    def stacked(self, rows: Tensor) -> dict[str, Tensor]:
        """Views of rows (members, numbers): each weight as (members, *shape), by name."""
        pieces = rows.split(self.sizes, dim=1)
        return {
            name: piece.unflatten(1, shape) if shape else piece.squeeze(1)
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }

    def weights(self, row: Tensor) -> dict[str, Tensor]:
        """Copies of a member's weights, by name. row: (numbers,)"""
        pieces = row.detach().split(self.sizes)
        return {
            name: piece.reshape(shape).clone()
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }
