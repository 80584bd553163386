"""Plots of schedules are well-formed for any rates, have round ticks, and match the curve."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lehr.schedules import FAMILIES, Constant, Cosine, Curve, Linear
from lehr.schedules.portable.axes import linear_axis, log_axis, rate_label, step_axis, step_label
from lehr.schedules.portable.picture import Line, describe, picture, specimen, thumbnail
from tests.support.examples import PLAIN
from tests.support.schedules import schedules

SVG = "{http://www.w3.org/2000/svg}"
RATES = st.one_of(st.just(0.0), st.floats(5e-324, 1.7e308))


def points_of(svg, look):
    """The points of the path with this class that draws a curve, not the legend."""
    (drawn,) = [each for each in svg.iter(f"{SVG}path") if each.get("class") == look and "h28" not in each.get("d", "")]
    return [tuple(map(float, pair.split())) for pair in re.split("[ML]", drawn.get("d"))[1:]]


@pytest.mark.parametrize("log", [False, True])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_schedules_give_a_well_formed_picture_within_its_frame(log, data):
    families = data.draw(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=3))
    drawn = [data.draw(schedules(family)) for family in families]
    horizon = data.draw(st.sampled_from([1, 2, 3, 100, 10**12]))
    text = picture([Line(describe(each), each.curve(horizon, 50)) for each in drawn], log=log)
    assert "nan" not in text
    assert "inf" not in text
    svg = ElementTree.fromstring(text)
    width, height = map(float, svg.get("viewBox", "").split()[2:])
    for each in svg.iter(f"{SVG}path"):
        numbers = [float(number) for number in re.findall(r"[-\d.]+", each.get("d", ""))]
        assert all(0 <= number <= max(width, height) for number in numbers)


def test_a_falling_line_falls_from_the_upper_left_to_the_lower_right():
    svg = ElementTree.fromstring(picture([Line("x", Linear(start_lr=1.0, end_lr=0.0).curve(11))]))
    points = points_of(svg, "c0 d0")
    assert len(points) == 11
    assert points[0] == (64.0, 16.0)
    assert points[-1] == (704.0, 296.0)
    assert points[5] == (384.0, 156.0)


def test_a_name_is_escaped():
    text = picture([Line("<b>&", Constant(start_lr=1.0, end_lr=1.0).curve(5))])
    assert ElementTree.fromstring(text) is not None
    assert "&lt;b&gt;&amp;" in text


def test_many_lines_differ_in_colour_or_dashes():
    curve = Cosine(start_lr=1.0, end_lr=0.0).curve(5)
    svg = ElementTree.fromstring(picture([Line(str(index), curve) for index in range(20)]))
    looks = [each.get("class") for each in svg.iter(f"{SVG}path") if "h28" in each.get("d", "")]
    assert len(set(looks)) == 20


@pytest.mark.parametrize("family", PLAIN)
def test_every_family_has_a_specimen_and_a_thumbnail(family):
    text = thumbnail(specimen(FAMILIES[family]).curve(200), family)
    assert ElementTree.fromstring(text).findtext(f"{SVG}title") == family


@given(low=RATES, high=RATES)
def test_a_linear_axis_holds_its_values_between_round_ticks(low, high):
    low, high = sorted((low, high))
    axis = linear_axis(low, high)
    assert 2 <= len(axis.ticks) <= 12
    assert all(0 <= axis.place(value) <= 1 for value in (low, high))
    if high - low > 1e-290 and high < 1e299:
        assert axis.low <= low * (1 + 1e-9)
        assert axis.high >= high * (1 - 1e-9)
        size = axis.ticks[1] - axis.ticks[0]
        mantissa = float(f"{size:.6e}".split("e")[0])
        assert any(mantissa == pytest.approx(digit, rel=1e-3) for digit in (1, 2, 5))


@given(low=st.floats(5e-324, 1.7e308), high=st.floats(5e-324, 1.7e308))
def test_a_log_axis_runs_between_powers_of_ten(low, high):
    low, high = sorted((low, high))
    axis = log_axis(low, high)
    assert axis.high >= min(high, 1e300) * (1 - 1e-9)
    assert all(0 <= axis.place(value) <= 1 for value in (0.0, low, high))
    assert len(axis.ticks) <= 8


@given(st.integers(0, 10**12))
def test_a_step_axis_has_whole_ticks_from_0(last):
    axis = step_axis(last)
    assert axis.ticks[0] == 0
    assert all(tick == int(tick) for tick in axis.ticks)
    assert len(axis.ticks) <= 12
    assert axis.high == max(last, 1)


def test_labels_are_short():
    assert [rate_label(value) for value in (0, 0.1, 0.0035, 1e-5, 2.5e-7, 12345.0)] == [
        "0", "0.1", "0.0035", "1e-5", "2.5e-7", "1.2e4",
    ]  # fmt: skip
    assert [step_label(value) for value in (0, 500, 2500, 1e6, 2.5e9, 1e12)] == ["0", "500", "2.5k", "1M", "2.5G", "1T"]


def test_a_curve_of_zeros_is_drawn_too():
    assert ElementTree.fromstring(picture([Line("0", Curve((0, 1), (0.0, 0.0), None))], log=True)) is not None
