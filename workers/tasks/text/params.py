"""Parameters of the task `text`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from workers.tasks.files import FileName
from workers.tasks.params import PrecisionName, TrainingParams

TokenName = Literal["char", "byte"]
STDLIB = "stdlib"


class TextParams(TrainingParams):
    """Parameters of the task `text`. The model is `heads` times `head_width` wide."""

    file: Annotated[
        FileName, Field(description="a text file in the data folder, or `stdlib`: the Python library's own sources")
    ] = STDLIB
    tokens: Annotated[TokenName, Field(description="the kind of token; char needs a UTF-8 text")] = "char"
    context: Annotated[int, Field(ge=2, le=8192, description="tokens in an example")] = 128
    layers: Annotated[int, Field(ge=1, le=24, description="transformer blocks")] = 4
    heads: Annotated[int, Field(ge=1, le=16, description="attention heads of a block")] = 4
    head_width: Annotated[int, Field(ge=1, le=128, description="width of one head")] = 32
    dropout: Annotated[float, Field(ge=0, le=0.9, description="share of activations dropped in training")] = 0.0
    precision: Annotated[
        PrecisionName, Field(description="precision of the computation; tf32 needs CUDA; bf16 and fp16 are mixed")
    ] = "fp32"
    validation_fraction: Annotated[
        float, Field(ge=0.01, le=0.5, description="share of the text, at its end, held out for validation")
    ] = 0.1
    train_limit: Annotated[
        int | None,
        Field(ge=2, le=10**9, description="use only this many tokens from the start of the text; null: all"),
    ] = None

    @property
    def width(self) -> int:
        return self.heads * self.head_width
