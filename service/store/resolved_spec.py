"""A study's spec as it is stored: StudySpec with the values that the server filled in."""

from __future__ import annotations

from pydantic import ConfigDict

from lehr.wire.base import Count
from lehr.wire.studies import BudgetSpec, SamplerSpec, SpaceSpec, StudySpec


class ResolvedSpace(SpaceSpec):
    families: list[str]


class ResolvedSampler(SamplerSpec):
    seed: int


class ResolvedBudget(BudgetSpec):
    """`trials` may be 0: a standalone range test has none."""

    trials: Count


class ResolvedSpec(StudySpec):
    """A stored spec. Fields missing from older rows get their defaults; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    space: ResolvedSpace
    sampler: ResolvedSampler
    budget: ResolvedBudget
