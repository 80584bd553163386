"""A task that cannot be fused, and whose processes train either independently or only one at a time."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from workers.tasks.public import Task, TensorData, TrainingParams

STEP_SECONDS = 0.02


class SlowParams(TrainingParams):
    turnstile: str = ""
    fails: bool = False


class Branching(nn.Module):
    """A model that branches on its values, which vmap cannot do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(1, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.inner(inputs)
        return outputs if outputs.sum() < 1e9 else outputs.detach()


class Slow(Task):
    """Linear regression with two slow steps per epoch. With a file as `turnstile`, one process steps at a time."""

    name = "test.slow"
    params_model = SlowParams
    params: SlowParams

    def data(self, device: torch.device) -> TensorData:
        if self.params.fails:
            raise ValueError("no such data")
        inputs = torch.linspace(-1, 1, 50).unsqueeze(1)
        return TensorData(inputs[:40], 2 * inputs[:40], inputs[40:], 2 * inputs[40:])

    def build_model(self) -> nn.Module:
        return Branching()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if outputs.requires_grad:
            self._wait()
        return ((outputs - targets) ** 2).mean()

    def _wait(self) -> None:
        if not self.params.turnstile:
            time.sleep(STEP_SECONDS)
            return
        with Path(self.params.turnstile).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            time.sleep(STEP_SECONDS)
