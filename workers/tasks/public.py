"""What tasks of other packages are made of: these names stay, the modules behind them may change."""

from workers.randomness import generator
from workers.tasks.classification import Classification
from workers.tasks.files import InvalidDataError, MissingDataError
from workers.tasks.params import HeldOutParams, TrainingParams
from workers.tasks.splitting import split
from workers.tasks.task import Task, TensorData

__all__ = [
    "Classification",
    "HeldOutParams",
    "InvalidDataError",
    "MissingDataError",
    "Task",
    "TensorData",
    "TrainingParams",
    "generator",
    "split",
]
