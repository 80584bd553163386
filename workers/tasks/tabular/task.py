"""The task `tabular`: predict one column of a table from the others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lehr.wire.data import DataSummary
from workers.tasks.classification import accuracy
from workers.tasks.files import Stamp
from workers.tasks.summary import of_table
from workers.tasks.tabular.encoding import Encoded, Question, class_counts, encode
from workers.tasks.tabular.models import build_model
from workers.tasks.tabular.params import TabularParams
from workers.tasks.tabular.sources import locate, read
from workers.tasks.tabular.table import Wanted
from workers.tasks.task import Task, TensorData


class Tabular(Task):
    """The loss is cross entropy for classes, and for numbers the squared error divided by the training rows' variance.

    `val_score` is the `score` of scikit-learn: accuracy, or R².
    """

    name: ClassVar[str] = "tabular"
    params_model = TabularParams
    supports_folds: ClassVar[bool] = True
    metrics: ClassVar[tuple[str, ...]] = ("val_loss", "val_score")

    def __init__(self, params: TabularParams) -> None:
        self.params: TabularParams = params

    def data(self, device: torch.device) -> TensorData:
        """Inputs (n, features); targets (n,). Raises MissingDataError and InvalidDataError."""
        encoded = self._encoded()
        tensors = (encoded.train_inputs, encoded.train_targets, encoded.val_inputs, encoded.val_targets)
        return TensorData(*(tensor.to(device) for tensor in tensors))

    def summary(self) -> DataSummary:
        return self._read()[1]

    def build_model(self) -> nn.Module:
        encoded = self._encoded()
        return build_model(self.params, encoded.train_inputs.shape[1], encoded.outputs)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if targets.is_floating_point():
            return functional.mse_loss(outputs.squeeze(1), targets)
        return functional.cross_entropy(outputs, targets)

    def measure(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        if not targets.is_floating_point():
            return {"val_score": accuracy(outputs, targets)}
        predicted, truth = outputs.squeeze(1).cpu().double(), targets.cpu().double()
        return {"val_score": 1 - (predicted - truth).square().sum() / (truth - truth.mean()).square().sum()}

    def _encoded(self) -> Encoded:
        return self._read()[0]

    def _read(self) -> tuple[Encoded, DataSummary]:
        params = self.params
        question = Question(params.goal, params.validation_fraction, params.split_seed, self.fold)
        return _read(params.file, locate(params.file, self.data_dir), params.wanted, question)


@lru_cache(maxsize=1)
def _read(file: str, files: Stamp, wanted: Wanted, question: Question) -> tuple[Encoded, DataSummary]:
    table = read(file, files, wanted)
    return encode(table, question), of_table(table, class_counts(table, question.goal))
