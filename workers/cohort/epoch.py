"""One epoch of a cohort: in which order each member sees the data, and at which rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.cohort.member import Member
from workers.cohort.updates import Update
from workers.randomness import generator
from workers.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Epoch:
    """Of the members in order; made at any position, and whole all the same.

    order: (members, train_size); draws: (members, train_size, ...) or None; coefficients: (steps, of them,
    members, 1); first_steps: (members,), the step at which each member's epoch began.
    """

    order: Tensor
    draws: Tensor | None
    coefficients: Tensor
    first_steps: Tensor

    def batch(self, position: int, size: int) -> Tensor:
        """Indices of the step's examples: (members, batch). The last batch may be smaller."""
        return self.order[:, position * size : (position + 1) * size]

    def rows(self, places: Tensor) -> Epoch:
        """What is left of it for these members."""
        return Epoch(
            self.order[places],
            None if self.draws is None else self.draws[places],
            self.coefficients[:, :, places],
            self.first_steps[places],
        )


def begin_epoch(
    task: Task, members: Sequence[Member], updates: Tensor, update: Update, *, train_size: int, device: torch.device
) -> Epoch:
    """updates: (members,), the optimizer's so far. Everything is drawn and computed on the CPU, as alone."""
    steps = task.params.steps_per_epoch(train_size)
    epochs = [member.step // steps for member in members]
    order = [
        torch.randperm(train_size, generator=generator("order", member.seed, epoch))
        for member, epoch in zip(members, epochs, strict=True)
    ]
    draws = [task.draws(train_size, member.seed, epoch) for member, epoch in zip(members, epochs, strict=True)]
    return Epoch(
        torch.stack(order).to(device),
        None if draws[0] is None else torch.stack([drawn for drawn in draws if drawn is not None]).to(device),
        _coefficients(task, members, updates, update, steps).to(device),
        torch.tensor([epoch * steps for epoch in epochs]).to(device),
    )


def _coefficients(task: Task, members: Sequence[Member], updates: Tensor, update: Update, steps: int) -> Tensor:
    usual = task.params.resolved_momentum
    lr = torch.zeros(steps, len(members), dtype=torch.float64)
    momentum = torch.full_like(lr, usual)
    counts = torch.zeros_like(lr)
    for place, member in enumerate(members):
        position = member.step % steps
        rates, cycled = member.rates.ahead(member.step - position, steps)
        lr[:, place] = torch.from_numpy(rates)
        if cycled is not None:
            momentum[:, place] = torch.from_numpy(cycled)
        counts[:, place] = updates[place] + torch.arange(1 - position, steps + 1 - position)
    columns = update.coefficients(lr, momentum, counts.clamp_(min=1))
    return torch.stack(columns, dim=1).unsqueeze(-1).float()
