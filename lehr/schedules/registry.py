"""Registers all families and compositions by name.

A new one needs its own file and one line here, which imports its class.
"""

# ruff: noqa: PLC0414  # "X as X" exports a name, so one line also defines lehr.schedules.X
from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType

from lehr.schedules.base import Schedule
from lehr.schedules.compositions.clipped import Clipped as Clipped
from lehr.schedules.compositions.composition import Composed
from lehr.schedules.compositions.joined import Joined as Joined
from lehr.schedules.compositions.scaled import Scaled as Scaled
from lehr.schedules.compositions.stretched import Stretched as Stretched
from lehr.schedules.families.constant import Constant as Constant
from lehr.schedules.families.cosine import Cosine as Cosine
from lehr.schedules.families.cosine_restarts import CosineRestarts as CosineRestarts
from lehr.schedules.families.exp_range import ExpRange as ExpRange
from lehr.schedules.families.exponential import Exponential as Exponential
from lehr.schedules.families.flat_cosine import FlatCosine as FlatCosine
from lehr.schedules.families.inverse_sqrt import InverseSqrt as InverseSqrt
from lehr.schedules.families.inverse_time import InverseTime as InverseTime
from lehr.schedules.families.k_decay import KDecay as KDecay
from lehr.schedules.families.knee import Knee as Knee
from lehr.schedules.families.linear import Linear as Linear
from lehr.schedules.families.multistep import MultiStep as MultiStep
from lehr.schedules.families.one_cycle import OneCycle as OneCycle
from lehr.schedules.families.piecewise import Piecewise as Piecewise
from lehr.schedules.families.plateau import Plateau as Plateau
from lehr.schedules.families.polynomial import Polynomial as Polynomial
from lehr.schedules.families.power import Power as Power
from lehr.schedules.families.rex import Rex as Rex
from lehr.schedules.families.step import Step as Step
from lehr.schedules.families.tanh import Tanh as Tanh
from lehr.schedules.families.triangular import Triangular as Triangular
from lehr.schedules.families.triangular2 import Triangular2 as Triangular2
from lehr.schedules.families.wsd import Wsd as Wsd

_CLASSES = [
    each
    for each in list(globals().values())
    if inspect.isclass(each) and issubclass(each, Schedule) and not inspect.isabstract(each)
]

FAMILIES: Mapping[str, type[Schedule]] = MappingProxyType(
    {each.family: each for each in _CLASSES if not issubclass(each, Composed)}
)
COMPOSITIONS: Mapping[str, type[Composed]] = MappingProxyType(
    {each.family: each for each in _CLASSES if issubclass(each, Composed)}
)
"""The classes of schedules made of other schedules, by their names in documents."""
