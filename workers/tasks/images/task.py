"""The task `images`: classify the images of a public data set or a folder of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from lehr.errors import Fault, InvalidValueError
from lehr.wire.data import DataSummary
from lehr.wire.trials import Fold
from workers.tasks.classification import Classification
from workers.tasks.files import Stamp, refuse, stamp
from workers.tasks.images import folders
from workers.tasks.images.augmentation import draw, padded, shown
from workers.tasks.images.imageset import Found, ImageSet, Part
from workers.tasks.images.models import build_model
from workers.tasks.images.params import DataName, ImagesParams, ValidationName
from workers.tasks.images.sources import find
from workers.tasks.params import PrecisionName
from workers.tasks.precision import with_precision
from workers.tasks.splitting import split, split_fold
from workers.tasks.summary import of_pictures
from workers.tasks.task import TensorData

BRIGHTEST = 255.0
LEAST_TRAIN = 2
LEAST_SIDE = 8
"""The largest side that the resnet reduces to a single value for each channel."""
NO_TEST = "Hold out training images, or put train and test folders into the folder."


class Images(Classification):
    """Image classification. Pixels are normalized by each channel's mean and deviation over the training images."""

    name: ClassVar[str] = "images"
    params_model = ImagesParams
    supports_folds: ClassVar[bool] = True
    # Small, because a wide network needs a megabyte for each image.
    evaluation_batch: ClassVar[int] = 512

    def __init__(self, params: ImagesParams) -> None:
        self.params: ImagesParams = params
        self._counts: tuple[int, ...] = ()

    @property
    def precision(self) -> PrecisionName:
        return self.params.precision

    def data(self, device: torch.device) -> TensorData:
        """Images (n, channels, side, side); labels (n,). Training images are padded for the crop.

        Raises MissingDataError and InvalidDataError.
        """
        params = self.params
        choice = _Choice(
            source=self._source,
            validate_on=params.validate_on,
            validation_fraction=params.validation_fraction,
            split_seed=params.split_seed,
            train_limit=params.train_limit,
            crop=params.crop,
            fold=self.fold,
        )
        found, self._counts = _prepared(stamp(_find(self._source).files), choice, device)
        self._check_batches(found.train_size)
        return found

    def _check_batches(self, train_size: int) -> None:
        """Raises InvalidValueError if batch normalisation would get a single value for a channel."""
        size = self.params.batch_size
        single = size == 1 or train_size % size == 1
        if single and self.params.model == "resnet" and self._found.shape.side <= LEAST_SIDE:
            bound = f"two or more of {train_size} training pictures in each batch, or pictures wider than {LEAST_SIDE}"
            message = "the last batch of an epoch holds one picture, too few for batch normalisation"
            remedy = "Choose another batch_size, a larger side, or the model cnn."
            raise InvalidValueError(Fault("task.params.batch_size", message, bound, size, remedy))

    def summary(self) -> DataSummary:
        if self.params.data == "folder":
            return of_pictures(self.params.folder, self._found.classes, self._found.left_out)
        return of_pictures(self.params.data, {str(label): count for label, count in enumerate(self._counts)}, {})

    def look(self) -> DataSummary | None:
        """Only lists the pictures of a folder, without reading them."""
        return self.summary() if self.params.data == "folder" else super().look()

    @property
    def _source(self) -> _Source:
        return _Source(self.params.data, self.params.folder, self.params.side, self.data_dir)

    @cached_property
    def _found(self) -> Found:
        return _find(self._source)

    def build_model(self) -> nn.Module:
        return with_precision(build_model(self.params, self._found.shape), self.params.precision)

    def draws(self, train_size: int, seed: int, epoch: int) -> Tensor | None:
        if not self.params.flip and not self.params.crop:
            return None
        return draw(train_size, seed, epoch, flip=self.params.flip, crop=self.params.crop)

    def augment(self, inputs: Tensor, draws: Tensor) -> Tensor:
        return shown(inputs, draws, self._found.shape.side)


@dataclass(frozen=True, slots=True)
class _Source:
    """A published data set, or a folder whose pictures are scaled to `side` pixels."""

    data: DataName
    folder: str
    side: int
    data_dir: Path


def _find(source: _Source) -> Found:
    """The files of a source. Raises MissingDataError and InvalidDataError."""
    if source.data == "folder":
        return folders.find(source.folder, source.side, source.data_dir)
    return find(source.data, source.data_dir)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Everything that determines the training and validation tensors."""

    source: _Source
    validate_on: ValidationName
    validation_fraction: float
    split_seed: int
    train_limit: int | None
    crop: int
    fold: Fold | None


# Only one entry: all trials of a search train on the same data, and the largest data sets fill a small machine.
@lru_cache(maxsize=1)
def _prepared(files: Stamp, choice: _Choice, device: torch.device) -> tuple[TensorData, tuple[int, ...]]:
    """The tensors, and the number of pictures of each label in all parts together."""
    images = _find(choice.source).read()
    train, val = _parts(images, choice)
    _check_content(choice.source, train, val)
    parts = [part.labels for part in (images.train, images.test) if part is not None]
    counts = tuple(torch.bincount(torch.cat(parts)).tolist())
    train_images, val_images = (part.images.to(device).float() / BRIGHTEST for part in (train, val))
    deviation, mean = torch.std_mean(train_images, dim=(0, 2, 3), keepdim=True)
    # A constant channel has a deviation of 0.
    deviation = deviation.clamp_min(1 / BRIGHTEST)
    prepared = TensorData(
        padded((train_images - mean) / deviation, choice.crop),
        train.labels.to(device),
        (val_images - mean) / deviation,
        val.labels.to(device),
    )
    return prepared, counts


def _check_content(source: _Source, train: Part, val: Part) -> None:
    """Raises InvalidDataError if nothing can be learned or validated, whatever the learning rate."""
    name = source.folder if source.data == "folder" else source.data
    counts = f"{len(train.labels)} to train, {len(val.labels)} to validate"
    if len(train.labels) < LEAST_TRAIN or not len(val.labels):
        bound = f"at least {LEAST_TRAIN} to train and 1 to validate"
        remedy = "Add pictures, or raise validation_fraction or train_limit."
        raise refuse(name, "there are too few pictures", bound, counts, remedy)
    if (train.images == train.images[0]).all():
        remedy = "Check the files: their content may be in a channel that is not read."
        raise refuse(name, "all training pictures are the same", "two different ones", counts, remedy)


def _parts(images: ImageSet, choice: _Choice) -> tuple[Part, Part]:
    """The training and the validation part. A larger `train_limit` includes the images of a smaller one."""
    train, val = split(len(images.train.labels), choice.validation_fraction, choice.split_seed)
    if choice.fold is not None:
        return _fold_parts(images.train, torch.cat([train, val]), choice, choice.fold)
    if choice.validate_on == "test":
        if images.test is None:
            raise InvalidValueError(
                Fault("task.params.validate_on", "the folder has no test part", "held_out", "test", NO_TEST)
            )
        kept = torch.cat([train, val])[: choice.train_limit]
        return _chosen(images.train, kept), images.test
    return _chosen(images.train, train[: choice.train_limit]), _chosen(images.train, val)


def _fold_parts(part: Part, shuffled: Tensor, choice: _Choice, fold: Fold) -> tuple[Part, Part]:
    """The parts for a fold, which is taken from the training images; the test part is not used."""
    _, val = split_fold(part.labels.numpy(), fold, choice.split_seed, stratified=True)
    train = shuffled[~torch.isin(shuffled, val)]
    return _chosen(part, train[: choice.train_limit]), _chosen(part, val)


def _chosen(part: Part, indices: Tensor) -> Part:
    return Part(part.images[indices], part.labels[indices])
