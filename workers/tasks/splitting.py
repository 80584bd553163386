"""Splits examples into training and validation parts."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from lehr.errors import Fault, InvalidValueError
from lehr.wire.trials import Fold
from workers.tasks.randomness import generator


def split(size: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Random indices of the training and the validation examples. The seed alone decides, so all trials share them."""
    shuffled = torch.randperm(size, generator=generator("split", seed))
    held_out = round(fraction * size)
    return shuffled[held_out:], shuffled[:held_out]


def split_fold(targets: NDArray[Any], fold: Fold, seed: int, *, stratified: bool) -> tuple[Tensor, Tensor]:
    """Sorted indices of the training examples and of the fold's examples, the same for every trial.

    targets: (n,). The folds are those of scikit-learn's StratifiedKFold(shuffle=True, random_state=seed), which gives
    each fold its share of each class; if not `stratified`, those of its KFold.
    Raises InvalidValueError if there are too few examples for the number of folds.
    """
    # Imported late, because the import is slow.
    from sklearn.model_selection import KFold, StratifiedKFold

    splitter = StratifiedKFold if stratified else KFold
    try:
        folds = splitter(n_splits=fold.count, shuffle=True, random_state=seed).split(targets, targets)
        train, val = next(islice(folds, fold.index, None))
    except ValueError as error:
        remedy = "Ask for fewer folds, or for objective.seeds instead."
        raise InvalidValueError(Fault("objective.folds", str(error), "fewer", fold.count, remedy)) from None
    return torch.from_numpy(train), torch.from_numpy(val)
