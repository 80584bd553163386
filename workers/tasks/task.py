"""What a task gives: model, data, loss and metrics. How it is trained is the trainer's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from lehr.wire.data import DataSummary
from lehr.wire.trials import Fold
from workers.tasks.files import DEFAULT_DATA_DIR
from workers.tasks.params import PrecisionName, TrainingParams


@dataclass(frozen=True, slots=True)
class TensorData:
    """A data set that lies on the device: inputs (n, ...) and targets (n, ...), split once."""

    train_inputs: Tensor
    train_targets: Tensor
    val_inputs: Tensor
    val_targets: Tensor

    @property
    def train_size(self) -> int:
        return len(self.train_targets)

    def to(self, device: torch.device) -> Self:
        tensors = (self.train_inputs, self.train_targets, self.val_inputs, self.val_targets)
        return type(self)(*(tensor.to(device) for tensor in tensors))


class Task(ABC):
    """A model with its data, ready to be trained with any schedule and seed.

    A subclass names the model of its parameters and the metrics it reports: `val_loss`, which the
    trainer computes from `loss`, and what `measure` returns. Studies know it by `name`; a task of
    another package needs none, for its entry point names it.
    """

    name: ClassVar[str] = ""
    params_model: ClassVar[type[TrainingParams]] = TrainingParams
    metrics: ClassVar[tuple[str, ...]] = ("val_loss",)
    evaluation_batch: ClassVar[int] = 4096
    """Validation examples per forward pass: bounds memory, not the result."""
    supports_folds: ClassVar[bool] = False
    """Whether `data` holds out the fold that `fold` names, where it names one."""
    params: TrainingParams
    fold: Fold | None = None
    """Which part of the data a trial validates on; set before `data` is asked for. None: the task's own split."""
    data_dir: Path = DEFAULT_DATA_DIR
    """The folder of data sets that the worker's operator chose; set before `data` is asked for."""

    def __init__(self, params: TrainingParams) -> None:
        self.params = params

    @property
    def precision(self) -> PrecisionName:
        """In which numbers the model computes: what the trainer asks of the device before it trains."""
        return "fp32"

    @abstractmethod
    def data(self, device: torch.device) -> TensorData:
        """The data, the same for every trial of these parameters and this fold."""

    def summary(self) -> DataSummary | None:
        """What was made of the data, for people; asked for after `data`. None: nothing to tell."""
        return None

    @abstractmethod
    def build_model(self) -> nn.Module:
        """A fresh model on the CPU; its weights are drawn from torch's global generator, which the trainer seeds."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""

    def measure(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        """Metrics over the whole validation set besides `val_loss`, each a scalar."""
        return {}

    def draws(self, train_size: int, seed: int, epoch: int) -> Tensor | None:
        """What `augment` needs in an epoch: (train_size, ...), one row for each training example; None: nothing.

        Drawn on the CPU from named generators of `seed` (the trial's) and `epoch` (0-based) alone, so that
        every device sees the same draws and a resumed run needs no memory of them.
        """
        return None

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """A batch's inputs as the model shall see them; `draws` holds the rows of these examples."""
        return inputs

    def evaluate(self, model: nn.Module, data: TensorData) -> Mapping[str, Tensor]:
        """Every metric over the whole validation set. The model is in evaluation mode, without gradients."""
        outputs = torch.cat([model(inputs) for inputs in data.val_inputs.split(self.evaluation_batch)])
        return {"val_loss": self.loss(outputs, data.val_targets), **self.measure(outputs, data.val_targets)}

    def horizon_steps(self, data: TensorData, fraction: float) -> int:
        return self.params.horizon_steps(data.train_size, fraction)
