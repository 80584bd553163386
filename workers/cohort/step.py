"""One training step of all members, as a fixed sequence of operations on device memory.

Everything that differs between steps (examples, rates, step numbers) is uploaded once for a whole epoch, and a counter
on the device selects the row. During a step the host reads, decides and passes nothing, so a step can be recorded once
and replayed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from workers.cohort.epoch import Epoch
from workers.cohort.model import FusedModel
from workers.cohort.stack import Stack
from workers.cohort.updates import Update, clip_rows
from workers.tasks.task import Task, TensorData


class FusedStep:
    """Gathers the batches, computes losses and gradients, updates the weights, and advances the counter."""

    def __init__(self, task: Task, data: TensorData, model: FusedModel, update: Update) -> None:
        self._task = task
        self._data = data
        self._model = model
        self._update = update

    def do(self, stack: Stack, epoch: Epoch, noise: Sequence[torch.Generator], *, last: bool) -> None:
        """Run the step at `epoch.position`, and update stack and position in place.

        `last`: whether it is the epoch's last step, whose batch may be smaller. noise: each member's generator.
        """
        batch = epoch.batch(last=last)
        inputs, targets = self._examples(batch, epoch.draws)
        losses, gradients = self._model.gradients(stack.weights, stack.buffers, inputs, targets, noise)
        stack.loss_sums.add_(losses, alpha=batch.shape[1])
        first = (stack.bad_steps < 0) & ~torch.isfinite(losses)
        torch.where(first, epoch.first_steps + epoch.position, stack.bad_steps, out=stack.bad_steps)
        if self._task.params.clip_norm is not None:
            gradients = clip_rows(gradients, self._task.params.clip_norm)
        self._update.apply(stack.weights, gradients, stack.slots, epoch.rates())
        epoch.position.add_(1)

    def _examples(self, batch: Tensor, draws: Tensor | None) -> tuple[Tensor, Tensor]:
        """Inputs and targets (members, batch, ...) for indices (members, batch)."""
        flat = batch.reshape(-1)
        inputs = self._data.train_inputs.index_select(0, flat)
        if draws is not None:
            members = torch.arange(len(batch), device=batch.device)
            inputs = self._task.augment(inputs, draws[members[:, None], batch].flatten(0, 1))
        targets = self._data.train_targets.index_select(0, flat)
        return inputs.unflatten(0, batch.shape), targets.unflatten(0, batch.shape)
