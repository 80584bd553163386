"""Which seed a training gets. Every rule here gives the same seeds at every call, in every process.

Seeds of a search are even and those of its confirmation odd, so that none serves both: a schedule is chosen for its
luck with the seeds it was chosen by, and only other ones can confirm it.
"""

from __future__ import annotations

import hashlib

SEED_LIMIT = 2**31
"""Seeds are below this: what every framework takes as a seed."""


def search_seed(study_seed: int, number: int) -> int:
    """The seed of the search's trial `number`: even, in [0, 2^31).

    Each trial has its own. If all had one in common, schedules alike would be alike in luck too: the search would
    close in on what suits that seed, and no average over neighbours could tell.
    """
    return _draw(f"search:{study_seed}:{number}") & ~1


def evaluation_seed(study_seed: int, index: int) -> int:
    """The seed of every search trial's evaluation `index`, where those are compared in pairs: even, in [0, 2^31)."""
    return _draw(f"evaluation:{study_seed}:{index}") & ~1


def confirm_seeds(study_seed: int, count: int) -> tuple[int, ...]:
    """`count` distinct seeds, odd, in [0, 2^31)."""
    seeds: dict[int, None] = {}
    index = 0
    while len(seeds) < count:
        seeds[_draw(f"confirm:{study_seed}:{index}") | 1] = None
        index += 1
    return tuple(seeds)


def _draw(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % SEED_LIMIT
