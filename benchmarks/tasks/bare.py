"""A training loop as people write it by hand: the same model, data, optimizer and schedule without lehr."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.tasks.task import TensorData

EVALUATION_BATCH = 512


class BareLoop:
    """SGD with momentum and torch's one-cycle schedule; an evaluation at the end of each epoch."""

    def __init__(self, model: nn.Module, data: TensorData, batch_size: int, epochs: int) -> None:
        self.model = model
        self.data = data
        self.batch_size = batch_size
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        steps = epochs * -(-data.train_size // batch_size)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, 0.1, steps, cycle_momentum=False)

    def epoch(self) -> tuple[float, float]:
        """Mean training loss, and validation loss."""
        self.model.train()
        device = self.data.train_inputs.device
        order = torch.randperm(self.data.train_size).to(device)
        total = torch.zeros((), device=device)
        for batch in order.split(self.batch_size):
            self.optimizer.zero_grad(set_to_none=True)
            loss = _loss(self.model(self.data.train_inputs[batch]), self.data.train_targets[batch])
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            total += loss.detach() * len(batch)
        return float(total) / self.data.train_size, self._validation_loss()

    @torch.no_grad()
    def _validation_loss(self) -> float:
        self.model.eval()
        inputs, targets = self.data.val_inputs, self.data.val_targets
        pieces = zip(inputs.split(EVALUATION_BATCH), targets.split(EVALUATION_BATCH), strict=True)
        return sum(float(_loss(self.model(one), two)) * len(two) for one, two in pieces) / len(targets)


def _loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Of classes (n, classes), or of each place's next token (n, context, vocabulary)."""
    return functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())
