"""Maps the names of activation functions in task parameters to torch modules."""

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
