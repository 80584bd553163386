"""One epoch of a cohort: in which order each member sees the data, and at which rates."""

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
    """Of the members in order, on the device; made at any position, and whole all the same.

    batches: (steps but the last, members, batch size) and last: (members, examples), indices of examples, the last
    batch being the epoch's rest; draws: (members, train_size, ...) or None; coefficients: (steps, of them, members, 1);
    first_steps: (members,), the step at which each member's epoch began; position: (1,), the next step's place.
    """

    batches: Tensor
    last: Tensor
    draws: Tensor | None
    coefficients: Tensor
    first_steps: Tensor
    position: Tensor

    def batch(self, *, last: bool) -> Tensor:
        """Indices of the next step's examples: (members, examples)."""
        return self.last if last else self.batches.index_select(0, self.position)[0]

    def rates(self) -> Tensor:
        """The next step's coefficients: (of them, members, 1)."""
        return self.coefficients.index_select(0, self.position)[0]

    def rows(self, places: Tensor) -> Epoch:
        """What is left of it for these members."""
        return Epoch(
            self.batches[:, places],
            self.last[places],
            None if self.draws is None else self.draws[places],
            self.coefficients[:, :, places],
            self.first_steps[places],
            self.position,
        )

    def become(self, other: Epoch) -> None:
        """Take over another one's numbers, of the same members, in the memory that this one has."""
        for own, new in zip(self.tensors(), other.tensors(), strict=True):
            own.copy_(new)

    def tensors(self) -> list[Tensor]:
        own = [self.batches, self.last, self.coefficients, self.first_steps, self.position]
        return own if self.draws is None else [*own, self.draws]

    def to(self, device: torch.device) -> Epoch:
        draws = None if self.draws is None else self.draws.to(device)
        batches, last, coefficients, first_steps, position = (
            tensor.to(device)
            for tensor in (self.batches, self.last, self.coefficients, self.first_steps, self.position)
        )
        return Epoch(batches, last, draws, coefficients, first_steps, position)


def begin_epoch(task: Task, members: Sequence[Member], updates: Tensor, update: Update, *, train_size: int) -> Epoch:
    """updates: (members,), the optimizer's so far. Everything is drawn and computed on the CPU, as alone, and is there
    still.
    """
    steps = task.params.steps_per_epoch(train_size)
    epochs = [member.step // steps for member in members]
    drawn = [
        torch.randperm(train_size, generator=generator("order", member.seed, epoch))
        for member, epoch in zip(members, epochs, strict=True)
    ]
    draws = [task.draws(train_size, member.seed, epoch) for member, epoch in zip(members, epochs, strict=True)]
    order, size = torch.stack(drawn), task.params.batch_size
    full = order[:, : (steps - 1) * size].unflatten(1, (steps - 1, size))
    return Epoch(
        full.transpose(0, 1).contiguous(),
        order[:, (steps - 1) * size :].contiguous(),
        None if draws[0] is None else torch.stack([drawn for drawn in draws if drawn is not None]),
        _coefficients(task, members, updates, update, steps),
        torch.tensor([epoch * steps for epoch in epochs]),
        torch.tensor([members[0].step % steps]),
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
