"""Means, intervals and verdicts agree with published values and closed forms."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answer.statistics import paired_gain, summarise

# "Student" (1908), table of hours of sleep gained under two drugs by ten patients; the paired
# difference's mean is 1.58 and its 95% interval 0.70 to 2.46 (R: t.test(..., paired = TRUE)).
FIRST_DRUG = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND_DRUG = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]

values = st.floats(-1e6, 1e6)


def by_seed(numbers: list[float]) -> dict[int, float]:
    return dict(enumerate(numbers))


def test_students_sleep_data_give_his_paired_interval() -> None:
    gain = paired_gain(by_seed(SECOND_DRUG), by_seed(FIRST_DRUG), "maximize")
    assert gain is not None
    assert gain.ci95 is not None
    assert gain.mean == pytest.approx(1.58)
    assert gain.ci95 == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    assert gain.verdict == "better"
    assert gain.pairs == 10


def test_where_less_is_better_the_same_data_are_worse() -> None:
    gain = paired_gain(by_seed(SECOND_DRUG), by_seed(FIRST_DRUG), "minimize")
    assert gain is not None
    assert gain.mean == pytest.approx(-1.58)
    assert gain.verdict == "worse"


def test_a_sample_of_two_has_the_closed_form_interval_of_one_degree_of_freedom() -> None:
    summary = summarise([1.0, 3.0])
    assert summary is not None
    assert summary.mean == 2.0
    assert summary.std == pytest.approx(math.sqrt(2))
    # Student's t with one degree of freedom is Cauchy's: its quantile at p is tan(pi (p - 1/2)).
    half_width = math.tan(math.pi * 0.475)
    assert summary.ci95 == pytest.approx((2 - half_width, 2 + half_width))


def test_an_empty_sample_has_no_summary_and_a_single_value_no_interval() -> None:
    assert summarise([]) is None
    single = summarise([0.5])
    assert single is not None
    assert (single.count, single.mean, single.std, single.ci95) == (1, 0.5, None, None)


def test_equal_values_have_an_interval_of_no_width() -> None:
    summary = summarise([0.1] * 7)
    assert summary is not None
    assert summary.std == 0.0
    assert summary.ci95 == (0.1, 0.1)


def test_a_schedule_compared_with_itself_ties_at_zero() -> None:
    gain = paired_gain(by_seed(FIRST_DRUG), by_seed(FIRST_DRUG), "maximize")
    assert gain is not None
    assert (gain.mean, gain.ci95, gain.verdict) == (0.0, (0.0, 0.0), "tie")


def test_the_same_difference_on_every_seed_is_no_tie() -> None:
    gain = paired_gain({1: 2.0, 2: 3.0, 3: 4.0}, {1: 1.0, 2: 2.0, 3: 3.0}, "maximize")
    assert gain is not None
    assert (gain.mean, gain.ci95, gain.verdict) == (1.0, (1.0, 1.0), "better")


def test_only_seeds_that_both_completed_are_paired() -> None:
    gain = paired_gain({1: 2.0, 2: 3.0, 4: 100.0}, {1: 1.0, 2: 2.5, 3: -100.0}, "maximize")
    assert gain is not None
    assert gain.pairs == 2
    assert gain.mean == pytest.approx(0.75)


def test_one_pair_ties_whatever_its_difference_and_no_pair_says_nothing() -> None:
    gain = paired_gain({1: 9.0}, {1: 1.0}, "maximize")
    assert gain is not None
    assert (gain.mean, gain.ci95, gain.verdict) == (8.0, None, "tie")
    assert paired_gain({1: 9.0}, {2: 1.0}, "maximize") is None


def test_values_near_the_largest_double_overflow_into_no_infinity() -> None:
    summary = summarise([1.7e308, -1.7e308, 1.7e308])
    gain = paired_gain({1: 1.7e308, 2: 1.6e308}, {1: -1.7e308, 2: -1.7e308}, "maximize")
    assert summary is not None
    assert gain is not None
    assert math.isfinite(summary.mean)
    assert summary.ci95 is None
    assert math.isfinite(gain.mean)
    assert gain.ci95 is None


@given(st.lists(values, min_size=2, max_size=30), st.floats(-1e5, 1e5))
def test_shifting_a_sample_shifts_its_interval_and_keeps_its_spread(sample: list[float], shift: float) -> None:
    one, other = summarise(sample), summarise([value + shift for value in sample])
    assert one is not None
    assert other is not None
    assert other.mean == pytest.approx(one.mean + shift, abs=1e-6)
    assert other.std == pytest.approx(one.std, abs=1e-6)


@given(st.dictionaries(st.integers(0, 9), values, min_size=2), st.dictionaries(st.integers(0, 9), values, min_size=2))
def test_swapping_the_sides_turns_the_gain_around(one: dict[int, float], other: dict[int, float]) -> None:
    forth, back = paired_gain(one, other, "maximize"), paired_gain(other, one, "maximize")
    assert (forth is None) == (back is None)
    if forth is not None and back is not None:
        assert forth.mean == -back.mean
        assert {forth.verdict, back.verdict} in ({"tie"}, {"better", "worse"})


def test_differences_within_rounding_are_a_tie() -> None:
    sums = {0: 0.1 + 0.2, 1: 0.7}
    gain = paired_gain(sums, {0: 0.3, 1: 0.1 * 7}, "maximize")
    assert gain is not None
    assert (gain.mean, gain.verdict) == (0.0, "tie")
