"""The space that a study searches: as it was asked for, with the bounds that its range test found."""

from __future__ import annotations

from typing import Any

from lehr.wire.ranges import AUTO
from lehr.wire.studies import SpaceSpec
from service.store.tables import StudyRow


def found_bounds(study: StudyRow) -> dict[str, Any] | None:
    """The bounds of start_lr that a range test found; None where none was asked for, or it has not ended."""
    return None if study.range_test is None else study.range_test["bounds"]


def searched_space(study: StudyRow) -> SpaceSpec:
    """`start_lr` is "auto" for as long as nothing was found."""
    bounds = found_bounds(study)
    if bounds is None or study.spec.space.start_lr != AUTO:
        return study.spec.space
    return SpaceSpec.model_validate({**study.spec_document["space"], "start_lr": bounds})
