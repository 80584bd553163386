"""The first trials, without a server: similarity, priors, portfolios and schedules as points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from lehr.schedules import schedule_from_dict
from lehr.space import Range, Space
from service.search.portfolio import Known, portfolio
from service.search.priors import prior_schedules
from service.search.projection import project_onto
from service.search.rates import rate_features
from service.search.similarity import similarity
from service.search.starts import mixed_starts

SPACE = Space.of(families=["cosine", "one_cycle"], start_lr=Range(1e-3, 1.0), end_lr=Range(1e-4, 1e-2))


def test_a_task_is_most_like_itself_and_less_so_with_each_difference() -> None:
    params = {"optimizer": "sgd", "batch_size": 64, "model": "mlp"}
    chain = [
        ("digits", params),
        ("digits", {**params, "batch_size": 128}),
        ("digits", {**params, "batch_size": 256}),
        ("images", {**params, "batch_size": 256}),
        ("images", {**params, "batch_size": 256, "optimizer": "adam"}),
    ]
    found = [similarity("digits", params, name, other) for name, other in chain]
    assert found[0] == 1.0
    assert found[2] == pytest.approx(0.5)
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)


def test_two_families_with_the_same_rates_are_the_same_point() -> None:
    line = schedule_from_dict({"family": "linear", "start_lr": 0.1, "end_lr": 0.001})
    power = schedule_from_dict({"family": "polynomial", "start_lr": 0.1, "end_lr": 0.001, "power": 1.0})
    constant = schedule_from_dict({"family": "constant", "start_lr": 0.1, "end_lr": 0.1})
    assert rate_features(line) == pytest.approx(rate_features(power))
    assert rate_features(line)[:2] == pytest.approx([-1.0, np.log10((0.1 + 0.001) / 2)])
    assert float(np.abs(rate_features(line) - rate_features(constant)).max()) > 0.5


def test_the_fields_defaults_lie_in_the_space_and_belong_to_the_optimizer() -> None:
    found = list(prior_schedules(SPACE, "sgd"))
    assert [(one.family, one.max_lr) for one in found] == [("cosine", 0.1), ("one_cycle", 0.1), ("constant", 0.1)]
    assert all(SPACE.point(one) is not None for one in found)
    assert {one.max_lr for one in prior_schedules(SPACE, "adamw")} == {1e-3}
    assert list(prior_schedules(SPACE, None)) == list(prior_schedules(SPACE, "lion")) == []


def test_a_schedule_from_elsewhere_keeps_its_highest_rate_or_is_left_out() -> None:
    low_end = schedule_from_dict({"family": "cosine", "start_lr": 0.1, "end_lr": 1e-7})
    found = project_onto(SPACE, low_end)
    assert found is not None
    assert (found.max_lr, found.end_lr) == (pytest.approx(0.1), pytest.approx(1e-4))
    assert project_onto(SPACE, schedule_from_dict({"family": "cosine", "start_lr": 2.0, "end_lr": 1e-3})) is None
    assert project_onto(SPACE, schedule_from_dict({"family": "linear", "start_lr": 0.1, "end_lr": 1e-3})) is None


def test_a_portfolio_holds_a_good_point_for_every_kind_of_study() -> None:
    """Studies with the optimum at 0.2 or at 0.8; each tried other points, so that most regrets are predicted."""
    generator, known = np.random.default_rng(0), []
    points: dict[float, NDArray[np.float64]] = {}
    for optimum in (0.2, 0.2, 0.8):
        tried = {float(x): (x - optimum) ** 2 for x in generator.random(20)}
        points |= {x: np.array([x]) for x in tried}
        known.append(Known(1.0, tried))
    first, second = portfolio(known, points, 2)
    assert abs(first - 0.2) < 0.1
    assert abs(second - 0.8) < 0.1


def test_what_diverged_or_never_varied_is_in_no_portfolio() -> None:
    points = {key: np.array([key / 10]) for key in range(10)}
    assert portfolio([Known(1.0, dict.fromkeys(points, math.inf))], points, 3) == []
    assert portfolio([Known(1.0, dict.fromkeys(points, 1.0))], points, 3) == []
    assert portfolio([], points, 3) == []
    mixed = Known(1.0, {key: math.inf if key > 4 else float(key) for key in points})
    assert portfolio([mixed], points, 1) == [0]


def test_defaults_and_what_did_well_elsewhere_take_turns_within_the_room() -> None:
    found = list(mixed_starts(list("abcdefgh"), ["p", "a", "q", "r"], 8, given=["b"]))
    assert [origin for _, origin in found[:4]] == ["warm", "prior", "warm", "prior"]
    assert [one for one, origin in found if origin == "prior"] == ["p", "q"]
    assert [one for one, origin in found if origin == "warm"] == ["a", "c", "d", "e", "f", "g"]


def test_without_studies_to_learn_from_half_of_the_room_is_left_to_the_search() -> None:
    assert list(mixed_starts([], ["p", "q", "r"], 4)) == [("p", "prior"), ("q", "prior")]
    assert list(mixed_starts([], ["p", "q", "r"], 1)) == []
