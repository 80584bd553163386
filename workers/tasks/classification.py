"""What every task that names classes shares: its loss and its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from workers.tasks.task import Task


class Classification(Task):
    """Cross entropy of logits (n, classes) against labels (n,), and the share of labels that come first."""

    metrics: ClassVar[tuple[str, ...]] = ("val_loss", "val_accuracy")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets)

    def measure(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        return {"val_accuracy": share_right(outputs, targets)}


def share_right(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of examples whose label has the highest logit, in [0, 1]."""
    # Divided on the CPU: MPS has no doubles, and a share of 360 images deserves all its digits.
    right = (outputs.argmax(dim=1) == targets).sum().cpu()
    return right.double() / len(targets)
