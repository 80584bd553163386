"""The bounded set of results that a sampler sees."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lehr.wire.studies import Direction
from service.search.observations import Observation, draw_seed, rank


@dataclass(frozen=True, slots=True)
class WindowSize:
    """The number of results to keep of each kind; a result may be of several kinds."""

    best: int
    newest: int
    spread: int


@dataclass(slots=True)
class _Smallest:
    """The `size` smallest of all added (key, number) pairs."""

    size: int
    pairs: list[tuple[Any, int]] = field(default_factory=list)

    def add(self, key: Any, number: int) -> int | None:
        """Add a pair. Returns the number of the pair that dropped out, which may be the added one."""
        insort(self.pairs, (key, number))
        return self.pairs.pop()[1] if len(self.pairs) > self.size else None

    def __contains__(self, pair: tuple[Any, int]) -> bool:
        index = bisect_left(self.pairs, pair)
        return index < len(self.pairs) and self.pairs[index] == pair


class Window:
    """The best results, the newest ones, and a sample of the rest spread over the whole search.

    The window depends on *which* results were added and never on their order: each kind keeps
    the smallest by a key of the result alone (its rank; its number; a hash of its number
    and the seed). So a cached window equals one rebuilt from rows in any order. Adding costs
    O(log size), and memory is bounded by best + newest + spread results.
    """

    def __init__(self, size: WindowSize, direction: Direction, seed: int) -> None:
        self._direction = direction
        self._seed = seed
        self._kinds = (_Smallest(size.best), _Smallest(size.newest), _Smallest(size.spread))
        self._kept: dict[int, Observation] = {}
        self.added = 0

    def add(self, observation: Observation) -> None:
        """Add a result that was not added before."""
        self.added += 1
        self._kept[observation.number] = observation
        keys = self._keys(observation)
        fallen = {kind.add(key, observation.number) for kind, key in zip(self._kinds, keys, strict=True)}
        for number in fallen:
            if number is not None and not self._holds(number):
                del self._kept[number]

    def __iter__(self) -> Iterator[Observation]:
        """The kept results, lowest number first."""
        return iter(sorted(self._kept.values(), key=lambda observation: observation.number))

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, number: int) -> bool:
        return number in self._kept

    def _keys(self, observation: Observation) -> tuple[Any, Any, Any]:
        number = observation.number
        return rank(observation, self._direction), -number, draw_seed("spread", self._seed, number)

    def _holds(self, number: int) -> bool:
        pairs = zip(self._kinds, self._keys(self._kept[number]), strict=True)
        return any((key, number) in kind for kind, key in pairs)
