"""Orders the schedules that a study tries first: results of other studies, and common defaults."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TypeVar

from lehr.wire.trials import Origin

Key = TypeVar("Key", bound=Hashable)

PRIOR_SHARE = 4
"""One start in this many is a default if there are studies to learn from; if not, at most half of the room is used."""


def mixed_starts(
    warm: Sequence[Key], priors: Iterable[Key], room: int, *, given: Sequence[Key] = ()
) -> Iterator[tuple[Key, Origin]]:
    """At most `room` starts, alternating between schedules that did well in other studies and common defaults.

    `warm`: the portfolio, the most promising first. Leaves out `given` schedules, which are tried anyway.
    """
    share = room // PRIOR_SHARE if warm else room // 2
    defaults = [one for one in priors if one not in given and one not in warm][:share]
    learnt = [one for one in warm if one not in given][: room - len(defaults)]
    for one, other in zip_longest(learnt, defaults):
        if one is not None:
            yield one, "warm"
        if other is not None:
            yield other, "prior"
