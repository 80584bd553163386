"""Seeds are deterministic, and a confirmation uses none that influenced a choice."""

from __future__ import annotations

import pytest

from service.store.seeds import SEED_LIMIT, confirm_seeds, search_seed, sweep_seed


@pytest.mark.parametrize("study_seed", [0, 1, 2**31 - 1])
def test_every_trial_of_a_search_has_a_seed_of_its_own_that_no_confirmation_has(study_seed: int) -> None:
    searched = [search_seed(study_seed, number) for number in range(2000)]
    confirming = confirm_seeds(study_seed, 500)
    assert len(set(searched)) == 2000
    assert len(set(confirming)) == 500
    assert not set(searched) & set(confirming)
    assert all(0 <= seed < SEED_LIMIT for seed in (*searched, *confirming))


@pytest.mark.parametrize("study_seed", [0, 1, 2**31 - 1])
def test_sweeps_have_seeds_that_every_framework_accepts_and_no_confirmation_has(study_seed: int) -> None:
    sweeping = [sweep_seed(study_seed, index) for index in range(2000)]
    assert len(set(sweeping)) == 2000
    assert all(0 <= seed < SEED_LIMIT for seed in sweeping)
    assert not set(sweeping) & set(confirm_seeds(study_seed, 500))


def test_seeds_are_the_same_at_every_call_and_others_in_another_study() -> None:
    assert [search_seed(3, number) for number in range(5)] == [search_seed(3, number) for number in range(5)]
    assert confirm_seeds(3, 8)[:5] == confirm_seeds(3, 5)
    assert not {search_seed(3, number) for number in range(50)} & {search_seed(4, number) for number in range(50)}
    assert not {*confirm_seeds(3, 50)} & {*confirm_seeds(4, 50)}
