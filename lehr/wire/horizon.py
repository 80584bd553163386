"""The type of a horizon: the number of steps of a training, within bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

MAX_HORIZON_STEPS = 1_000_000_000_000

Horizon = Annotated[int, Field(ge=1, le=MAX_HORIZON_STEPS)]
