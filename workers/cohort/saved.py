"""A member's numbers as `workers.training.run.Run` saves them, key by key.

So a trial that was saved in a cohort goes on alone, and one that was saved alone goes on in a cohort.
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

Remembered = Mapping[int, Mapping[str, Any]]
"""What a torch optimizer keeps, by the place of each weight."""


def fresh_numbers(task: Task, member: Member, slots: Sequence[str]) -> Stack:
    """One row: the weights that the member's seed draws. On the CPU."""
    return _row(_built(task, member.seed), slots, {})


def loaded_numbers(task: Task, member: Member, slots: Sequence[str], state: Mapping[str, Any]) -> Stack:
    """One row from what `Run.state` or `saved_state` gave; the member goes on at its step."""
    model = _built(task, member.seed)
    model.load_state_dict(state["model"])
    member.step = state["step"]
    member.rates.restore(state.get("rates"))
    noise = state["noise"] if member.noise.device.type == "cpu" else state["device_noise"]
    if noise is not None:
        member.noise.set_state(noise.cpu())
    remembered: Remembered = state["optimizer"]["state"]
    row = _row(model, slots, remembered)
    row.updates.fill_(_updates(remembered, member))
    row.loss_sums.fill_(float(state["loss_sum"]))
    row.bad_steps.fill_(int(state["bad_step"]))
    return row


def saved_state(task: Task, member: Member, row: Stack, template: nn.Module) -> dict[str, Any]:
    """What `Run.state` would say of a member with these numbers. The template's own numbers are overwritten."""
    own = Layout(template).weights(row.weights[0])
    with torch.no_grad():
        for name, weight in template.named_parameters():
            weight.copy_(own[name])
        for name, buffer in template.named_buffers():
            buffer.copy_(row.buffers[name][0])
    on_cpu = member.noise.device.type == "cpu"
    drawn = member.noise.get_state()
    return {
        "step": member.step,
        "model": {name: value.clone() for name, value in template.state_dict().items()},
        "optimizer": _optimizer_state(task.params, template, member, row),
        "loss_sum": row.loss_sums[0].clone(),
        "bad_step": row.bad_steps[0].clone(),
        "rates": member.rates.state(),
        # What is drawn on another device leaves the CPU's generator where the seed put it.
        "noise": drawn if on_cpu else torch.Generator().manual_seed(derived_seed("noise", member.seed)).get_state(),
        "device_noise": None if on_cpu else drawn,
    }


def _built(task: Task, seed: int) -> nn.Module:
    # Others draw from the global generator too: it is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed("init", seed))
        return task.build_model()


def _row(model: nn.Module, slots: Sequence[str], remembered: Remembered) -> Stack:
    weights = list(model.parameters())
    layout = Layout(model)
    return Stack(
        weights=layout.row(weights)[None],
        buffers={name: buffer.detach().clone()[None] for name, buffer in model.named_buffers()},
        slots={slot: layout.row(_slot(weights, slot, remembered))[None] for slot in slots},
        updates=torch.zeros(1, dtype=torch.int64),
        loss_sums=torch.zeros(1, dtype=torch.float64),
        bad_steps=torch.full((1,), -1, dtype=torch.int64),
    )


def _slot(weights: Sequence[Tensor], slot: str, remembered: Remembered) -> list[Tensor]:
    """What the optimizer keeps of each weight; zeros for what it has not begun to."""
    found = [remembered.get(place, {}).get(slot) for place in range(len(weights))]
    return [torch.zeros_like(weight) if kept is None else kept for weight, kept in zip(weights, found, strict=True)]


def _updates(remembered: Remembered, member: Member) -> int:
    """How many updates were made. SGD does not count them, and each step makes one."""
    return next((int(kept["step"]) for kept in remembered.values() if "step" in kept), member.step)


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
        for kept in document["state"].values():
            kept["step"] = torch.tensor(float(row.updates))
    return document
