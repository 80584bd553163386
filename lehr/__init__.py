"""lehr finds the learning-rate schedule to train a model with."""

__version__ = "0.1.0"
