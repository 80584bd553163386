"""The task `text`: predict the next character or byte of a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lehr.wire.data import DataSummary
from workers.tasks.classification import accuracy
from workers.tasks.files import refuse
from workers.tasks.params import PrecisionName
from workers.tasks.precision import with_precision
from workers.tasks.summary import of_text
from workers.tasks.task import Task, TensorData
from workers.tasks.text.corpus import load
from workers.tasks.text.gpt import Gpt
from workers.tasks.text.params import TextParams

EVALUATION_TOKENS = 1 << 15
"""Tokens per forward pass in validation. Limits memory and does not affect the result."""


class Text(Task):
    """Next-token prediction. An example is `context` consecutive tokens, and examples do not overlap."""

    name: ClassVar[str] = "text"
    params_model = TextParams
    metrics: ClassVar[tuple[str, ...]] = ("val_loss", "val_accuracy")

    def __init__(self, params: TextParams) -> None:
        self.params: TextParams = params

    @property
    def precision(self) -> PrecisionName:
        return self.params.precision

    def data(self, device: torch.device) -> TensorData:
        """Inputs and targets (n, context). The end of the text is the validation part.

        Raises MissingDataError and InvalidDataError.
        """
        tokens = load(self.params.file, self.params.tokens, self.data_dir).tokens[: self.params.train_limit]
        held_out = round(self.params.validation_fraction * len(tokens))
        tokens = tokens.to(device)
        cut = len(tokens) - held_out
        return TensorData(*self._examples(tokens[:cut]), *self._examples(tokens[cut:]))

    def summary(self) -> DataSummary:
        corpus = load(self.params.file, self.params.tokens, self.data_dir)
        tokens = "byte" if self.params.tokens == "byte" else "character"
        return of_text(self.params.file, tokens, len(corpus.tokens), self.params.train_limit)

    def build_model(self) -> nn.Module:
        vocabulary = load(self.params.file, self.params.tokens, self.data_dir).vocabulary
        return with_precision(Gpt(self.params, vocabulary), self.params.precision)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Nats per token. outputs: (batch, context, vocabulary); targets: (batch, context)"""
        return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def measure(self, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        return {"val_accuracy": accuracy(outputs.flatten(0, 1), targets.flatten())}

    def evaluate(self, model: nn.Module, data: TensorData) -> Mapping[str, Tensor]:
        # In pieces, because the logits of a whole text do not fit into memory. The metrics are means over all tokens.
        size = max(1, EVALUATION_TOKENS // self.params.context)
        sums = dict.fromkeys(self.metrics, torch.zeros((), dtype=torch.float64))
        for inputs, targets in zip(data.val_inputs.split(size), data.val_targets.split(size), strict=True):
            outputs = model(inputs)
            values = {"val_loss": self.loss(outputs, targets), **self.measure(outputs, targets)}
            sums = {name: sums[name] + value.cpu().double() * len(targets) for name, value in values.items()}
        return {name: value / len(data.val_targets) for name, value in sums.items()}

    def _examples(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Two views of the same tokens, the second shifted by one token. Raises InvalidDataError for too few tokens."""
        context = self.params.context
        count = (len(tokens) - 1) // context
        if count < 1:
            raise refuse(
                self.params.file,
                "the training or the validation part is too short for one example",
                f"at least {context + 1} tokens",
                len(tokens),
                "Use a longer text, a shorter context, or another validation_fraction or train_limit.",
            )
        inputs, targets = tokens[: count * context], tokens[1 : count * context + 1]
        return inputs.view(count, context), targets.view(count, context)
