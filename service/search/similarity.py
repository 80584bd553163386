"""Estimates from names and parameters how much one task's results say about another's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

OTHER_TASK = 0.3
"""Factor for another task: another model and other data, but the same kind of search."""
OTHER_OPTIMIZER = 0.1
"""Factor for another optimizer: the best rates of SGD and Adam are decades apart."""
OTHER_VALUE = 0.6
"""Factor for a different non-numeric value, such as another model or activation."""
NO_WEIGHT = frozenset({"seed", "data", "path", "device", "precision"})
"""Parameters that define where and how to train, not what."""
LEAST_FACTOR = 0.2
"""The lowest factor for a number: a different size alone does not make results worthless."""


def similarity(name: str, params: Mapping[str, Any], other_name: str, other_params: Mapping[str, Any]) -> float:
    """1 for the same task with the same parameters, less for each difference, always above 0.

    The product of a factor for each parameter that both have: of numbers (batch size, width, epochs)
    2^(-|log2 ratio| / 2), so that four times the size is half as similar, at least `LEAST_FACTOR`;
    of anything else `OTHER_VALUE`; of the optimizer `OTHER_OPTIMIZER`. Another task counts
    `OTHER_TASK` times.
    """
    product = 1.0 if name == other_name else OTHER_TASK
    for key in params.keys() & other_params.keys() - NO_WEIGHT:
        one, other = params[key], other_params[key]
        if one == other:
            continue
        if key == "optimizer":
            product *= OTHER_OPTIMIZER
        elif _is_size(one) and _is_size(other):
            product *= max(2 ** (-abs(math.log2(one / other)) / 2), LEAST_FACTOR)
        else:
            product *= OTHER_VALUE
    return product


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
