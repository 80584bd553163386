"""Trains a network of one's own with the schedule that a study answered.

    lehr best STUDY --json > best.json
    python examples/use_best_schedule.py best.json

Without a file, a schedule found earlier is used. Needs torch and lehr's light package, no server.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lehr.schedules import schedule_from_dict

ANSWER: dict[str, Any] = {
    "schedule": {"family": "linear", "start_lr": 0.12189, "end_lr": 0.00014854, "warmup_fraction": 0.0},
    "horizon_steps": 184,
}


def spirals(points: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two spirals, `points` on each. Returns inputs (2 * points, 2) and classes (2 * points,)."""
    angle = torch.linspace(0.5, 3.5 * torch.pi, points)
    arm = torch.stack([angle * torch.cos(angle), angle * torch.sin(angle)], dim=1) / 10
    return torch.cat([arm, -arm]), torch.arange(2).repeat_interleave(points)


def main() -> None:
    answer = json.loads(Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else ANSWER
    schedule = schedule_from_dict(answer["schedule"])
    # A schedule is written in fractions of the horizon: it fits any number of steps.
    steps = answer["horizon_steps"] or 1000

    torch.manual_seed(0)
    inputs, classes = spirals(200)
    model = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=schedule.lr(0, steps), momentum=0.9)
    loss = torch.tensor(0.0)
    for step in range(steps):
        # The rate is set before the step that uses it, as it was in the search.
        for group in optimizer.param_groups:
            group["lr"] = schedule.lr(step, steps)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), classes)
        loss.backward()
        optimizer.step()
    accuracy = (model(inputs).argmax(dim=1) == classes).float().mean().item()
    print(f"{steps} steps of {schedule.family}: loss {loss.item():.3f}, accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
