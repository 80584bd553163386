"""For any finite losses and rates of sweeps, a range test has a valid document and plot."""

from __future__ import annotations

import math
import sys
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from service.ranges.loss_by_rate import Sweep
from service.ranges.picture import picture
from service.ranges.range_test import range_test

EDGES = [0.0, 5e-324, 1e-308, 1e-170, 1e-5, 1.0, 1e100, 1e101, 1e155, 1e308, sys.float_info.max]
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([*EDGES, *(-edge for edge in EDGES)])
)
RATES = st.one_of(
    st.floats(1e-6, 10), st.floats(0, allow_infinity=False), st.floats(0.1, 0.1000001), st.sampled_from(EDGES)
)


@st.composite
def sweeps(draw: st.DrawFn, number: int = 0) -> Sweep:
    count = draw(st.just(30) | st.integers(0, 30))
    kind = draw(st.sampled_from([RATES, st.floats(1e-6, 10)]))
    rates = draw(st.lists(kind, min_size=count, max_size=count))
    losses = st.lists(VALUES | st.floats(0, 10) | st.none(), min_size=count, max_size=count)
    rising = tuple(sorted(rates)) if draw(st.booleans()) else tuple(rates)
    return Sweep(number, rising, tuple(draw(losses)), draw(st.booleans()), tuple(draw(losses)))


@given(st.lists(sweeps(), max_size=3))
def test_a_range_test_of_any_sweeps_is_a_document_with_a_picture(reported: list[Sweep]) -> None:
    result = range_test(reported)
    assert result.found == (result.bounds is not None)
    ElementTree.fromstring(picture(result, "any"))


def test_rates_a_rounding_apart_take_no_time() -> None:
    """The kernel's width is in steps, of which a decade has 1e16 there."""
    rates = [0.1]
    while len(rates) < 40:
        rates.append(math.nextafter(rates[-1], 1))
    result = range_test([Sweep(0, tuple(rates), tuple(2 - 0.01 * at for at in range(40)))])
    assert result.curve is not None
