"""Your own training script: requests trials from lehr and trains them with their rates in plain PyTorch.

    lehr up --workers 0                                 # the server alone
    python examples/own_script.py [URL]                 # any number of copies, on any number of machines

All copies share one study. Needs torch and scikit-learn.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from sklearn.datasets import load_wine
from torch import nn

from lehr.client import Client
from lehr.script import ScriptClient, ScriptTrial
from lehr.torch import ScheduleLR

STEPS = 60
STUDY: dict[str, Any] = {
    "name": "wine-script",
    "task": {"name": "script:wine", "params": {"hidden": 16}},
    "space": {"families": ["constant", "cosine", "one_cycle"], "start_lr": {"low": 1e-3, "high": 1.0}},
    "objective": {"metric": "val_loss", "direction": "minimize"},
    "budget": {"trials": 6},
    "confirm": {"top": 1, "seeds": 2},
}


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8765"
    with ScriptClient(url) as client:
        for trial in client.trials(STUDY, horizon_steps=STEPS, metrics=["val_loss"]):
            with trial:  # an exception in here fails only this trial; without `with`, it also ends the script
                train(trial)
            study = trial.study_id
    with Client(url) as rest:
        answer = rest.best(study)
    print(answer.schedule.to_dict(), answer.gain and answer.gain.verdict)


def train(trial: ScriptTrial) -> None:
    torch.manual_seed(trial.seed)
    table, classes = map(torch.tensor, load_wine(return_X_y=True))
    inputs = ((table - table.mean(0)) / table.std(0)).float()  # (178, 13)
    used, held_out = torch.arange(178) % 5 != 0, torch.arange(178) % 5 == 0  # (178,) masks
    model = nn.Sequential(nn.Linear(13, trial.params["hidden"]), nn.ReLU(), nn.Linear(trial.params["hidden"], 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    scheduler = ScheduleLR(optimizer, trial.schedule, trial.horizon_steps)  # or set trial.lr(step) by hand

    for step in range(trial.horizon_steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs[used]), classes[used])
        loss.backward()
        optimizer.step()
        scheduler.step()
        if step % 10 == 9:
            with torch.no_grad():
                val_loss = nn.functional.cross_entropy(model(inputs[held_out]), classes[held_out])
            trial.report(step, {"val_loss": val_loss}, train_loss=loss.detach())
            if trial.should_stop:
                return


if __name__ == "__main__":
    main()
