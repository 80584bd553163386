"""Which examples are held out for validation."""

from __future__ import annotations

import torch
from torch import Tensor

from workers.randomness import generator


def split(size: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the training and of the validation examples, drawn by the seed: the same for every trial."""
    shuffled = torch.randperm(size, generator=generator("split", seed))
    held_out = round(fraction * size)
    return shuffled[held_out:], shuffled[:held_out]
