"""Converts a member's row of numbers to and from the state that `workers.training.run.Run` saves.

This lets a trial that was saved in a cohort resume solo, and a trial that was saved solo resume in a cohort.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from workers.cohort.layout import Layout
from workers.cohort.member import Member
from workers.cohort.stack import Stack
from workers.tasks.params import TrainingParams
from workers.tasks.randomness import derived_seed
from workers.tasks.task import Task
from workers.training.optimizers import build_optimizer, set_rates

OptimizerState = Mapping[int, Mapping[str, Any]]
"""The state of a torch optimizer, by the index of each weight."""


def fresh_numbers(task: Task, member: Member, slots: Sequence[str]) -> Stack:
    """A member's row at step 0, with the initial weights of its seed, on the CPU."""
    return _row(_build_model(task, member.seed), slots, {})


def loaded_numbers(task: Task, member: Member, slots: Sequence[str], state: Mapping[str, Any]) -> Stack:
    """A member's row from the result of `Run.state` or `saved_state`; also sets the member's step, rates and noise."""
    model = _build_model(task, member.seed)
    model.load_state_dict(state["model"])
    member.step = state["step"]
    member.rates.restore(state.get("rates"))
    noise = state["noise"] if member.noise.device.type == "cpu" else state["device_noise"]
    if noise is not None:
        member.noise.set_state(noise.cpu())
    optimizer: OptimizerState = state["optimizer"]["state"]
    row = _row(model, slots, optimizer)
    row.updates.fill_(_updates(optimizer, member))
    row.loss_sums.fill_(float(state["loss_sum"]))
    row.bad_steps.fill_(int(state["bad_step"]))
    return row


def saved_state(task: Task, member: Member, row: Stack, template: nn.Module) -> dict[str, Any]:
    """The state that `Run.state` would return for a member with this row. Overwrites the template's weights."""
    weights = Layout(template).weights(row.weights[0])
    with torch.no_grad():
        for name, weight in template.named_parameters():
            weight.copy_(weights[name])
        for name, buffer in template.named_buffers():
            buffer.copy_(row.buffers[name][0])
    on_cpu = member.noise.device.type == "cpu"
    noise = member.noise.get_state()
    return {
        "step": member.step,
        "model": {name: value.clone() for name, value in template.state_dict().items()},
        "optimizer": _optimizer_state(task.params, template, member, row),
        "loss_sum": row.loss_sums[0].clone(),
        "bad_step": row.bad_steps[0].clone(),
        "rates": member.rates.state(),
        # Draws on another device leave the CPU's generator in the state that the seed gave it.
        "noise": noise if on_cpu else torch.Generator().manual_seed(derived_seed("noise", member.seed)).get_state(),
        "device_noise": None if on_cpu else noise,
    }


def _build_model(task: Task, seed: int) -> nn.Module:
    # The global generator is restored afterwards, because other code draws from it too.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed("init", seed))
        return task.build_model()


def _row(model: nn.Module, slots: Sequence[str], optimizer: OptimizerState) -> Stack:
    weights = list(model.parameters())
    layout = Layout(model)
    return Stack(
        weights=layout.row(weights)[None],
        buffers={name: buffer.detach().clone()[None] for name, buffer in model.named_buffers()},
        slots={slot: layout.row(_slot(weights, slot, optimizer))[None] for slot in slots},
        updates=torch.zeros(1, dtype=torch.int64),
        loss_sums=torch.zeros(1, dtype=torch.float64),
        bad_steps=torch.full((1,), -1, dtype=torch.int64),
    )


def _slot(weights: Sequence[Tensor], slot: str, optimizer: OptimizerState) -> list[Tensor]:
    """The optimizer's value of a slot for each weight, zero if it has none yet."""
    values = [optimizer.get(place, {}).get(slot) for place in range(len(weights))]
    return [torch.zeros_like(weight) if value is None else value for weight, value in zip(weights, values, strict=True)]


def _updates(optimizer: OptimizerState, member: Member) -> int:
    """The number of updates so far. SGD does not count them, but makes one at each step."""
    return next((int(values["step"]) for values in optimizer.values() if "step" in values), member.step)


def _optimizer_state(params: TrainingParams, template: nn.Module, member: Member, row: Stack) -> dict[str, Any]:
    optimizer = build_optimizer(template.parameters(), params, member.rates.lr(0))
    if not member.step:
        return optimizer.state_dict()
    set_rates(optimizer, member.rates.lr(member.step - 1), member.rates.momentum(member.step - 1))
    layout = Layout(template)
    slots = {slot: list(layout.weights(values[0]).values()) for slot, values in row.slots.items()}
    document = optimizer.state_dict()
    document["state"] = {
        place: {slot: tensors[place] for slot, tensors in slots.items()} for place in range(len(layout.names))
    }
    if params.optimizer not in ("sgd", "nesterov"):
        for values in document["state"].values():
            values["step"] = torch.tensor(float(row.updates))
    return document
