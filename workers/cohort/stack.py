"""The stacked weights, buffers and optimizer state of a cohort, one row for each member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Stack:
    """Tensors whose first dimension is the members.

    weights: (members, numbers); buffers: (members, *shape) by name; slots: the optimizer's state, (members, numbers) by
    torch's names; updates: number of optimizer updates; loss_sums: over the epoch so far; bad_steps: the first step
    with a non-finite loss, -1 for none.
    """

    weights: Tensor
    buffers: dict[str, Tensor]
    slots: dict[str, Tensor]
    updates: Tensor
    loss_sums: Tensor
    bad_steps: Tensor

    def __len__(self) -> int:
        return len(self.weights)

    def tensors(self) -> list[Tensor]:
        """The tensors that a step changes."""
        return [self.weights, *self.buffers.values(), *self.slots.values(), self.loss_sums, self.bad_steps]

    def rows(self, places: Tensor) -> Stack:
        """Copies of these rows. places: (rows,), int64 on the CPU."""
        return self._map(lambda values: values.index_select(0, places.to(values.device)))

    def to(self, device: torch.device) -> Stack:
        """A copy on the device, except `updates`, which stays on the CPU, where rates are computed."""
        moved = self._map(lambda values: values.to(device))
        return Stack(moved.weights, moved.buffers, moved.slots, self.updates, moved.loss_sums, moved.bad_steps)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Stack:
        return Stack(
            change(self.weights),
            {name: change(values) for name, values in self.buffers.items()},
            {name: change(values) for name, values in self.slots.items()},
            change(self.updates),
            change(self.loss_sums),
            change(self.bad_steps),
        )


def concatenated(stacks: Sequence[Stack]) -> Stack:
    """The rows of all stacks, of which there is at least one. All have the same buffers and slots."""
    first = stacks[0]
    return Stack(
        torch.cat([stack.weights for stack in stacks]),
        {name: torch.cat([stack.buffers[name] for stack in stacks]) for name in first.buffers},
        {name: torch.cat([stack.slots[name] for stack in stacks]) for name in first.slots},
        torch.cat([stack.updates for stack in stacks]),
        torch.cat([stack.loss_sums for stack in stacks]),
        torch.cat([stack.bad_steps for stack in stacks]),
    )
