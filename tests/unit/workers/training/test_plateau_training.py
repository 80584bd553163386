"""Training with an adaptive schedule: the metrics of each report set the rate of the next epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lehr.errors import InvalidValueError
from lehr.schedules import Plateau
from tests.unit.workers.fake_server import FakeServer, FakeTrial
from tests.unit.workers.in_process import working
from tests.unit.workers.training.runs import assert_resumes, new_run

PARAMS = {"model": "mlp", "hidden": 16, "epochs": 12, "batch_size": 128}
ON_LOSS = Plateau(start_lr=1.0, end_lr=0.01, factor=0.5, patience=0, threshold=0.05)
ON_ACCURACY = Plateau(
    start_lr=0.5, end_lr=0.001, factor=0.3, patience=1, cooldown=1, metric="val_accuracy", direction="maximize",
    threshold=0.02, threshold_mode="absolute",
)  # fmt: skip
WARMED = Plateau(start_lr=0.0, peak_lr=1.0, end_lr=0.01, warmup_fraction=0.2, factor=0.5, patience=0, threshold=0.05)


def reduce_lr(plateau: Plateau) -> tuple[torch.optim.Optimizer, ReduceLROnPlateau]:
    """A training loop with torch's own scheduler."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=plateau.max_lr)
    mode = {"minimize": "min", "maximize": "max"}[plateau.direction]
    threshold_mode = {"relative": "rel", "absolute": "abs"}[plateau.threshold_mode]
    return optimizer, ReduceLROnPlateau(
        optimizer, mode=mode, factor=plateau.factor, patience=plateau.patience, threshold=plateau.threshold,
        threshold_mode=threshold_mode, cooldown=plateau.cooldown, min_lr=plateau.end_lr,
    )  # fmt: skip


@pytest.mark.parametrize("plateau", [ON_LOSS, ON_ACCURACY])
def test_each_steps_rate_is_the_one_that_torchs_reduce_lr_on_plateau_has_come_to(plateau: Plateau) -> None:
    run = new_run(PARAMS, plateau)
    theirs, scheduler = reduce_lr(plateau)
    seen = set()
    while not run.finished:
        report = run.advance()
        rate = theirs.param_groups[0]["lr"]
        seen.add(rate)
        assert [group["lr"] for group in run.optimizer.param_groups] == [rate]
        if report is not None:
            assert report.lr == rate
            metric = report.metrics[plateau.metric]
            assert metric is not None
            scheduler.step(metric)
    assert len(seen) >= 3  # it did fall, and more than once


def test_a_warm_up_comes_first_and_the_metric_leads_from_there() -> None:
    run = new_run(PARAMS, WARMED)
    theirs, scheduler = reduce_lr(WARMED)
    warm = 0.2 * (run.horizon_steps - 1)
    while not run.finished:
        step, report = run.step, run.advance()
        expected = step / warm if step < warm else theirs.param_groups[0]["lr"]
        assert run.optimizer.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-12)
        if report is not None:
            scheduler.step(report.metrics["val_loss"] or 0.0)
    assert theirs.param_groups[0]["lr"] < 1.0


@pytest.mark.parametrize("plateau", [ON_LOSS, ON_ACCURACY, WARMED])
def test_a_resumed_run_equals_an_uninterrupted_one_bitwise(plateau: Plateau, tmp_path: Path) -> None:
    assert_resumes(lambda: new_run(PARAMS, plateau), tmp_path)


def test_a_metric_that_the_task_does_not_report_is_refused_by_name() -> None:
    with pytest.raises(InvalidValueError, match=r"schedule\.metric.*val_loss.*'bleu'"):
        new_run(PARAMS, Plateau(start_lr=0.1, end_lr=0.01, metric="bleu"))


def test_a_trial_with_an_adaptive_schedule_is_trained_to_its_end(tmp_path: Path) -> None:
    document: dict[str, Any] = ON_LOSS.to_dict()
    trial = FakeTrial("t1", schedule=document)
    with FakeServer(trial, task={"name": "digits", "params": PARAMS}) as server, working(server, tmp_path):
        server.wait_until(lambda: trial.finishes)
    assert trial.state == "COMPLETED"
    rates = [trial.reports[step]["lr"] for step in sorted(trial.reports)]
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1.0
