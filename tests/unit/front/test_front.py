"""The front contains all trials that no other trial beats, and only these."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lehr.schedules import Constant
from lehr.wire.front import FrontTrial
from service.answer.pareto import pareto_front
from service.search.observations import as_loss

SCHEDULE = Constant(start_lr=0.1, end_lr=0.1)


def trials(pairs: list[tuple[int, float]]) -> list[FrontTrial]:
    return [
        FrontTrial(trial=number, schedule=SCHEDULE, value=value, steps=steps)
        for number, (steps, value) in enumerate(pairs)
    ]


def beats(one: FrontTrial, other: FrontTrial, direction: str) -> bool:
    aims = [(each.steps, as_loss(each.value, direction)) for each in (one, other)]
    return aims[0] != aims[1] and all(left <= right for left, right in zip(*aims, strict=True))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9).map(float))), st.sampled_from(["maximize", "minimize"]))
def test_the_front_is_every_trial_that_no_other_beats(pairs: list[tuple[int, float]], direction: str) -> None:
    all_of_them = trials(pairs)
    front = pareto_front(all_of_them, direction)
    unbeaten = {
        (one.steps, one.value) for one in all_of_them if not any(beats(other, one, direction) for other in all_of_them)
    }
    assert {(one.steps, one.value) for one in front} == unbeaten
    assert len(front) == len(unbeaten)
    assert [one.steps for one in front] == sorted(one.steps for one in front)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5).map(float), st.integers(0, 5).map(float)), max_size=12))
def test_with_three_aims_the_front_is_still_every_trial_that_no_other_beats(
    told: list[tuple[int, float, float]],
) -> None:
    all_of_them = [
        FrontTrial(trial=number, schedule=SCHEDULE, value=value, steps=steps, rate_sensitivity=sensitivity)
        for number, (steps, value, sensitivity) in enumerate(told)
    ]
    front = pareto_front(all_of_them, "minimize", ("steps", "rate_sensitivity"))
    unbeaten = {
        one
        for one in told
        if not any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in told)
    }
    assert {(one.steps, one.value, one.rate_sensitivity) for one in front} == unbeaten
    assert len(front) == len(unbeaten)
