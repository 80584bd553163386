"""Chooses what to try first: a few points that together cover the best results of all similar studies."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from lehr.wire.base import LARGEST_VALUE
from service.search.gaussian_process import Array, fit
from service.search.samplers.surrogate import PRIOR, thinned

Key = TypeVar("Key", bound=Hashable)

CANDIDATES_EACH = 64
"""Number of the best points of each study that become candidates."""
LEAST_FITTED = 8
"""With fewer results no model is fitted, and untried points count as the study's mean result."""


@dataclass(frozen=True)
class Known(Generic[Key]):
    """A finished study. `losses`: of its trials that trained to the end, less is better, infinite if they diverged.
    Losses beyond LARGEST_VALUE also count as infinite.
    """

    similarity: float
    losses: Mapping[Key, float]


def portfolio(known: Sequence[Known[Key]], points: Mapping[Key, Array], count: int) -> list[Key]:
    """Up to `count` keys, the most promising first. `points`: the axes of every key in any study's `losses`.

    If a study never trained a candidate, a Gaussian process fitted to the study's results predicts its
    regret there.
    """
    candidates = list(dict.fromkeys(key for study in known for key in _best(study)))
    if not candidates:
        return []
    regrets = np.stack([_regrets(study, candidates, points) for study in known])
    return [candidates[at] for at in greedy_cover(regrets, count, [study.similarity for study in known])]


def _best(study: Known[Key]) -> list[Key]:
    finite = [key for key, loss in study.losses.items() if abs(loss) <= LARGEST_VALUE]
    return sorted(finite, key=study.losses.__getitem__)[:CANDIDATES_EACH]


def _regrets(study: Known[Key], candidates: Sequence[Key], points: Mapping[Key, Array]) -> Array:
    """(candidates,): 0 is the study's best result, 1 its median or anything worse."""
    losses = np.array(list(study.losses.values()))
    losses = np.where(np.abs(losses) <= LARGEST_VALUE, losses, np.inf)
    best, middle = losses.min(), np.median(losses)
    if not best < middle:
        return np.ones(len(candidates))
    capped = np.minimum(losses, middle)
    scaled = (capped - best) / (middle - best) if np.isfinite(middle) else (losses > best) * 1.0
    measured = dict(zip(study.losses, scaled.tolist(), strict=True))
    regrets = np.array([measured.get(key, math.nan) for key in candidates])
    unknown = np.isnan(regrets)
    if unknown.any():
        wanted = np.stack([points[key] for key, is_unknown in zip(candidates, unknown, strict=True) if is_unknown])
        tried = np.stack([points[key] for key in study.losses])
        regrets[unknown] = _predicted(tried, scaled, wanted)
    return regrets


def _predicted(tried: Array, regrets: Array, wanted: Array) -> Array:
    kept = thinned(-regrets, np.random.default_rng(0))
    process = fit(tried[kept], regrets[kept], PRIOR) if len(regrets) >= LEAST_FITTED else None
    if process is None:
        return np.full(len(wanted), regrets.mean())
    return np.clip(process.predict(wanted)[0], 0.0, 1.0)


def greedy_cover(regrets: Array, count: int, weights: Sequence[float] | None = None) -> list[int]:
    """Up to `count` columns, each chosen to reduce the studies' lowest regrets so far as much as possible.

    regrets: (studies, points), 0 for a study's best result, 1 for its median or worse;
    `weights`: of the studies, equal by default. When no point reduces the regrets further, the cover starts
    again with the remaining points, to reach `count`. Source: the greedy cover of
    Feurer et al., Auto-sklearn 2.0, JMLR 23 (2022), section 3.1.
    """
    capped = np.clip(regrets, 0.0, 1.0)
    shares = np.ones(len(capped)) if weights is None else np.asarray(weights, dtype=float)
    chosen: list[int] = []
    least = np.ones(len(capped))
    while len(chosen) < min(count, capped.shape[1]):
        gains = shares @ np.maximum(least[:, None] - capped, 0.0)
        gains[chosen] = -1.0
        best = int(np.argmax(gains))
        if gains[best] <= 0.0:
            if least.min() == 1.0:  # no remaining point beats the median
                break
            least = np.ones(len(capped))
            continue
        chosen.append(best)
        least = np.minimum(least, capped[:, best])
    return chosen
