"""Trains a network in a plain PyTorch loop with the schedule that a study found.

    lehr best STUDY --json > best.json
    python examples/use_best_schedule.py best.json

Without a file, it uses the answer of an earlier `lehr demo`. Needs torch and scikit-learn, but no server.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn

from lehr.schedules import schedule_from_dict

ANSWER: dict[str, Any] = {
    "schedule": {"family": "linear", "start_lr": 0.12189, "end_lr": 0.00014854, "warmup_fraction": 0.0},
    "horizon_steps": 184,
}
BATCH_SIZE = 64


def main() -> None:
    answer = json.loads(Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else ANSWER
    schedule = schedule_from_dict(answer["schedule"])
    # Schedules are in fractions of the horizon, so any number of steps works.
    steps = answer["horizon_steps"]

    torch.manual_seed(0)
    images, digits = load_digits(return_X_y=True)
    inputs, classes = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(digits)  # (1797, 64), (1797,)
    order = torch.randperm(len(inputs))
    held_out, used = order[:360], order[360:]
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=schedule.lr(0, steps), momentum=0.9)

    for step in range(steps):
        # As in the search, set the rate before the step that uses it.
        for group in optimizer.param_groups:
            group["lr"] = schedule.lr(step, steps)
        batch = used[torch.randint(len(used), (BATCH_SIZE,))]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[batch]), classes[batch]).backward()
        optimizer.step()

    accuracy = (model(inputs[held_out]).argmax(dim=1) == classes[held_out]).float().mean().item()
    print(f"{steps} steps of {schedule.family}: accuracy on held-out digits {accuracy:.3f}")


if __name__ == "__main__":
    main()
