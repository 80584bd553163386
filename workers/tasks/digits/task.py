"""The task `digits`: classify scikit-learn's handwritten digits.

Data: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998 (its test set of 1,797 images, as shipped by sklearn.datasets.load_digits).
"""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lehr.wire.data import DataSummary
from workers.tasks.classification import Classification
from workers.tasks.digits.models import build_model
from workers.tasks.digits.params import DigitsParams
from workers.tasks.splitting import split, split_fold
from workers.tasks.summary import of_pictures
from workers.tasks.task import TensorData

BRIGHTEST = 16.0


class Digits(Classification):
    """Ten classes, 8x8 images with pixels 0 to 16, split into training and validation by a named seed."""

    name: ClassVar[str] = "digits"
    params_model = DigitsParams
    supports_folds: ClassVar[bool] = True

    def __init__(self, params: DigitsParams) -> None:
        self.params: DigitsParams = params

    def data(self, device: torch.device) -> TensorData:
        """Images (n, 1, 8, 8), centred and scaled by the training images' mean and deviation; labels (n,)."""
        images, labels = _load()
        if self.fold is None:
            train, val = split(len(labels), self.params.validation_fraction, self.params.split_seed)
        else:
            train, val = split_fold(labels.numpy(), self.fold, self.params.split_seed, stratified=True)
        deviation, mean = torch.std_mean(images[train])
        images = ((images - mean) / deviation).to(device)
        labels = labels.to(device)
        return TensorData(images[train], labels[train], images[val], labels[val])

    def summary(self) -> DataSummary:
        _, labels = _load()
        counts = enumerate(torch.bincount(labels).tolist())
        return of_pictures("scikit-learn's handwritten digits", {str(label): count for label, count in counts}, {})

    def build_model(self) -> nn.Module:
        return build_model(self.params)


@cache
def _load() -> tuple[Tensor, Tensor]:
    """images: (1797, 1, 8, 8) in [0, 1]; labels: (1797,)"""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / BRIGHTEST
    return images, torch.tensor(digits.target, dtype=torch.int64)
