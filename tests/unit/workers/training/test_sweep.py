"""A sweep: a short training that reports its loss at every step, and sometimes the loss on held-out examples."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch

from service.ranges.sweep import sweep_schedule
from tests.unit.workers.training.runs import assert_resumes, new_run, train
from workers.training.run import DivergedError, Run
from workers.training.solo import build_task

STEPS = 60


def sweep(report_every: int = 1, high: float = 0.5, model: str = "mlp") -> Run:
    task = build_task({"name": "digits", "params": {"epochs": 1, "batch_size": 256, "hidden": 16, "model": model}})
    schedule = sweep_schedule(1e-6, high)
    return Run(task, schedule, 3, torch.device("cpu"), steps=STEPS, report_every=report_every)


def test_every_step_is_reported() -> None:
    reports = train(sweep())
    assert [report.step for report in reports] == list(range(STEPS)), "the horizon is the sweep's, not the task's"
    steps = [math.log10(later.lr / earlier.lr) for earlier, later in itertools.pairwise(reports)]
    assert steps == pytest.approx([math.log10(0.5e6) / (STEPS - 1)] * (STEPS - 1), rel=1e-3)
    assert reports[0].train_loss == pytest.approx(math.log(10), rel=0.2), "ten classes, nothing learnt yet"


def test_held_out_examples_are_looked_at_now_and_then_a_few_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.training.run.SWEEP_EVALUATIONS", 20)
    monkeypatch.setattr("workers.training.run.SWEEP_EXAMPLES", 50)
    run = sweep()
    seen = [run.advance() for _ in range(3)][-1]
    assert seen is not None
    data = run._task.data(torch.device("cpu"))
    with torch.no_grad():
        logits = run.model.eval()(data.val_inputs[:50])
    expected = torch.nn.functional.cross_entropy(logits, data.val_targets[:50])
    assert seen.metrics == {"val_loss": pytest.approx(float(expected), rel=1e-5)}
    assert [report.step for report in train(run) if report.metrics] == list(range(5, STEPS, 3))


def test_looking_changes_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    each = [report.train_loss for report in train(sweep(model="cnn"))]
    monkeypatch.setattr("workers.training.run.SWEEP_EVALUATIONS", 1)
    assert [report.train_loss for report in train(sweep(model="cnn"))] == each


def test_rarer_reports_tell_the_mean_loss_of_their_steps() -> None:
    each = [report.train_loss for report in train(sweep())]
    rare = train(sweep(report_every=7))
    assert [report.step for report in rare] == [*range(6, STEPS, 7), STEPS - 1]
    task = build_task({"name": "digits", "params": {"epochs": 1, "batch_size": 256}})
    train_size = task.data(torch.device("cpu")).train_size
    sizes = [min(256, train_size - 256 * (step % math.ceil(train_size / 256))) for step in range(STEPS)]
    for earlier, report in zip([-1, *(one.step for one in rare)], rare, strict=False):
        span = range(earlier + 1, report.step + 1)
        mean = sum(each[step] * sizes[step] for step in span) / sum(sizes[step] for step in span)  # type: ignore[operator]
        assert report.train_loss == pytest.approx(mean, rel=1e-6)


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    assert_resumes(lambda: sweep(report_every=7), tmp_path)


def test_the_step_that_loses_the_loss_is_told() -> None:
    run = sweep(high=1e38, model="linear")
    with pytest.raises(DivergedError) as caught:
        train(run)
    assert caught.value.report.train_loss is None
    assert 0 < caught.value.report.step < STEPS


def test_other_runs_report_as_before() -> None:
    run = new_run({"epochs": 2, "batch_size": 256, "hidden": 16})
    assert [report.epoch for report in train(run)] == [1.0, 2.0]
