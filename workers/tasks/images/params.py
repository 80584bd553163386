"""Parameters of the task `images`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from workers.tasks.files import FileName
from workers.tasks.params import ActivationName, HeldOutParams, PrecisionName

PublishedName = Literal["mnist", "fashion_mnist", "cifar10", "cifar100"]
DataName = Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "folder"]
ModelName = Literal["mlp", "cnn", "resnet"]
ValidationName = Literal["held_out", "test"]


class ImagesParams(HeldOutParams):
    """Parameters of the task `images`."""

    data: Annotated[DataName, Field(description="the data set; folder: your own pictures")] = "fashion_mnist"
    folder: Annotated[
        FileName, Field(description="with `data: folder`: the folder of class folders, in the data folder")
    ] = "images"
    side: Annotated[
        int, Field(ge=8, le=512, description="with `data: folder`: side in pixels of the squares that pictures become")
    ] = 32
    model: Annotated[ModelName, Field(description="the classifier")] = "mlp"
    activation: Annotated[ActivationName, Field(description="between layers")] = "relu"
    hidden: Annotated[int, Field(ge=1, le=8192, description="width of the hidden layer of mlp and cnn")] = 128
    width: Annotated[int, Field(ge=1, le=512, description="channels of the first convolution of cnn and resnet")] = 32
    precision: Annotated[
        PrecisionName, Field(description="precision of the computation; tf32 needs CUDA; bf16 and fp16 are mixed")
    ] = "fp32"
    flip: Annotated[bool, Field(description="mirror each training image in every other epoch, starting at random")] = (
        False
    )
    crop: Annotated[
        int, Field(ge=0, le=8, description="maximum random shift of training images in pixels, edges mirrored")
    ] = 0
    validate_on: Annotated[
        ValidationName,
        Field(description="validate on a held-out part of the training images, or on the data set's test images"),
    ] = "held_out"
    validation_fraction: Annotated[
        float, Field(ge=0.05, le=0.5, description="share of the training images held out")
    ] = 0.1
    train_limit: Annotated[
        int | None, Field(ge=1, le=1_000_000, description="number of training images, drawn by split_seed; null: all")
    ] = None
