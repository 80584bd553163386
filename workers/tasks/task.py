"""The interface of a task: model, data, loss and metrics. The trainer decides how it is trained."""

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
    """A data set on the device, split into training and validation: inputs (n, ...) and targets (n, ...)."""

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

    A subclass sets the class of its parameters, and the metrics it reports: `val_loss`, which is computed from `loss`,
    and those that `measure` returns. Studies use its `name`; a task of another package needs none, because its entry
    point names it.
    """

    name: ClassVar[str] = ""
    params_model: ClassVar[type[TrainingParams]] = TrainingParams
    metrics: ClassVar[tuple[str, ...]] = ("val_loss",)
    evaluation_batch: ClassVar[int] = 4096
    """Validation examples per forward pass. Limits memory and does not affect the result."""
    supports_folds: ClassVar[bool] = False
    """Whether `data` holds out `fold` if it is set."""
    params: TrainingParams
    fold: Fold | None = None
    """The fold that a trial validates on, set before `data` is called. None: the task's own split."""
    data_dir: Path = DEFAULT_DATA_DIR
    """The folder of data sets, chosen by the worker's operator, set before `data` is called."""

    def __init__(self, params: TrainingParams) -> None:
        self.params = params

    @property
    def precision(self) -> PrecisionName:
        """The precision of the model's computation, which the trainer sets before training."""
        return "fp32"

    @abstractmethod
    def data(self, device: torch.device) -> TensorData:
        """The data, which is the same for every trial with these parameters and this fold."""

    def summary(self) -> DataSummary | None:
        """How the task read its data, for users; called after `data`. None for no summary."""
        return None

    @classmethod
    def describes_data(cls) -> bool:
        """Whether the task overrides `summary`."""
        return cls.summary is not Task.summary

    def look(self) -> DataSummary | None:
        """Describe the data without a training, for users who ask before they post a study."""
        self.data(torch.device("cpu"))
        return self.summary()

    @abstractmethod
    def build_model(self) -> nn.Module:
        """A new model on the CPU, with weights drawn from torch's global generator, which the trainer seeds."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""

    def measure(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        """The metrics besides `val_loss` over the whole validation set, each a scalar."""
        return {}

    def draws(self, train_size: int, seed: int, epoch: int) -> Tensor | None:
        """Random draws for `augment` in an epoch: (train_size, ...), one row for each training example; None for none.

        They come from named generators on the CPU that depend only on `seed` (the trial's) and `epoch` (0-based), so
        every device gets the same draws, and a resumed run can draw them again.
        """
        return None

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """The augmented inputs of a batch. `draws`: the rows of these examples."""
        return inputs

    def evaluate(self, model: nn.Module, data: TensorData) -> Mapping[str, Tensor]:
        """All metrics over the whole validation set. Called in evaluation mode, without gradients."""
        outputs = torch.cat([model(inputs) for inputs in data.val_inputs.split(self.evaluation_batch)])
        return {"val_loss": self.loss(outputs, data.val_targets), **self.measure(outputs, data.val_targets)}

    def horizon_steps(self, data: TensorData, fraction: float) -> int:
        return self.params.horizon_steps(data.train_size, fraction)
