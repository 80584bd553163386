"""The three classifiers of images: mlp, cnn, and a small residual network.

They use strides and means instead of max pooling, whose gradient is not deterministic on CUDA.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from workers.tasks.activations import ACTIVATIONS
from workers.tasks.images.imageset import Shape
from workers.tasks.images.params import ImagesParams


def build_model(params: ImagesParams, shape: Shape) -> nn.Module:
    """images: (batch, channels, side, side) -> logits: (batch, classes)"""
    activation = ACTIVATIONS[params.activation]
    if params.model == "mlp":
        return nn.Sequential(nn.Flatten(), *_head(shape.channels * shape.side**2, params.hidden, shape, activation))
    model = _cnn(params, shape, activation) if params.model == "cnn" else ResNet(params.width, shape, activation)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _cnn(params: ImagesParams, shape: Shape, activation: type[nn.Module]) -> nn.Module:
    width = params.width
    side = math.ceil(shape.side / 4)
    return nn.Sequential(
        nn.Conv2d(shape.channels, width, kernel_size=3, padding=1),
        activation(),
        nn.Conv2d(width, 2 * width, kernel_size=3, stride=2, padding=1),
        activation(),
        nn.Conv2d(2 * width, 2 * width, kernel_size=3, stride=2, padding=1),
        activation(),
        nn.Flatten(),
        *_head(2 * width * side**2, params.hidden, shape, activation),
    )


def _head(features: int, hidden: int, shape: Shape, activation: type[nn.Module]) -> list[nn.Module]:
    return [nn.Linear(features, hidden), activation(), nn.Linear(hidden, shape.classes)]


class ResNet(nn.Module):
    """Seven 3x3 convolutions with batch normalisation, in three stages that halve the side: w, 2w, 4w, 4w channels.

    Similar to K. Jordan's airbench (arXiv:2404.00498) and D. Page's ResNet-9: shallow and wide, with convolutions
    initialized as the identity as far as the numbers of channels allow.
    """

    def __init__(self, width: int, shape: Shape, activation: type[nn.Module]) -> None:
        super().__init__()
        self.stem = _convolution(shape.channels, width, 1, activation)
        self.stages = nn.Sequential(
            _Stage(width, 2 * width, activation),
            _Stage(2 * width, 4 * width, activation),
            _Stage(4 * width, 4 * width, activation),
        )
        self.classifier = nn.Linear(4 * width, shape.classes)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.stages(self.stem(images))
        logits: Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits


class _Stage(nn.Module):
    def __init__(self, inward: int, outward: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.shrink = _convolution(inward, outward, 2, activation)
        self.residual = _convolution(outward, outward, 1, activation)

    def forward(self, features: Tensor) -> Tensor:
        features = self.shrink(features)
        residual: Tensor = self.residual(features)
        return features + residual


def _convolution(inward: int, outward: int, stride: int, activation: type[nn.Module]) -> nn.Sequential:
    convolution = nn.Conv2d(inward, outward, kernel_size=3, stride=stride, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(convolution.weight[: min(inward, outward)])
    return nn.Sequential(convolution, nn.BatchNorm2d(outward), activation())
