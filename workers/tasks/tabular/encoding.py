"""Encodes a table as tensors, with means, deviations and categories of the training rows only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lehr.wire.trials import Fold
from workers.tasks.files import refuse
from workers.tasks.splitting import split, split_fold
from workers.tasks.tabular.params import GoalName
from workers.tasks.tabular.table import Numbers, Table, Words

MOST_LEVELS = 64
"""The maximum number of categories of a column that get their own input, most frequent first; the rest share one."""
FLOAT_BYTES = 4
LARGEST_ENCODED_BYTES = 1 << 31
MOST_CLASSES = 1000
MOST_WHOLE_CLASSES = 20
"""By default, a target of whole numbers is a class if it has at most this many different values."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """inputs: (n, features) float32; targets: (n,), int64 classes or float32 numbers of mean 0 and deviation 1.

    `outputs`: the number of classes, or 1 for regression.
    """

    train_inputs: Tensor
    train_targets: Tensor
    val_inputs: Tensor
    val_targets: Tensor
    outputs: int


@dataclass(frozen=True, slots=True)
class Question:
    """How to predict the target, and which rows validate."""

    goal: GoalName
    validation_fraction: float
    split_seed: int
    fold: Fold | None = None


def encode(table: Table, question: Question) -> Encoded:
    """Encode a table. Raises InvalidDataError."""
    target = table.target
    train, val = _split(table, target, question)
    if len(train) < 2 or len(val) < 1:
        raise refuse(table.source, "too few rows to train and to validate", "at least 3", table.rows, "Add rows.")
    targets, outputs = _targets(table, target, question.goal, train)
    features = torch.from_numpy(_inputs(table, train))
    return Encoded(features[train], targets[train], features[val], targets[val], outputs)


def _inputs(table: Table, train: Rows) -> NDArray[np.float32]:
    """(n, features). Raises InvalidDataError if they would not fit into memory, or are the same in all rows."""
    parts: list[NDArray[np.float32]] = []
    left = LARGEST_ENCODED_BYTES // FLOAT_BYTES // table.rows
    for name, column in table.columns.items():
        if name == table.target:
            continue
        wide = 2 if isinstance(column, np.ndarray) else min(len(set(column)), MOST_LEVELS) + 1
        if wide > left:
            bound = f"at most {LARGEST_ENCODED_BYTES} bytes of inputs"
            remedy = "Drop columns, or rows; a column of words takes up to 65 inputs."
            raise refuse(table.source, "it is too large", bound, f"more, from column {name!r} on", remedy)
        parts.append(_numbers(column, train) if isinstance(column, np.ndarray) else _words(column, train))
        left -= parts[-1].shape[1]
    inputs = np.concatenate(parts, axis=1)
    if (inputs == inputs[0]).all():
        raise refuse(table.source, "the inputs are the same in every row", "two different rows", "one", _OTHER)
    return inputs


def _split(table: Table, target: str, question: Question) -> tuple[Rows, Rows]:
    if question.fold is None:
        train, val = split(table.rows, question.validation_fraction, question.split_seed)
    else:
        column = table.columns[target]
        train, val = split_fold(
            np.array([str(value) for value in column]),
            question.fold,
            question.split_seed,
            stratified=not _is_measured(column, question.goal),
        )
    return train.numpy(), val.numpy()


def _numbers(column: Numbers, train: Rows) -> NDArray[np.float32]:
    """(n, 1 or 2): scaled numbers, 0 for missing ones; then, if the training rows miss any, a flag for missing ones."""
    missing = np.isnan(column)
    present = column[train][~missing[train]]
    mean, deviation = (present.mean(), present.std()) if len(present) else (0.0, 0.0)
    scaled = np.where(missing, 0.0, (column - mean) / (deviation or 1.0))
    return np.stack([scaled, missing] if missing[train].any() else [scaled], axis=1).astype(np.float32)


def _words(column: Words, train: Rows) -> NDArray[np.float32]:
    """One-hot encoding, (n, levels + 1): the categories of the training rows, missing included, and one for others."""
    counts = Counter(column[row] for row in train)
    # Ties are ordered by name, so that the order of the rows has no effect.
    ranked = sorted(counts, key=lambda word: (-counts[word], word or ""))[:MOST_LEVELS]
    places = {word: place for place, word in enumerate(ranked)}
    encoded = np.zeros((len(column), len(ranked) + 1), dtype=np.float32)
    encoded[np.arange(len(column)), [places.get(word, len(ranked)) for word in column]] = 1.0
    return encoded


def _targets(table: Table, name: str, goal: GoalName, train: Rows) -> tuple[Tensor, int]:
    column = table.columns[name]
    numeric = isinstance(column, np.ndarray)
    missing = int(np.isnan(column).sum()) if isinstance(column, np.ndarray) else column.count(None)
    if missing:
        marker = table.markers.get(name)
        remedy = "Remove these rows."
        if marker is not None:
            remedy += f" If {marker!r} is a class, name {name!r} in the parameter `categories`."
        raise refuse(table.source, f"the target {name!r} is missing in some rows", "none", missing, remedy)
    if _is_measured(column, goal):
        if not numeric:
            word = next(word for word in column if not _is_number(str(word)))
            raise refuse(table.source, f"the target {name!r} holds no numbers", "numbers", word, "Classify instead.")
        return _measures(table, name, np.asarray(column, dtype=np.float64), train)
    return _classes(table, name, [str(value) for value in column], train)


def _is_measured(column: Numbers | Words, goal: GoalName) -> bool:
    return goal == "regression" or (goal == "auto" and isinstance(column, np.ndarray) and not _are_classes(column))


def class_counts(table: Table, goal: GoalName) -> dict[str, int] | None:
    """The number of rows by class; None for regression."""
    column = table.columns[table.target]
    return None if _is_measured(column, goal) else dict(Counter(str(value) for value in column))


def _measures(table: Table, name: str, column: Numbers, train: Rows) -> tuple[Tensor, int]:
    others = np.delete(column, train)
    if column[train].min() == column[train].max() or others.min() == others.max():
        raise refuse(
            table.source, f"the target {name!r} never changes", "two different values to train and to judge", 1, _OTHER
        )
    scaled = (column - column[train].mean()) / column[train].std()
    return torch.from_numpy(scaled.astype(np.float32)), 1


def _classes(table: Table, name: str, column: list[str], train: Rows) -> tuple[Tensor, int]:
    names = sorted(set(column))
    if not 2 <= len(names) <= MOST_CLASSES:
        raise refuse(
            table.source,
            f"the target {name!r} has a wrong number of classes",
            f"2 to {MOST_CLASSES}",
            len(names),
            _OTHER,
        )
    absent = sorted(set(names) - {column[row] for row in train})
    if absent:
        raise refuse(table.source, f"a class of {name!r} has no training row", "at least one", absent[0], _OTHER)
    places = {word: place for place, word in enumerate(names)}
    return torch.tensor([places[word] for word in column], dtype=torch.int64), len(names)


def _are_classes(column: Numbers) -> bool:
    different = np.unique(column)
    return len(different) <= MOST_WHOLE_CLASSES and bool((different == np.round(different)).all())


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


_OTHER = "Add rows, or choose another target, goal or split_seed."
