"""Maps a model's weights to a flat row of numbers and back.

A cohort keeps its weights as one matrix (members, numbers). An optimizer update then takes a few operations, however
many layers the model has, and removing a member removes a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Layout:
    """The layout of a model's trained parameters, in the order of `parameters()`, which the optimizer uses too."""

    def __init__(self, model: nn.Module) -> None:
        trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.names = tuple(trained)
        self.shapes = tuple(tuple(weight.shape) for weight in trained.values())
        self.sizes = tuple(math.prod(shape) for shape in self.shapes)

    def row(self, weights: Iterable[Tensor]) -> Tensor:
        """Flatten weights, given in the layout's order, to (numbers,)."""
        return torch.cat([weight.detach().reshape(-1) for weight in weights])

    def stacked(self, rows: Tensor) -> dict[str, Tensor]:
        """Views of rows (members, numbers) by name, each as (members, *shape)."""
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
