"""lehr searches for the best learning-rate schedule for a training task."""

__version__ = "0.1.0"
