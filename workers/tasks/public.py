"""The public interface for tasks of other packages. These names are stable; the modules behind them may change."""

from lehr.wire.trials import Fold
from workers.tasks.classification import Classification
from workers.tasks.files import InvalidDataError, MissingDataError
from workers.tasks.params import HeldOutParams, TrainingParams
from workers.tasks.randomness import generator
from workers.tasks.splitting import split, split_fold
from workers.tasks.task import Task, TensorData

__all__ = [
    "Classification",
    "Fold",
    "HeldOutParams",
    "InvalidDataError",
    "MissingDataError",
    "Task",
    "TensorData",
    "TrainingParams",
    "generator",
    "split",
    "split_fold",
]
