"""What to try first: few points that together did well in every study that is like this one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def greedy_cover(regrets: Array, count: int, weights: Sequence[float] | None = None) -> list[int]:
    """Up to `count` columns, each the one that most lowers the studies' least regrets so far.

    regrets: (studies, points), 0 for a study's best result, 1 for its middle one or worse;
    `weights`: of the studies, even unless given. Once every study has its best point, the cover
    starts again with the points that are left, so that it is as long as asked. Source: the greedy
    cover of Feurer et al., Auto-sklearn 2.0, JMLR 23 (2022), section 3.1.
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
            if least.min() == 1.0:  # nothing that is left beats the middle
                break
            least = np.ones(len(capped))
            continue
        chosen.append(best)
        least = np.minimum(least, capped[:, best])
    return chosen
