"""One epoch of a cohort: each member's order of the data, random draws and rates, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.cohort.member import Member
from workers.cohort.updates import Update
from workers.tasks.randomness import generator
from workers.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Epoch:
    """The tables of a whole epoch, whatever the position at which they were made. Rows are members.

    batches: (steps - 1, members, batch size), indices of examples; last: (members, examples), those of the last batch,
    which may be smaller; draws: (members, train_size, ...) or None; coefficients: (steps, coefficients, members, 1),
    of the optimizer; first_steps: (members,), the step at which each member's epoch began; position: (1,), that of the
    next step.
    """

    batches: Tensor
    last: Tensor
    draws: Tensor | None
    coefficients: Tensor
    first_steps: Tensor
    position: Tensor

    def batch(self, *, last: bool) -> Tensor:
        """The indices of the next step's examples: (members, examples)."""
        return self.last if last else self.batches.index_select(0, self.position)[0]

    def rates(self) -> Tensor:
        """The next step's coefficients: (coefficients, members, 1)."""
        return self.coefficients.index_select(0, self.position)[0]

    def rows(self, places: Tensor) -> Epoch:
        """The tables of these members."""
        return Epoch(
            self.batches[:, places],
            self.last[places],
            None if self.draws is None else self.draws[places],
            self.coefficients[:, :, places],
            self.first_steps[places],
            self.position,
        )

    def copy_from(self, other: Epoch) -> None:
        """Copy the values of another epoch of the same members into this one's memory."""
        for own, new in zip(self.tensors(), other.tensors(), strict=True):
            own.copy_(new)

    def tensors(self) -> list[Tensor]:
        tables = [self.batches, self.last, self.coefficients, self.first_steps, self.position]
        return tables if self.draws is None else [*tables, self.draws]

    def to(self, device: torch.device) -> Epoch:
        draws = None if self.draws is None else self.draws.to(device)
        batches, last, coefficients, first_steps, position = (
            tensor.to(device)
            for tensor in (self.batches, self.last, self.coefficients, self.first_steps, self.position)
        )
        return Epoch(batches, last, draws, coefficients, first_steps, position)


def begin_epoch(task: Task, members: Sequence[Member], updates: Tensor, update: Update, *, train_size: int) -> Epoch:
    """Draw and compute an epoch on the CPU, as solo training does. updates: (members,), optimizer updates so far."""
    steps = task.params.steps_per_epoch(train_size)
    epochs = [member.step // steps for member in members]
    orders = [
        torch.randperm(train_size, generator=generator("order", member.seed, epoch))
        for member, epoch in zip(members, epochs, strict=True)
    ]
    draws = [task.draws(train_size, member.seed, epoch) for member, epoch in zip(members, epochs, strict=True)]
    order, size = torch.stack(orders), task.params.batch_size
    full = order[:, : (steps - 1) * size].unflatten(1, (steps - 1, size))
    return Epoch(
        full.transpose(0, 1).contiguous(),
        order[:, (steps - 1) * size :].contiguous(),
        None if draws[0] is None else torch.stack([own for own in draws if own is not None]),
        _coefficients(task, members, updates, update, steps),
        torch.tensor([epoch * steps for epoch in epochs]),
        torch.tensor([members[0].step % steps]),
    )


def _coefficients(task: Task, members: Sequence[Member], updates: Tensor, update: Update, steps: int) -> Tensor:
    lr = torch.zeros(steps, len(members), dtype=torch.float64)
    momentum = torch.full_like(lr, task.params.resolved_momentum)
    counts = torch.zeros_like(lr)
    for place, member in enumerate(members):
        position = member.step % steps
        rates, momenta = member.rates.ahead(member.step - position, steps)
        lr[:, place] = torch.from_numpy(rates)
        if momenta is not None:
            momentum[:, place] = torch.from_numpy(momenta)
        counts[:, place] = updates[place] + torch.arange(1 - position, steps + 1 - position)
    columns = update.coefficients(lr, momentum, counts.clamp_(min=1))
    return torch.stack(columns, dim=1).unsqueeze(-1).float()
