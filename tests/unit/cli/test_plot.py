"""A plotted curve passes through its values."""

from __future__ import annotations

import pytest

from lehr.cli.display.plot import draw


def test_a_falling_line_is_drawn_from_the_upper_left_to_the_lower_right() -> None:
    lines = draw([0, 9], [1.0, 0.0], width=10, height=10, plain=True)
    assert [line.split("|")[1].index("*") for line in lines[:10]] == list(range(10))


def test_an_exponential_decay_is_straight_on_a_log_axis() -> None:
    lines = draw(range(10), [10.0**-k for k in range(10)], width=10, height=10, log=True, plain=True)
    assert [line.split("|")[1].index("*") for line in lines[:10]] == list(range(10))


def test_the_ends_of_both_axes_are_named() -> None:
    lines = draw([0, 500, 999], [0.1, 0.05, 0.001], width=20, height=4)
    assert lines[0].startswith("  0.1 ┤")
    assert lines[3].startswith("0.001 ┤")
    assert lines[4].split() == ["0", "999"]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[0.1, 0.1, 0.1], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1e-300, 1.0, 1e300]])
def test_every_curve_can_be_drawn(values: list[float], log: bool) -> None:
    lines = draw([0, 1, 2], values, width=20, height=5, log=log)
    assert len(lines) == 6
    assert any(0x2800 < ord(character) <= 0x28FF for line in lines for character in line)


def test_a_single_point_can_be_drawn() -> None:
    assert "*" in "".join(draw([0], [0.1], width=5, height=3, plain=True))


def test_braille_dots_stand_where_unicode_says() -> None:
    # U+2847 has dots 1, 2, 3, 7: the left column. U+28B8 has dots 4, 5, 6, 8: the right one.
    assert draw([0, 0], [1.0, 0.0], width=1, height=1)[0].endswith("⡇")
    assert (
        "⢸" in draw([0, 1, 1], [0.0, 0.0, 1.0], width=1, height=1)[0]
        or "⣸" in draw([0, 1, 1], [0.0, 0.0, 1.0], width=1, height=1)[0]
    )
