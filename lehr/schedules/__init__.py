"""Learning-rate schedules: immutable, closed-form functions of progress."""

from lehr.schedules.base import MAX_HORIZON_STEPS, Curve, Schedule
from lehr.schedules.constant import Constant
from lehr.schedules.cosine import Cosine
from lehr.schedules.documents import family_json_schema, schedule_from_dict, schedule_json_schema
from lehr.schedules.export_torch import torch_code
from lehr.schedules.linear import Linear
from lehr.schedules.registry import FAMILIES

__all__ = [
    "FAMILIES",
    "MAX_HORIZON_STEPS",
    "Constant",
    "Cosine",
    "Curve",
    "Linear",
    "Schedule",
    "family_json_schema",
    "schedule_from_dict",
    "schedule_json_schema",
    "torch_code",
]
