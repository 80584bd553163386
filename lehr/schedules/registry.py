"""All families, by name: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lehr.schedules.base import Schedule
from lehr.schedules.constant import Constant
from lehr.schedules.cosine import Cosine
from lehr.schedules.linear import Linear

FAMILIES: Mapping[str, type[Schedule]] = MappingProxyType(
    {
        family.family: family
        for family in (
            Constant,
            Linear,
            Cosine,
        )
    }
)
