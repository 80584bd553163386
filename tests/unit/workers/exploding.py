"""A task whose loss grows with the fourth power of the rate, so that a rate of 1e30 takes it beyond 1e100."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lehr.schedules import Schedule, schedule_from_dict
from workers.tasks.params import TrainingParams
from workers.tasks.task import Task, TensorData

FINITE_BUT_LOST: Schedule = schedule_from_dict({"family": "constant", "start_lr": 1e30, "end_lr": 1e30})


class ExplodingTask(Task):
    name = "exploding"

    def __init__(self) -> None:
        super().__init__(TrainingParams(epochs=2, batch_size=4))

    def data(self, device: torch.device) -> TensorData:
        ones = torch.ones(4, 1, device=device)
        return TensorData(ones, ones, ones, ones)

    def build_model(self) -> nn.Module:
        return nn.Linear(1, 1)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.double() - targets.double()).pow(4).mean()
