"""Computes a task's model for all members of a cohort at once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from workers.cohort.layout import Layout
from workers.tasks.task import Task, TensorData
from workers.training.dropout import Tape, draw_masks, tape_dropouts


class NotFusibleError(Exception):
    """The task's model cannot be trained in a cohort, for the reason in the message."""


class FusedModel:
    """A task's model with the weights (members, numbers) and buffers of all members; `template` provides its code."""

    def __init__(self, task: Task, device: torch.device) -> None:
        """Raises NotFusibleError."""
        # The template's weights are never used, so building it must not change the caller's random state.
        with torch.random.fork_rng(devices=[]):
            self.template = task.build_model().to(device)
        _check(self.template)
        self.layout = Layout(self.template)
        self._task = task
        self._device = device
        self._tape = Tape()
        self.draws = tape_dropouts(self.template, self._tape)
        self._sites: dict[torch.Size, list[tuple[float, torch.Size]]] = {}
        self._evaluates_fused = True
        # If torch has no batched operation, vmap loops over the members. That is correct, and the probe measures how
        # slow it is.
        warnings.filterwarnings("ignore", message="There is a performance drop", category=UserWarning)
        self._losses = vmap(self._member_loss, in_dims=(0, 0, 0, 0, 0), randomness="error")

    def gradients(
        self,
        rows: Tensor,
        buffers: dict[str, Tensor],
        inputs: Tensor,
        targets: Tensor,
        generators: Sequence[torch.Generator],
    ) -> tuple[Tensor, Tensor]:
        """Losses (members,) and their gradients (members, numbers); buffers are updated in place.

        rows: (members, numbers); inputs and targets: (members, batch, ...). Members share no weights, so the gradient
        of the sum of their losses holds every member's own gradient: one backward pass, not nested in vmap.
        """
        self.template.train()
        masks = self._masks(inputs, generators) if self.draws else []
        with torch.enable_grad():
            leaf = rows.detach().requires_grad_()
            losses = self._losses(self.layout.stacked(leaf), buffers, inputs, targets, masks)
            # The masks must not outlive the step, because their memory may belong to a recording.
            self._tape.rewind(())
            (gradients,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach(), gradients

    def evaluate(self, rows: Tensor, buffers: dict[str, Tensor], data: TensorData) -> list[dict[str, float]]:
        """Every member's metrics. Members are evaluated one by one if the task's evaluation cannot be fused."""
        self.template.eval()
        with torch.no_grad():
            stacked = self.layout.stacked(rows)
            if self._evaluates_fused:
                try:
                    return self._evaluate_fused(stacked, buffers, data)
                except RuntimeError as error:
                    if "out of memory" in str(error):
                        raise
                    self._evaluates_fused = False
            return [
                self._evaluate_one(_member(stacked, place), _member(buffers, place), data) for place in range(len(rows))
            ]

    def _evaluate_fused(
        self, stacked: dict[str, Tensor], buffers: dict[str, Tensor], data: TensorData
    ) -> list[dict[str, float]]:
        def measure(weights: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
            return dict(self._task.evaluate(_Bound(self.template, {**weights, **own}), data))

        metrics = {name: values.tolist() for name, values in vmap(measure)(stacked, buffers).items()}
        return [dict(zip(metrics, values, strict=True)) for values in zip(*metrics.values(), strict=True)]

    def _evaluate_one(
        self, weights: dict[str, Tensor], buffers: dict[str, Tensor], data: TensorData
    ) -> dict[str, float]:
        values = self._task.evaluate(_Bound(self.template, {**weights, **buffers}), data)
        return {name: float(value) for name, value in values.items()}

    def _member_loss(
        self,
        weights: dict[str, Tensor],
        buffers: dict[str, Tensor],
        inputs: Tensor,
        targets: Tensor,
        masks: list[Tensor],
    ) -> Tensor:
        if self.draws:
            self._tape.rewind(masks)
        outputs = functional_call(self.template, (weights, buffers), (inputs,))
        return self._task.loss(outputs, targets)

    def _masks(self, inputs: Tensor, generators: Sequence[torch.Generator]) -> list[Tensor]:
        shape = inputs.shape[1:]
        if shape not in self._sites:
            self._tape.rewind(None)
            with torch.no_grad():
                self.template(inputs[0])
            self._sites[shape] = self._tape.sites
        return draw_masks(self._sites[shape], generators, self._device)


class _Bound(nn.Module):
    """The template with one member's weights and buffers, as a module for the task's `evaluate`."""

    def __init__(self, template: nn.Module, numbers: dict[str, Tensor]) -> None:
        super().__init__()
        # Hidden in a tuple, so that nn.Module does not register the template's parameters as this module's own.
        self._template = (template,)
        self._numbers = numbers
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(self._template[0], self._numbers, (inputs,))
        return outputs


def _member(stacked: Mapping[str, Tensor], place: int) -> dict[str, Tensor]:
    return {name: values[place] for name, values in stacked.items()}


def _check(model: nn.Module) -> None:
    weights = list(model.parameters())
    if not weights:
        raise NotFusibleError("the model has no weights")
    if not all(weight.requires_grad for weight in weights):
        raise NotFusibleError("some of the model's weights are not trained")
    kinds = {weight.dtype for weight in weights}
    if kinds != {torch.float32}:
        raise NotFusibleError(f"the model's weights are {', '.join(sorted(map(str, kinds)))}, not all float32")
