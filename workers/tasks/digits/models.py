"""The three classifiers of 8x8 images."""

from __future__ import annotations

from torch import nn

from workers.tasks.activations import ACTIVATIONS
from workers.tasks.digits.params import DigitsParams

SIDE = 8
CLASSES = 10
CHANNELS = (16, 32)


def build_model(params: DigitsParams) -> nn.Module:
    """images: (batch, 1, 8, 8) -> logits: (batch, 10)"""
    activation = ACTIVATIONS[params.activation]
    if params.model == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, CLASSES))
    if params.model == "mlp":
        return nn.Sequential(nn.Flatten(), *_head(SIDE * SIDE, params.hidden, activation))
    return _cnn(params.hidden, activation)


def _cnn(hidden: int, activation: type[nn.Module]) -> nn.Module:
    # Strides instead of max pooling, whose gradient is not deterministic on CUDA.
    first, second = CHANNELS
    return nn.Sequential(
        nn.Conv2d(1, first, kernel_size=3, padding=1),
        activation(),
        nn.Conv2d(first, second, kernel_size=3, stride=2, padding=1),
        activation(),
        nn.Flatten(),
        *_head(second * (SIDE // 2) ** 2, hidden, activation),
    )


def _head(features: int, hidden: int, activation: type[nn.Module]) -> list[nn.Module]:
    return [nn.Linear(features, hidden), activation(), nn.Linear(hidden, CLASSES)]
