"""For any finite reports of trainings, every finding has finite numbers."""

from __future__ import annotations

import math
import sys

from hypothesis import given
from hypothesis import strategies as st

from lehr.schedules import Constant, Cosine
from lehr.wire.diagnosis import Finding
from lehr.wire.ranges import RangeSpec
from lehr.wire.studies import Direction, SpaceSpec
from lehr.wire.trials import TrialState
from service.diagnosis.neighbours import Neighbours, Tried, neighbours
from service.diagnosis.results import Result, StudyResults
from service.diagnosis.study import diagnose_study
from service.diagnosis.training_curve import TrialCurve
from service.diagnosis.trial import diagnose

EDGES = [0.0, 5e-324, 1e-308, 1e-170, 1e-5, 1.0, 1e100, 1e101, 1e155, 1e308, sys.float_info.max]
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([*EDGES, *(-edge for edge in EDGES)])
)
FALLING = st.lists(VALUES, min_size=1, max_size=15).map(lambda values: sorted(values, reverse=True))
RATES = st.one_of(st.floats(0, allow_infinity=False), st.sampled_from(EDGES))
DIRECTIONS: st.SearchStrategy[Direction] = st.sampled_from(["minimize", "maximize"])
STATES: st.SearchStrategy[TrialState] = st.sampled_from(["COMPLETED", "COMPLETED", "DIVERGED"])
SPACE = SpaceSpec(families=["constant", "cosine"], start_lr=RangeSpec(low=1e-3, high=1.0))


def assert_finite(findings: list[Finding]) -> None:
    for finding in findings:
        assert all(map(math.isfinite, finding.evidence.values())), finding
        assert "nan" not in finding.message, finding


@st.composite
def curves(draw: st.DrawFn) -> TrialCurve:
    count = draw(st.integers(1, 15))
    reported = st.lists(VALUES | st.none(), min_size=count, max_size=count) | FALLING.map(
        lambda values: [*values, *[values[-1]] * count][:count]
    )
    rates = draw(st.lists(RATES, min_size=count, max_size=count))
    return TrialCurve(
        state=draw(STATES),
        metric="metric",
        direction=draw(DIRECTIONS),
        horizon_steps=10 * count,
        max_lr=max(*rates, 5e-324),
        rise_fraction=draw(st.sampled_from([0.0, 0.1, 0.6])),
        steps=[10 * at + 9 for at in range(count)],
        rates=rates,
        train_loss=draw(reported),
        metrics={name: draw(reported) for name in draw(st.sets(st.sampled_from(["metric", "val_loss"])))},
    )


@st.composite
def known(draw: st.DrawFn) -> Neighbours:
    tried = st.builds(Tried, st.floats(5e-324, 1e308), VALUES | st.none())
    return neighbours(draw(tried), draw(st.lists(tried, max_size=12)), draw(DIRECTIONS))


@given(curves(), known() | st.none())
def test_a_diagnosis_of_any_training_rests_on_finite_numbers(curve: TrialCurve, others: Neighbours | None) -> None:
    assert_finite(diagnose(curve, others))


@given(st.lists(st.tuples(STATES, VALUES), max_size=20), st.lists(st.lists(VALUES, max_size=4), max_size=5), DIRECTIONS)
def test_a_diagnosis_of_any_study_rests_on_finite_numbers(
    ends: list[tuple[TrialState, float]], repeats: list[list[float]], direction: Direction
) -> None:
    results = []
    for number, (state, value) in enumerate(ends):
        rate = 1e-3 * 1.5**number
        schedule = Constant(start_lr=rate, end_lr=rate) if number % 2 else Cosine(start_lr=rate, end_lr=rate / 9)
        results.append(Result(number, state, schedule, value if state == "COMPLETED" else None))
    assert_finite(diagnose_study(StudyResults(SPACE, "metric", direction, results, repeats)))


def test_a_study_of_tiny_losses_is_too_noisy_as_it_is_of_usual_ones() -> None:
    """The square of a deviation of 1e-170 is 0."""

    def codes(unit: float) -> list[str]:
        results = [
            Result(at, "COMPLETED", Constant(start_lr=1e-3 * 2**at, end_lr=1e-3 * 2**at), unit * (5 + at % 3))
            for at in range(8)
        ]
        repeats = [[unit * 2, unit * 9, unit * 5], [unit * 3, unit * 8, unit]]
        return [one.code for one in diagnose_study(StudyResults(SPACE, "loss", "minimize", results, repeats))]

    assert codes(1.0) == codes(1e-170) == codes(1e200) == ["too_noisy"]
