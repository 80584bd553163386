"""A LightningModule with the exported schedule, trained by Lightning, uses the schedule's rates."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from lehr.schedules import OneCycle
from lehr.schedules.portable import export
from tests.support.examples import PLAIN, example
from tools.parity import running

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pkg_resources and torch's own deprecations, at import
    from lightning.pytorch import LightningModule, Trainer

STEPS = 12


def trained(schedule, make=lambda parameters: torch.optim.SGD(parameters, lr=7.0, momentum=0.5)):
    """The rates and momenta of each step, as Lightning trains with them."""
    seen: list[tuple[float, Any]] = []
    names = running.execute(export(schedule, "lightning", STEPS).code)

    class Model(LightningModule):
        def configure_optimizers(self):
            return names["with_schedule"](make(self.parameters()))

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch):
            (group,) = self.trainer.optimizers[0].param_groups
            seen.append((group["lr"], group.get("momentum", group.get("betas", [None])[0])))
            return self.layer(batch[0]).square().mean()

    trainer = Trainer(
        max_steps=STEPS, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, barebones=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on workers of the data loader
        trainer.fit(Model(), DataLoader(TensorDataset(torch.zeros(3, 1)), batch_size=1))
    return seen


@pytest.mark.parametrize("family", PLAIN)
def test_lightning_trains_with_the_schedules_rates_across_epochs(family):
    schedule = example(family, 0.2)
    assert [rate for rate, _ in trained(schedule)] == list(schedule.curve(STEPS).lr)


def test_lightning_cycles_the_momentum():
    schedule = OneCycle(start_lr=0.01, peak_lr=0.1, end_lr=0.0, base_momentum=0.8, max_momentum=0.95)
    assert [momentum for _, momentum in trained(schedule)] == list(schedule.curve(STEPS).momentum or ())


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.Adagrad])
def test_the_optimizer_is_the_users(kind):
    schedule = example("cosine", 0.2)
    assert kind.__name__ not in export(schedule, "lightning", STEPS).code
    assert [rate for rate, _ in trained(schedule, lambda parameters: kind(parameters, lr=1.0))] == list(
        schedule.curve(STEPS).lr
    )
