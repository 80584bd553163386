"""The answer document: its values and comparisons."""

from __future__ import annotations

import pytest

from lehr.errors import ConflictError
from lehr.schedules import Constant, Cosine, Linear, Schedule
from lehr.wire.answers import Recommendation
from service.answer.confirmation import Confirmed, ConfirmRun
from service.answer.document import ConfirmedResults, StudyFacts, answer, rates
from service.answer.finalists import SearchTrial, is_baseline

FACTS = StudyFacts("s1", "COMPLETED", "val_accuracy", "maximize", 100)


def constant(rate: float) -> Schedule:
    return Constant(start_lr=rate, end_lr=rate)


def cosine(rate: float) -> Schedule:
    return Cosine(start_lr=rate, end_lr=0.001)


def completed(number: int, schedule: Schedule, value: float) -> SearchTrial:
    return SearchTrial(number, schedule, "COMPLETED", value)


def confirmed(trial: SearchTrial, *values: float | None) -> Confirmed:
    """None stands for a run that diverged."""
    runs = (ConfirmRun(seed, "DIVERGED" if value is None else "COMPLETED", value) for seed, value in enumerate(values))
    return Confirmed(trial, tuple(runs))


def measured(
    found: Confirmed, baseline: Confirmed | None = None, *compared: Confirmed, code: str = "clearly_best"
) -> ConfirmedResults:
    return ConfirmedResults(found, baseline, compared, Recommendation(code=code, message="", tied=[]))


def test_a_constant_with_a_warmup_is_no_baseline() -> None:
    assert is_baseline(constant(0.1))
    assert not is_baseline(Constant(start_lr=0.01, peak_lr=0.1, end_lr=0.1, warmup_fraction=0.1))


def test_the_answer_is_compared_with_the_baseline_and_with_others_on_paired_seeds() -> None:
    best, baseline, own = (
        completed(2, cosine(0.1), 0.97),
        completed(0, constant(0.03), 0.95),
        completed(1, cosine(0.5), 0.9),
    )
    found = measured(
        confirmed(best, 0.97, 0.96, 0.98), confirmed(baseline, 0.95, 0.94, 0.96), confirmed(own, 0.99, 0.98, 1.0)
    )
    document = answer(FACTS, best, found)
    assert (document.trial, document.value, document.schedule) == (2, 0.97, best.schedule)
    assert document.confirmation is not None
    assert (document.confirmation.seeds, document.confirmation.mean) == (3, pytest.approx(0.97))
    assert document.baseline is not None
    assert document.baseline.schedule == baseline.schedule
    assert document.gain is not None
    assert (document.gain.mean, document.gain.verdict) == (pytest.approx(0.02), "better")
    (comparison,) = document.comparisons
    assert comparison.gain is not None
    assert (comparison.trial, comparison.mean, comparison.gain.verdict) == (1, pytest.approx(0.99), "worse")


def test_an_answer_that_diverged_where_the_baseline_did_not_is_not_called_better() -> None:
    best, baseline = completed(2, cosine(0.9), 0.97), completed(0, constant(0.03), 0.9)
    document = answer(
        FACTS, best, measured(confirmed(best, 0.97, 0.96, 0.98, None), confirmed(baseline, 0.9, 0.9, 0.9, 0.9))
    )
    assert document.gain is not None
    assert document.gain.ci95 is not None
    assert document.gain.ci95[0] > 0
    assert document.gain.verdict == "tie"
    assert document.confirmation is not None
    assert (document.confirmation.seeds, document.confirmation.diverged) == (3, 1)


def test_without_confirmation_the_best_search_trial_is_the_answer_and_compared_with_nothing() -> None:
    document = answer(FACTS, completed(2, cosine(0.1), 0.97))
    assert document.trial == 2
    assert document.recommendation is None
    assert (document.confirmation, document.baseline, document.gain) == (None, None, None)


def test_there_is_no_answer_before_a_trial_has_completed() -> None:
    with pytest.raises(ConflictError, match="No trial"):
        answer(FACTS, None)


def test_before_the_horizon_is_known_the_answer_has_neither_rates_nor_code() -> None:
    document = answer(StudyFacts("s1", "RUNNING", "loss", "minimize", None), completed(0, cosine(0.1), 0.2))
    assert (document.lr, document.code) == (None, {})


def test_the_answers_code_reproduces_its_rates() -> None:
    import torch

    document = answer(FACTS, completed(0, cosine(0.1), 0.2))
    assert document.lr is not None
    assert "torch" in document.code
    compile(document.code["torch"], "answer", "exec")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=99, eta_min=0.001)
    for value in document.lr.value:
        assert value == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        reference.step()


@pytest.mark.parametrize(
    ("horizon", "points", "steps"),
    [
        (5, None, [0, 1, 2, 3, 4]),
        (5, 3, [0, 2, 4]),
        (5, 1, [0]),
        (1, 3, [0]),
        (5, 50, [0, 1, 2, 3, 4]),
        (101, 2, [0, 100]),
    ],
)
def test_rates_are_listed_at_evenly_spaced_steps_with_both_ends(
    horizon: int, points: int | None, steps: list[int]
) -> None:
    assert rates(Linear(start_lr=0.1, end_lr=0.0), horizon, points).step == steps


def test_a_long_horizon_lists_at_most_a_thousand_rates() -> None:
    curve = rates(Linear(start_lr=0.1, end_lr=0.01), 50_000)
    assert len(curve.step) == 1000
    assert (curve.step[0], curve.step[-1]) == (0, 49_999)
    assert (curve.value[0], curve.value[-1]) == (0.1, 0.01)


def test_a_constant_answer_is_its_own_baseline_and_ties_with_itself() -> None:
    runs = confirmed(completed(1, constant(0.05), 0.95), 0.95, 0.94)
    document = answer(FACTS, runs.trial, measured(runs, runs))
    assert document.baseline is not None
    assert document.baseline.schedule == document.schedule
    assert document.gain is not None
    assert (document.gain.mean, document.gain.verdict) == (0.0, "tie")
