"""Named random generators, each derived from a seed.

Names in use: `split` (a task's data), `init` (a model's initial weights), `order` (an epoch's permutation), `crop` and
`flip` (image augmentation) and `noise` (draws of a model in training, such as dropout).
"""

from __future__ import annotations

import hashlib

import torch


def derived_seed(name: str, *seeds: int) -> int:
    """A seed in [0, 2**63), different for every name and every tuple of seeds."""
    digest = hashlib.sha256(f"{name}:{':'.join(map(str, seeds))}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(name: str, *seeds: int) -> torch.Generator:
    """A generator on the CPU, so that every device gets the same draws."""
    return torch.Generator().manual_seed(derived_seed(name, *seeds))
