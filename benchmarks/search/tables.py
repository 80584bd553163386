"""Tables of trainings: the validation loss of each configuration at equal intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from service.search.priors import PEAKS

Array = NDArray[np.float64]

BUDGETS = (10, 20, 40)
"""Full trainings' worth of steps at which the regret is read."""

MOMENTA = ("beta1", "beta2")


@dataclass(frozen=True)
class Table:
    """points: (rows, axes) in [0, 1]; losses: (rows, intervals + 1), the first before training; NaN is infinite."""

    name: str
    axes: tuple[str, ...]
    points: Array
    losses: Array
    default: Array | None = None
    """(axes,): where what the field would try first lies, if that is known."""

    @property
    def intervals(self) -> int:
        return int(self.losses.shape[1]) - 1

    @property
    def regrets(self) -> Array:
        """(rows,): 0 for the row of the lowest final loss, 1 for the row in the middle."""
        final = self.losses[:, -1]
        best = final.min()
        regrets: Array = (final - best) / (np.median(final) - best)
        return regrets


def adam_default() -> dict[str, float]:
    """Adam as everybody starts with it: the server's prior for its rate, torch's defaults for the rest, no decay."""
    adam = torch.optim.Adam([torch.zeros(1)]).defaults
    beta1, beta2 = adam["betas"]
    off = dict.fromkeys(("l1", "l2", "linear_decay", "exponential_decay"), adam["weight_decay"])
    return {"learning_rate": PEAKS["adam"], "beta1": beta1, "beta2": beta2, "epsilon": adam["eps"], **off}


def read_tables(folder: Path) -> list[Table]:
    """Every `.npz` file with `hp` (rows, axes), `hp_names` and `valid_loss` (rows, intervals + 1).

    Axes are searched on a log scale, as TaskSet drew them: momenta by their distance to 1. Tables of
    other axes than TaskSet's have no default.
    """
    return [_read(path) for path in sorted(folder.glob("*.npz"))]


def _read(path: Path) -> Table:
    held = np.load(path)
    names = tuple(str(name) for name in held["hp_names"])
    logs = _logs(names, held["hp"])
    low, high = logs.min(axis=0), logs.max(axis=0)
    losses = held["valid_loss"].astype(float)
    default = None
    if set(names) == set(usual := adam_default()):
        wanted = _logs(names, np.array([[usual[name] for name in names]]))[0]
        default = np.clip((wanted - low) / (high - low), 0.0, 1.0)
    return Table(path.stem, names, (logs - low) / (high - low), np.where(np.isfinite(losses), losses, np.inf), default)


def _logs(names: Sequence[str], values: Array) -> Array:
    columns = [1 - values[:, at] if name in MOMENTA else values[:, at] for at, name in enumerate(names)]
    with np.errstate(divide="ignore"):
        logs: Array = np.log(np.column_stack(columns))
    return logs


class Account:
    """Steps spent on a table, and the best final loss among the rows that were trained to their end by then."""

    def __init__(self, table: Table) -> None:
        self._regrets = table.regrets
        self._intervals = table.intervals
        self.spent = 0
        self._found: list[tuple[int, float]] = []

    @property
    def is_spent(self) -> bool:
        return self.spent >= max(BUDGETS) * self._intervals

    def finish(self, row: int) -> None:
        self._found.append((self.spent, float(self._regrets[row])))

    def regrets(self) -> list[float]:
        """The regret at each budget; 1, the middle row's, while nothing better has been trained to its end."""
        return [
            min([1.0, *(regret for spent, regret in self._found if spent <= budget * self._intervals)])
            for budget in BUDGETS
        ]
