"""A run is a function of its task, schedule and seed."""

from __future__ import annotations

import random
from typing import Any, get_args

import pytest
import torch
from torch.nn import functional

from lehr.schedules import schedule_from_dict
from tests.unit.workers.exploding import FINITE_BUT_LOST, ExplodingTask
from tests.unit.workers.training.runs import COSINE, new_run, train
from workers.tasks.digits.params import ModelName
from workers.tasks.params import OptimizerName
from workers.tasks.randomness import generator
from workers.training.optimizers import set_rates
from workers.training.run import DivergedError, Run

OPTIMIZERS = get_args(OptimizerName)
MODELS = get_args(ModelName)
SMALL = {"epochs": 2, "batch_size": 256, "hidden": 16}
RATE = {"sgd": 0.1, "nesterov": 0.1, "adam": 0.01, "adamw": 0.01, "rmsprop": 0.003}


def cosine(optimizer: str) -> Any:
    return schedule_from_dict({"family": "cosine", "start_lr": RATE[optimizer], "end_lr": 1e-4})


def weights(run: Any) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in run.model.parameters()]


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_curve_to_the_last_bit(model: str) -> None:
    assert train(new_run({**SMALL, "model": model})) == train(new_run({**SMALL, "model": model}))


def test_another_seed_gives_another_curve() -> None:
    assert train(new_run(SMALL, seed=1)) != train(new_run(SMALL, seed=2))


def test_what_others_draw_meanwhile_changes_nothing() -> None:
    alone = train(new_run(SMALL))
    torch.rand(7)
    disturbed = new_run(SMALL)
    torch.rand(7)
    assert train(disturbed) == alone


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_a_resumed_run_equals_an_uninterrupted_one_bitwise(model: str, optimizer: str, tmp_path: Any) -> None:
    params = {**SMALL, "model": model, "optimizer": optimizer, "weight_decay": 1e-3, "clip_norm": 1.0}
    whole = new_run(params, cosine(optimizer))
    expected = train(whole)
    seed = hash((len(model), len(optimizer)))
    for step in random.Random(seed).sample(range(whole.horizon_steps + 1), 3):
        print("interrupted at step", step)
        first = new_run(params, cosine(optimizer))
        before = train(first, until=step)
        torch.save(first.state(), tmp_path / "state.pt")
        resumed = new_run(params, cosine(optimizer))
        resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
        assert before + train(resumed) == expected
        assert all(map(torch.equal, weights(resumed), weights(whole)))


def test_the_rate_of_every_step_is_the_schedules() -> None:
    run = new_run({"epochs": 2, "batch_size": 100})
    rates = []
    while not run.finished:
        run.advance()
        rates += [group["lr"] for group in run.optimizer.param_groups]
    assert run.horizon_steps == 30
    assert rates == [COSINE.lr(step, 30) for step in range(30)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.001)


def test_reports_come_at_every_epochs_end() -> None:
    reports = train(new_run({"epochs": 3, "batch_size": 100}))
    assert [report.step for report in reports] == [14, 29, 44]
    assert [report.epoch for report in reports] == [1.0, 2.0, 3.0]
    assert [report.lr for report in reports] == [COSINE.lr(step, 45) for step in (14, 29, 44)]
    assert all(set(report.metrics) == {"val_loss", "val_accuracy"} for report in reports)


@pytest.mark.parametrize(
    ("optimizer", "bare"),
    [
        ("sgd", lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, weight_decay=1e-3)),
        ("nesterov", lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, weight_decay=1e-3, nesterov=True)),
        ("adam", lambda w: torch.optim.Adam(w, lr=0.1, weight_decay=1e-3)),
        ("adamw", lambda w: torch.optim.AdamW(w, lr=0.1, weight_decay=1e-3)),
        ("rmsprop", lambda w: torch.optim.RMSprop(w, lr=0.1, weight_decay=1e-3)),
    ],
)
def test_training_equals_a_bare_torch_loop_with_torchs_own_cosine(optimizer: str, bare: Any) -> None:
    params = {**SMALL, "model": "linear", "optimizer": optimizer, "weight_decay": 1e-3}
    run, twin = new_run(params), new_run(params)
    reports = train(run)
    model, data = twin.model, twin._data
    torch_optimizer = bare(model.parameters())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(torch_optimizer, T_max=run.horizon_steps - 1, eta_min=0.001)
    for epoch in range(2):
        losses = []
        for batch in torch.randperm(data.train_size, generator=generator("order", 0, epoch)).split(256):
            torch_optimizer.zero_grad()
            loss = functional.cross_entropy(model(data.train_inputs[batch]), data.train_targets[batch])
            loss.backward()
            torch_optimizer.step()
            scheduler.step()
            losses += [loss.item()] * len(batch)
        assert reports[epoch].train_loss == pytest.approx(sum(losses) / len(losses), rel=1e-4)
        with torch.no_grad():
            outputs = model(data.val_inputs)
        assert reports[epoch].metrics["val_loss"] == pytest.approx(
            functional.cross_entropy(outputs, data.val_targets).item(), rel=1e-4
        )
        assert reports[epoch].metrics["val_accuracy"] == (outputs.argmax(1) == data.val_targets).double().mean().item()


def test_the_gradient_is_clipped() -> None:
    free, clipped = new_run(SMALL), new_run({**SMALL, "clip_norm": 1e-2, "momentum": 0})
    start = weights(clipped)
    clipped.advance()
    moved = sum(float(((a - b) ** 2).sum()) for a, b in zip(weights(clipped), start, strict=True)) ** 0.5
    assert moved == pytest.approx(0.1 * 1e-2, rel=1e-3)
    assert train(free) != train(clipped)


def test_momentum_follows_the_schedule_where_it_cycles() -> None:
    sgd, adam = new_run(SMALL).optimizer, new_run({**SMALL, "optimizer": "adam"}).optimizer
    set_rates(sgd, 0.5, 0.85)
    set_rates(adam, 0.5, 0.85)
    assert (sgd.param_groups[0]["lr"], sgd.param_groups[0]["momentum"]) == (0.5, 0.85)
    assert adam.param_groups[0]["betas"] == (0.85, 0.999)


def test_a_huge_rate_diverges_with_the_step_that_first_lost_the_loss() -> None:
    huge = schedule_from_dict({"family": "constant", "start_lr": 1e30, "end_lr": 1e30})
    run = new_run({**SMALL, "model": "mlp", "epochs": 5}, huge)
    with pytest.raises(DivergedError, match=r"^loss became non-finite at step \d+$") as caught:
        train(run)
    report = caught.value.report
    assert report.train_loss is None
    assert report.metrics == {"val_loss": None, "val_accuracy": None}
    # The step before was still finite: a second run up to there does not raise.
    train(new_run({**SMALL, "model": "mlp", "epochs": 5}, huge), until=report.step)


def test_weights_lost_by_the_very_last_step_are_a_divergence_too() -> None:
    # A single step with a finite loss that leaves non-finite weights.
    params = {"epochs": 1, "batch_size": 2048, "model": "linear", "momentum": 0.0}
    huge = schedule_from_dict({"family": "constant", "start_lr": 3e38, "end_lr": 3e38})
    with pytest.raises(DivergedError, match=r"val_loss became non-finite or exceeded 1e\+100 at step 0"):
        train(new_run(params, huge))


def test_a_finite_loss_that_the_server_would_refuse_is_a_divergence() -> None:
    task = ExplodingTask()
    run = Run(task, FINITE_BUT_LOST, seed=0, device=torch.device("cpu"))
    with pytest.raises(DivergedError, match=r"^val_loss became non-finite or exceeded 1e\+100 at step 0$") as caught:
        train(run)
    assert 1e100 < run.evaluate()["val_loss"] < 1e150
    assert caught.value.report.metrics == {"val_loss": None}
