"""Common default schedules to try first: one for each widely used family, depending on the optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lehr.schedules import FAMILIES, Schedule
from lehr.space import Space
from service.search.projection import project_onto

PEAKS: Mapping[str, float] = {"sgd": 0.1, "nesterov": 0.1, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3}
"""The peak rates that most papers start from. SGD with momentum: He et al., Deep residual learning, 2015, section 4;
adaptive optimizers: Kingma and Ba, Adam, 2014, section 2, and the defaults of every library since."""

END = 0.01
"""The end of decaying schedules, relative to the peak."""
CLIMB = 1 / 25
"""The start of one-cycle schedules, relative to the peak: the default of fastai and torch."""

FAMILIES_BY_USE = ("cosine", "one_cycle", "linear", "wsd", "step", "constant")
"""The most widely used first; constant last, because the search tunes one anyway."""


def prior_schedules(space: Space, optimizer: object) -> Iterator[Schedule]:
    """The default schedules that are in the space; none for an unknown optimizer."""
    peak = PEAKS.get(optimizer) if isinstance(optimizer, str) else None
    if peak is None:
        return
    for family in FAMILIES_BY_USE:
        if family in space.families and (found := project_onto(space, _default(family, peak))) is not None:
            yield found


def _default(family: str, peak: float) -> Schedule:
    kind = FAMILIES[family]
    end = END * peak if kind.decays else peak
    if kind.climbs:
        return kind(start_lr=CLIMB * peak, peak_lr=peak, end_lr=end)
    return kind(start_lr=peak, end_lr=end)
