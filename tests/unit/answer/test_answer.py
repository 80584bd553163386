"""Finalists, the winner, and the answer document."""

from __future__ import annotations

import pytest

from lehr.errors import ConflictError
from lehr.schedules import Constant, Cosine, Linear, Schedule
from service.answer.confirmation import Confirmed, ConfirmRun, choose_winner
from service.answer.document import StudyFacts, answer, rates
from service.answer.finalists import SearchTrial, best_baseline, confirm_seeds, finalists

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


def test_the_best_distinct_schedules_and_the_best_constant_are_confirmed() -> None:
    trials = [
        completed(0, constant(0.01), 0.80),
        completed(1, constant(0.02), 0.85),
        completed(2, cosine(0.1), 0.95),
        completed(3, cosine(0.1), 0.94),
        completed(4, cosine(0.2), 0.93),
        SearchTrial(5, cosine(0.5), "DIVERGED", None),
        completed(6, cosine(0.3), 0.90),
    ]
    assert [trial.number for trial in finalists(trials, "maximize", 2)] == [2, 4, 1]
    assert [trial.number for trial in finalists(trials, "minimize", 2)] == [0, 1]


def test_a_baseline_among_the_finalists_is_not_confirmed_twice() -> None:
    trials = [completed(0, constant(0.01), 0.99), completed(1, cosine(0.1), 0.95)]
    assert [trial.number for trial in finalists(trials, "maximize", 3)] == [0, 1]


def test_equal_values_go_to_the_lower_number() -> None:
    trials = [completed(7, cosine(0.1), 0.9), completed(3, cosine(0.2), 0.9), completed(5, cosine(0.3), 0.9)]
    assert [trial.number for trial in finalists(trials, "maximize", 2)] == [3, 5]


def test_a_constant_with_a_warmup_is_no_baseline() -> None:
    warmed = Constant(start_lr=0.01, peak_lr=0.1, end_lr=0.1, warmup_fraction=0.1)
    assert best_baseline([completed(0, warmed, 0.9)], "maximize") is None


def test_confirmation_seeds_are_fresh_distinct_and_the_same_at_every_call() -> None:
    for search_seed in range(50):
        seeds = confirm_seeds(search_seed, 100)
        assert len(set(seeds)) == 100
        assert search_seed not in seeds
        assert all(0 <= seed < 2**31 for seed in seeds)
        assert seeds[:5] == confirm_seeds(search_seed, 5)


def test_the_best_confirmed_mean_wins_over_the_luckiest_search_trial() -> None:
    lucky, steady = completed(0, cosine(0.1), 0.99), completed(1, cosine(0.2), 0.95)
    winner = choose_winner([confirmed(lucky, 0.90, 0.91), confirmed(steady, 0.94, 0.93)], "maximize")
    assert winner is not None
    assert winner.trial is steady


def test_equal_means_go_to_the_better_search_value_then_to_the_lower_number() -> None:
    trials = [completed(4, cosine(0.1), 0.9), completed(3, cosine(0.2), 0.9), completed(2, cosine(0.3), 0.8)]
    winner = choose_winner([confirmed(trial, 0.5, 0.7) for trial in trials], "maximize")
    assert winner is not None
    assert winner.trial.number == 3


def test_a_schedule_that_diverged_on_a_seed_loses_unless_all_did() -> None:
    fast, slow = completed(0, cosine(0.9), 0.99), completed(1, cosine(0.1), 0.9)
    winner = choose_winner([confirmed(fast, 0.99, None), confirmed(slow, 0.7, 0.7)], "maximize")
    assert winner is not None
    assert winner.trial is slow
    winner = choose_winner([confirmed(fast, 0.99, None), confirmed(slow, 0.7, None)], "maximize")
    assert winner is not None
    assert winner.trial is fast


def test_the_answer_compares_the_winner_with_the_baseline_on_paired_seeds() -> None:
    best, baseline = completed(2, cosine(0.1), 0.97), completed(0, constant(0.03), 0.95)
    document = answer(
        FACTS, [best, baseline], [confirmed(best, 0.97, 0.96, 0.98), confirmed(baseline, 0.95, 0.94, 0.96)]
    )
    assert (document.trial, document.value, document.schedule) == (2, 0.97, best.schedule)
    assert document.confirmation is not None
    assert (document.confirmation.seeds, document.confirmation.mean) == (3, pytest.approx(0.97))
    assert document.baseline is not None
    assert document.baseline.schedule == baseline.schedule
    assert document.gain is not None
    assert (document.gain.mean, document.gain.verdict) == (pytest.approx(0.02), "better")


def test_a_winning_baseline_ties_with_itself() -> None:
    best, baseline = completed(2, cosine(0.1), 0.97), completed(0, constant(0.03), 0.95)
    document = answer(FACTS, [best, baseline], [confirmed(best, 0.9, 0.8), confirmed(baseline, 0.95, 0.94)])
    assert document.trial == 0
    assert document.gain is not None
    assert (document.gain.mean, document.gain.verdict) == (0.0, "tie")


def test_without_confirmation_the_best_search_trial_is_the_answer_and_compared_with_nothing() -> None:
    trials = [completed(2, cosine(0.1), 0.97), completed(0, constant(0.03), 0.95)]
    document = answer(FACTS, trials)
    assert document.trial == 2
    assert (document.confirmation, document.baseline, document.gain) == (None, None, None)


def test_there_is_no_answer_before_a_trial_has_completed() -> None:
    with pytest.raises(ConflictError, match="No trial"):
        answer(FACTS, [SearchTrial(0, cosine(0.1), "DIVERGED", None)])


def test_before_the_horizon_is_known_the_answer_has_neither_rates_nor_code() -> None:
    document = answer(StudyFacts("s1", "RUNNING", "loss", "minimize", None), [completed(0, cosine(0.1), 0.2)])
    assert (document.lr, document.code) == (None, {})


def test_the_answers_code_reproduces_its_rates() -> None:
    import torch

    document = answer(FACTS, [completed(0, cosine(0.1), 0.2)])
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


def test_a_constant_winner_is_its_own_baseline() -> None:
    lucky, better = completed(0, constant(0.03), 0.96), completed(1, constant(0.05), 0.95)
    document = answer(FACTS, [lucky, better], [confirmed(lucky, 0.9, 0.8), confirmed(better, 0.95, 0.94)])
    assert document.schedule == better.schedule
    assert document.baseline is not None
    assert document.baseline.schedule == better.schedule
    assert document.gain is not None
    assert (document.gain.mean, document.gain.verdict) == (0.0, "tie")
