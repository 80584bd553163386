"""The bounded window of results."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from service.search.observations import Observation
from service.search.window import Window, WindowSize

SIZE = WindowSize(best=5, newest=7, spread=6)


def result(number: int, value: float) -> Observation:
    return Observation(number, "constant", {"start_lr": 0.1}, "COMPLETED", value)


def window_of(results: list[Observation]) -> Window:
    window = Window(SIZE, "minimize", seed=1)
    for one in results:
        window.add(one)
    return window


@given(st.lists(st.floats(0, 1), max_size=60), st.randoms(use_true_random=False))
def test_the_window_depends_on_which_results_were_added_and_not_on_their_order(
    values: list[float], shuffler: random.Random
) -> None:
    results = [result(number, value) for number, value in enumerate(values)]
    shuffled = list(results)
    shuffler.shuffle(shuffled)
    assert list(window_of(results)) == list(window_of(shuffled))


@given(st.lists(st.floats(0, 1), max_size=60))
def test_the_window_keeps_the_best_and_the_newest_and_stays_bounded(values: list[float]) -> None:
    results = [result(number, value) for number, value in enumerate(values)]
    window = window_of(results)
    best = sorted(results, key=lambda one: (one.value, one.number))[: SIZE.best]
    assert all(one.number in window for one in [*best, *results[-SIZE.newest :]])
    assert len(window) <= SIZE.best + SIZE.newest + SIZE.spread
    assert window.added == len(values)


def test_the_thinned_rest_comes_from_the_whole_search() -> None:
    window = window_of([result(number, 1 - number / 2000) for number in range(1000)])
    rest = [one.number for one in window if one.number < 990]
    assert len(rest) >= SIZE.spread - 1
    assert min(rest) < 500


def test_pruned_trials_rank_behind_completed_ones_and_diverged_ones_last() -> None:
    window = Window(WindowSize(best=2, newest=0, spread=0), "maximize", seed=1)
    window.add(Observation(0, "constant", {}, "DIVERGED", None))
    window.add(Observation(1, "constant", {}, "PRUNED", None, ((10, 0.9),)))
    window.add(Observation(2, "constant", {}, "COMPLETED", 0.1))
    window.add(Observation(3, "constant", {}, "PRUNED", None, ((20, 0.2),)))
    assert [one.number for one in window] == [2, 3]
