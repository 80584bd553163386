"""The base class of classification tasks: loss and accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from workers.tasks.task import Task


class Classification(Task):
    """A task with cross-entropy loss of logits (n, classes) and labels (n,), which also reports accuracy."""

    metrics: ClassVar[tuple[str, ...]] = ("val_loss", "val_accuracy")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets)

    def measure(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        return {"val_accuracy": accuracy(outputs, targets)}


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of examples whose label has the highest logit, in [0, 1]."""
    # Divided on the CPU in double precision, which MPS does not have.
    correct = (outputs.argmax(dim=1) == targets).sum().cpu()
    return correct.double() / len(targets)
