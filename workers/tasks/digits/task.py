"""The task `digits`: classify scikit-learn's handwritten digits.

Data: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998 (its test set of 1,797 images, as shipped by sklearn.datasets.load_digits).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import ClassVar

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from workers.randomness import generator
from workers.tasks.digits.models import build_model
from workers.tasks.digits.params import DigitsParams
from workers.tasks.task import Task, TensorData

BRIGHTEST = 16.0


class Digits(Task):
    """Ten classes, 8x8 images with pixels 0 to 16, split into training and validation by a named seed."""

    name: ClassVar[str] = "digits"
    params_model = DigitsParams
    metrics: ClassVar[tuple[str, ...]] = ("val_loss", "val_accuracy")

    def __init__(self, params: DigitsParams) -> None:
        self.params: DigitsParams = params

    def data(self, device: torch.device) -> TensorData:
        """Images (n, 1, 8, 8), centred and scaled by the training images' mean and deviation; labels (n,)."""
        images, labels = _load()
        shuffled = torch.randperm(len(labels), generator=generator("split", self.params.split_seed))
        held_out = round(self.params.validation_fraction * len(labels))
        val, train = shuffled[:held_out], shuffled[held_out:]
        deviation, mean = torch.std_mean(images[train])
        images = ((images - mean) / deviation).to(device)
        labels = labels.to(device)
        return TensorData(images[train], labels[train], images[val], labels[val])

    def build_model(self) -> nn.Module:
        return build_model(self.params)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets)

    def measure(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        # Divided on the CPU: MPS has no doubles, and a share of 360 images deserves all its digits.
        right = (outputs.argmax(dim=1) == targets).sum().cpu()
        return {"val_accuracy": right.double() / len(targets)}


@cache
def _load() -> tuple[Tensor, Tensor]:
    """images: (1797, 1, 8, 8) in [0, 1]; labels: (1797,)"""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / BRIGHTEST
    return images, torch.tensor(digits.target, dtype=torch.int64)
