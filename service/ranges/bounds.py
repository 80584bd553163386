"""The space that a study searches: its spec's space with the bounds that its range test found."""

from __future__ import annotations

from typing import Any

from lehr.wire.ranges import AUTO
from lehr.wire.studies import SpaceSpec
from service.store.tables import StudyRow


def found_bounds(study: StudyRow) -> dict[str, Any] | None:
    """The bounds of start_lr from the study's range test; None if it has none, or if it has not ended."""
    return None if study.range_test is None else study.range_test["bounds"]


def searched_space(study: StudyRow) -> SpaceSpec:
    """The study's search space. `start_lr` is "auto" until the range test has found bounds."""
    bounds = found_bounds(study)
    if bounds is None or study.spec.space.start_lr != AUTO:
        return study.spec.space
    return SpaceSpec.model_validate({**study.spec_document["space"], "start_lr": bounds})
