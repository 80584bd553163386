"""transformers' Trainer with the exported arguments and callbacks trains with the schedule's rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from lehr.schedules import OneCycle, Schedule
from lehr.schedules.portable import export
from tests.support.examples import example
from tools.parity import running

STEPS = 12


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.norm = torch.nn.LayerNorm(1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": self.norm(self.layer(x)).square().mean() + self.layer(x).square().mean()}


class Watch(TrainerCallback):
    """Keeps the rate and first beta of each step, and what the Trainer logs as the rate."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []
        self.betas: list[float] = []
        self.logged: list[float] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        optimizer = others["optimizer"]
        self.rates.append([float(group["lr"]) for group in optimizer.param_groups])
        self.betas.append(float(optimizer.param_groups[0]["betas"][0]))

    def on_log(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        logs = others["logs"]
        self.logged += [logs["learning_rate"]] if "learning_rate" in logs else []


def trained(schedule: Schedule, folder: Path, resume: str | None = None) -> Watch:
    names, watch = running.execute(export(schedule, "transformers_trainer", STEPS).code), Watch()
    arguments = TrainingArguments(
        output_dir=str(folder), use_cpu=True, report_to=[], logging_steps=1, save_steps=5, weight_decay=0.1,
        disable_tqdm=True, per_device_train_batch_size=1, dataloader_pin_memory=False, **names["arguments"],
    )  # fmt: skip
    data: Any = [{"x": torch.ones(1)}] * 5
    trainer = Trainer(Model(), arguments, train_dataset=data, callbacks=[*names["callbacks"], watch])
    trainer.train(resume_from_checkpoint=resume)
    return watch


@pytest.mark.filterwarnings("ignore")  # transformers' and torch's own deprecations
@pytest.mark.parametrize("name", ["rex", "cosine", "piecewise", "one_cycle"])
def test_the_trainer_trains_with_the_schedules_rates_and_resumes(name: str, tmp_path: Path) -> None:
    schedule = example(name, 0.2)
    if name == "one_cycle":
        schedule = OneCycle(start_lr=0.01, peak_lr=0.1, end_lr=0.001, base_momentum=0.8, max_momentum=0.95)
    watch = trained(schedule, tmp_path)
    assert [row[0] for row in watch.rates] == pytest.approx(schedule.curve(STEPS).lr, rel=1e-9)
    assert all(len(set(row)) == 1 for row in watch.rates)
    if schedule.momentum_levels is not None:
        assert watch.betas == list(schedule.curve(STEPS).momentum or ())
    resumed = trained(schedule, tmp_path, resume=str(tmp_path / "checkpoint-5"))
    assert [row[0] for row in resumed.rates] == pytest.approx(schedule.curve(STEPS).lr[5:], rel=1e-9)
    assert resumed.logged == pytest.approx(watch.logged[5:], rel=1e-6)
