"""The pruner `none`: every trial trains to its end."""

from __future__ import annotations

from service.search.pruners.base import Pruner


class NoPruner(Pruner):
    """Judges nothing."""
