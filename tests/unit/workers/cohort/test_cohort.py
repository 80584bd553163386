"""Members of a cohort get the same curves as in solo training, whatever the other members are."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from lehr.schedules import schedule_from_dict
from tests.unit.workers.cohort.cohorts import Trial, a_task, alone, distance, finish, new_cohort, together, trials
from tests.unit.workers.exploding import FINITE_BUT_LOST, ExplodingTask
from tests.unit.workers.tasks.image_files import drawn, write_idx
from workers.cohort.cohort import Cohort
from workers.cohort.model import NotFusibleError
from workers.tasks.params import OptimizerName
from workers.training.run import Run

RATE = {"sgd": 0.1, "nesterov": 0.1, "adam": 0.01, "adamw": 0.01, "rmsprop": 0.003}
SMALL = {"epochs": 2, "batch_size": 256, "hidden": 16}
# Cohorts use other kernels for the same sums: the float32 rounding error of 6e-8 grows over a few dozen steps.
TOLERANCE = 2e-5


def huge() -> Trial:
    return Trial(schedule_from_dict({"family": "constant", "start_lr": 1e30, "end_lr": 1e30}), seed=9)


def assert_like_alone(task: Any, members: list[Trial], tolerance: float = TOLERANCE) -> None:
    curves = together(task, members)
    assert [distance(alone(task, member), curve) for member, curve in zip(members, curves, strict=True)] == [
        pytest.approx(0, abs=tolerance)
    ] * len(members)


@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
def test_every_optimizer_gives_the_curves_of_each_trial_alone(optimizer: str) -> None:
    params = {**SMALL, "optimizer": optimizer, "weight_decay": 1e-3}
    assert_like_alone(a_task("digits", params), trials(RATE[optimizer]))


@pytest.mark.parametrize("model", ["linear", "cnn"])
def test_every_model_of_digits_gives_the_curves_of_each_trial_alone(model: str) -> None:
    assert_like_alone(a_task("digits", {**SMALL, "model": model, "optimizer": "nesterov"}), trials(0.1))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_idx(folder / "fashion-mnist", drawn(120, (28, 28), 10), drawn(20, (28, 28), 10, seed=1), packed=True)
    return folder


@pytest.mark.parametrize(("model", "rate"), [("mlp", 0.05), ("cnn", 0.05), ("resnet", 0.01)])
def test_every_model_of_images_gives_the_curves_of_each_trial_alone(model: str, rate: float, images: Path) -> None:
    # Each member has its own flips, crops and batch normalisation statistics.
    params = {"model": model, "width": 4, "hidden": 16, "batch_size": 32, "epochs": 2, "flip": True, "crop": 2}
    # Normalisation over a small batch amplifies rounding errors.
    tolerance = 5e-3 if model == "resnet" else TOLERANCE
    assert_like_alone(a_task("images", params, images), trials(rate), tolerance)


@pytest.mark.parametrize("model", ["linear", "mlp", "resnet"])
def test_tables_with_dropout_draw_what_each_trial_draws_alone(model: str) -> None:
    params = {"epochs": 2, "model": model, "dropout": 0.3, "batch_size": 100, "hidden": 16}
    assert_like_alone(a_task("tabular", params), trials(0.1))


def test_a_gpt_with_dropout_draws_what_each_trial_draws_alone(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 40)
    params = {"file": "text.txt", "context": 8, "layers": 1, "heads": 2, "head_width": 8, "epochs": 2}
    more = {"batch_size": 64, "dropout": 0.2, "optimizer": "adamw"}
    assert_like_alone(a_task("text", {**params, **more}, tmp_path), trials(0.01))


def test_members_are_clipped_each_by_its_own_norm() -> None:
    bound = {**SMALL, "clip_norm": 0.05}
    assert_like_alone(a_task("digits", bound), trials(0.1))
    clipped, free = (together(a_task("digits", params), trials(0.1)) for params in (bound, SMALL))
    assert all(distance(a, b) > 0.01 for a, b in zip(clipped, free, strict=True))


def test_an_adaptive_schedule_follows_its_own_members_metric() -> None:
    plateau = schedule_from_dict(
        {"family": "plateau", "start_lr": 0.5, "end_lr": 1e-4, "factor": 0.5, "patience": 0, "threshold": 0.5}
    )
    members = [Trial(plateau, 1), *trials(0.1)]
    task = a_task("digits", {**SMALL, "epochs": 5})
    assert_like_alone(task, members)
    assert len({report.lr for report in together(task, members)[0]}) > 1


def test_a_diverging_member_ends_as_alone_and_disturbs_nobody() -> None:
    task = a_task("digits", {**SMALL, "epochs": 3})
    assert_like_alone(task, [trials(0.1)[0], huge(), *trials(0.1)[1:]])
    assert together(task, [trials(0.1)[0], huge()])[1][-1].train_loss is None


def test_a_finite_loss_that_the_server_would_refuse_is_a_divergence_and_disturbs_nobody() -> None:
    task, well = ExplodingTask(), Trial(schedule_from_dict({"family": "constant", "start_lr": 0.1, "end_lr": 0.1}), 1)
    lost = Trial(FINITE_BUT_LOST, seed=0)
    curve, other = together(task, [well, lost])
    assert [len(curve), len(other)] == [2, 1]
    assert (other[-1].step, other[-1].metrics) == (0, {"val_loss": None})
    assert alone(task, lost)[-1].metrics == {"val_loss": None}


def test_members_that_leave_in_the_middle_of_an_epoch_disturb_nobody() -> None:
    task = a_task("digits", {**SMALL, "epochs": 3})
    members = trials(0.1)
    cohort = new_cohort(task, members)
    pruned, cancelled = cohort.members[1], cohort.members[2]

    def thin(cohort: Cohort) -> None:
        if pruned.step == 2:
            cohort.leave([pruned])
        if cancelled.step == 7:
            cohort.leave([cancelled])

    curves = finish(cohort, thin)
    assert distance(alone(task, members[0]), curves[0]) < TOLERANCE
    assert [len(curve) for curve in curves] == [3, 0, 1]


def test_a_freed_place_is_taken_by_a_trial_that_trains_as_alone() -> None:
    task = a_task("digits", {**SMALL, "epochs": 3})
    early, late = trials(0.1)[:2]
    cohort = new_cohort(task, [early])
    (late_member,) = new_cohort(task, [late]).members
    late_member.name = "late"

    def refill(cohort: Cohort) -> None:
        if cohort.position == 0 and cohort.members[:1] and cohort.members[0].step == 6:
            cohort.join([late_member], [None])

    curves = finish(cohort, refill)
    assert [distance(alone(task, trial), curve) < TOLERANCE for trial, curve in zip((early, late), curves, strict=True)]
    assert [len(curve) for curve in curves] == [3, 3]


def test_the_cohorts_size_changes_no_curve_beyond_rounding_and_repetition_nothing_at_all() -> None:
    task = a_task("digits", {**SMALL, "optimizer": "adam"})
    first = trials(0.01)[0]
    crowd = [first, *(Trial(trial.schedule, seed) for seed, trial in enumerate(trials(0.01) * 5, start=20))]
    curves = [together(task, crowd[:size])[0] for size in (1, 2, 7, 16)]
    assert max(distance(curves[0], curve) for curve in curves) < TOLERANCE
    assert together(task, crowd[:7]) == together(task, crowd[:7])


@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
def test_a_resumed_cohort_equals_an_uninterrupted_one(optimizer: str, tmp_path: Path) -> None:
    params = {"epochs": 3, "batch_size": 100, "dropout": 0.3, "hidden": 16, "optimizer": optimizer, "clip_norm": 1.0}
    task = a_task("tabular", params)
    members = trials(RATE[optimizer])
    expected = together(task, members)
    step = random.Random(optimizer).randrange(1, 14)
    print("interrupted at step", step)
    cohort = new_cohort(task, members)
    curves: list[Any] = [[] for _ in members]
    for _ in range(step):
        for member, told in cohort.advance():
            curves[int(member.name)].append(told)
        cohort.leave([member for member in cohort.members if member.finished])
    left = [int(member.name) for member in cohort.members]
    torch.save([cohort.state(member) for member in cohort.members], tmp_path / "states.pt")
    states = torch.load(tmp_path / "states.pt", weights_only=True)
    for place, curve in zip(left, finish(new_cohort(task, [members[p] for p in left], states)), strict=True):
        curves[place] += curve
    assert curves == expected


@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
def test_a_trial_saved_in_a_cohort_goes_on_alone_and_back(optimizer: str) -> None:
    params = {"epochs": 4, "batch_size": 100, "dropout": 0.3, "hidden": 16, "optimizer": optimizer}
    task = a_task("tabular", params)
    trial = trials(RATE[optimizer])[1]
    expected = alone(task, trial)
    cohort = new_cohort(task, [trial, trials(RATE[optimizer])[0]])
    curve = [told for _ in range(7) for member, told in cohort.advance() if member is cohort.members[0]]
    run = Run(task, trial.schedule, trial.seed, torch.device("cpu"))
    run.restore(cohort.state(cohort.members[0]))
    while run.step < 13:
        report = run.advance()
        curve += [] if report is None else [report]
    curve += finish(new_cohort(task, [trial], [run.state()]))[0]
    assert distance(expected, curve) < TOLERANCE


def test_members_at_other_positions_of_their_epochs_are_refused() -> None:
    task = a_task("digits", SMALL)
    cohort = new_cohort(task, trials(0.1)[:1])
    cohort.advance()
    (late,) = new_cohort(task, trials(0.1)[1:2]).members
    with pytest.raises(ValueError, match=r"share one position of their epochs, not \[0, 1\]"):
        cohort.join([late], [None])


def test_a_model_with_frozen_weights_is_not_fused_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    task = a_task("digits", SMALL)
    build = task.build_model

    def frozen() -> Any:
        model = build()
        next(iter(model.parameters())).requires_grad_(False)
        return model

    monkeypatch.setattr(task, "build_model", frozen)
    with pytest.raises(NotFusibleError, match="not trained"):
        Cohort(task, task.data(torch.device("cpu")), torch.device("cpu"))


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    together(a_task("tabular", {"epochs": 1, "dropout": 0.5}), trials(0.1))
    np.testing.assert_array_equal(torch.rand(3), expected)
