"""Activation functions by the names that tasks use."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from workers.tasks.params import ActivationName

ACTIVATIONS: Mapping[ActivationName, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
