"""The search space: the schedules that a study may draw."""

from lehr.space.coordinates import Coordinate
from lehr.space.ranges import DEFAULT_END_LR, DEFAULT_START_LR, Range
from lehr.space.space import Space

__all__ = ["DEFAULT_END_LR", "DEFAULT_START_LR", "Coordinate", "Range", "Space"]
