"""Exports schedules to other frameworks, and imports schedules from them."""

from lehr.schedules.portable.export import FRAMEWORKS as FRAMEWORKS
from lehr.schedules.portable.export import Export as Export
from lehr.schedules.portable.export import export as export
from lehr.schedules.portable.from_torch import from_torch as from_torch
from lehr.schedules.portable.from_transformers import Imported as Imported
from lehr.schedules.portable.from_transformers import from_transformers as from_transformers
from lehr.schedules.portable.torch_closed_form import torch_code as torch_code
