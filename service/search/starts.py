"""In which order a study tries what it knows before its first trial."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TypeVar

from lehr.wire.trials import Origin

Key = TypeVar("Key", bound=Hashable)

PRIOR_SHARE = 4
"""One start in so many is a prior where there are studies to learn from; where not, half are free for the search."""


def mixed_starts(
    warm: Sequence[Key], priors: Iterable[Key], room: int, *, given: Sequence[Key] = ()
) -> Iterator[tuple[Key, Origin]]:
    """At most `room` starts, what did well elsewhere and the field's defaults in turns, so that neither waits.

    `warm`: the portfolio, the most promising first. What is `given` is tried anyway and left out.
    """
    share = room // PRIOR_SHARE if warm else room // 2
    defaults = [one for one in priors if one not in given and one not in warm][:share]
    learnt = [one for one in warm if one not in given][: room - len(defaults)]
    for one, other in zip_longest(learnt, defaults):
        if one is not None:
            yield one, "warm"
        if other is not None:
            yield other, "prior"
