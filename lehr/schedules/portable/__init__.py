"""Schedules in the words of other frameworks: exporting to them, importing from them."""

from lehr.schedules.portable.export import FRAMEWORKS as FRAMEWORKS
from lehr.schedules.portable.export import Export as Export
from lehr.schedules.portable.export import export as export
