"""Derives the seeds of trainings, deterministically in every call and process.

A search's seeds are even and its confirmation's are odd, so that no seed is used for both: a schedule is chosen partly
for its luck with the search's seeds, so only other seeds can confirm it.
"""

from __future__ import annotations

import hashlib

SEED_LIMIT = 2**31
"""Seeds are below this limit, which every framework accepts."""


def search_seed(study_seed: int, number: int) -> int:
    """The seed of the search's trial `number`: even, in [0, 2^31).

    Each trial has its own seed. If all shared one, similar schedules would have similar luck: the search would converge
    on schedules that suit that seed, and averaging over neighbours could not reveal it.
    """
    return _draw(f"search:{study_seed}:{number}") & ~1


def evaluation_seed(study_seed: int, index: int) -> int:
    """The seed of evaluation `index` of every search trial, if they are compared in pairs: even, in [0, 2^31)."""
    return _draw(f"evaluation:{study_seed}:{index}") & ~1


def sweep_seed(study_seed: int, index: int) -> int:
    """The seed of sweep `index` of a range test: even, in [0, 2^31)."""
    return _draw(f"range_test:{study_seed}:{index}") & ~1


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
