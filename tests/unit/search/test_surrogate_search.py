"""The surrogate over partial curves, and the benchmark of tables that drives the server's searcher."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.search.lehr_search import first_rows, lehr_regrets, warm_rows
from benchmarks.search.peers import PEERS, peer_regrets
from benchmarks.search.tables import Table, adam_default, read_tables
from service.search.observations import Observation
from service.search.samplers.surrogate import passed


def table(name: str, seed: int, optimum: float = 0.3) -> Table:
    """200 rows on two axes, whose losses fall to their distance from the optimum; a tenth diverges."""
    generator = np.random.default_rng(seed)
    points = np.random.default_rng(0).random((200, 2))
    final = ((points - optimum) ** 2).sum(axis=1)
    losses = final[:, None] + np.linspace(1, 0, 21)[None, :] * (0.5 + 0.1 * generator.random((200, 1)))
    losses[::10, 4:] = np.inf
    return Table(name, ("a", "b"), points, losses)


def test_a_stopped_trial_stands_by_the_phases_that_it_passed() -> None:
    reports = tuple((step, 1.0 - step / 100) for step in range(9, 100, 10))
    whole = Observation(0, "cosine", {}, "COMPLETED", 0.005, reports)
    assert passed(whole, 100, "minimize") == pytest.approx([0.91, 0.91, 0.61, 0.005])
    stopped = Observation(1, "cosine", {}, "PRUNED", None, reports[:2])
    assert passed(stopped, 100, "minimize") == pytest.approx([0.91, 0.91])
    assert passed(Observation(2, "cosine", {}, "DIVERGED", None), 100, "minimize") == [math.inf] * 4
    assert passed(Observation(3, "cosine", {}, "COMPLETED", 0.9), 100, "maximize") == [-0.9] * 4


@pytest.mark.parametrize("pruner", ["race", "none"])
def test_the_servers_search_finds_the_best_of_a_table(pruner: str) -> None:
    regrets = lehr_regrets(table("one", 1), 0, pruner=pruner)
    assert regrets == sorted(regrets, reverse=True)
    assert regrets[-1] < 0.05


def test_a_warm_search_never_sees_the_results_of_its_own_task() -> None:
    """The portfolio for a task stays the same whatever that task's losses are."""
    others = [table("two", 2), table("three", 3)]
    one, changed = table("one", 1), table("one", 1, optimum=0.9)
    assert warm_rows(one, others) == warm_rows(changed, others)
    assert lehr_regrets(one, 0, others)[0] < 0.05
    with pytest.raises(AssertionError, match="held out"):
        warm_rows(one, [*others, one])


def test_a_cold_search_starts_beside_the_fields_default_whatever_the_losses_are(tmp_path: Path) -> None:
    generator, usual = np.random.default_rng(0), adam_default()
    rows = np.exp(generator.uniform(np.log(1e-8), np.log(0.5), (50, len(usual))))
    rows[7] = [max(value, 1e-8) for value in usual.values()]
    for name, losses in (("one", generator.random((50, 11))), ("two", generator.random((50, 11)))):
        np.savez(tmp_path / f"{name}.npz", hp=rows, hp_names=list(usual), valid_loss=losses)
    one, two = read_tables(tmp_path)
    assert first_rows(one, [])[0] == 7
    assert first_rows(one, []) == first_rows(two, [])
    assert first_rows(table("other axes", 0), []) == []


@pytest.mark.parametrize("name", [name for name in PEERS if name != "GP"])
def test_a_peers_search_is_the_same_again(name: str) -> None:
    assert peer_regrets(name, table("one", 1), 0) == peer_regrets(name, table("one", 1), 0)
