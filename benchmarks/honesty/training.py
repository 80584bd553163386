"""Trains many small networks at once: every schedule of a list with every seed.

The runs are real and independent: a two-layer network trained by SGD with momentum 0.9 with its own rates. They only
share a program: all schedules of one seed have the same initial weights and data order, so that their products with the
inputs are one.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from lehr.schedules import Schedule

MOMENTUM = 0.9
DATA_SEED = 20_260_101


@dataclass(frozen=True)
class Problem:
    """A data set and how long it is trained. Shapes: (n, inputs) and (n,)."""

    name: str
    train_inputs: Tensor
    train_labels: Tensor
    val_inputs: Tensor
    val_labels: Tensor
    hidden: int
    batch: int
    epochs: int

    @property
    def steps_per_epoch(self) -> int:
        return len(self.train_labels) // self.batch

    @property
    def horizon(self) -> int:
        return self.epochs * self.steps_per_epoch


def digits(noise: float = 0.2) -> Problem:
    """scikit-learn's digits; a part of the training labels is drawn anew at random."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(DATA_SEED).permutation(len(labels))
    train, val = order[:896], order[896:]
    noisy = labels.copy()
    wrong = train[: int(noise * len(train))]
    noisy[wrong] = np.random.default_rng(DATA_SEED + 1).integers(0, 10, len(wrong))
    return _problem("digits", images, noisy, train, val, hidden=32, batch=64, epochs=8)


def fashion(folder: Path) -> Problem:
    """1,024 images of Fashion-MNIST's training set, 2,000 of its test set, averaged to 14 by 14 pixels."""
    train_images, train_labels = _idx(folder, "train", 1024)
    test_images, test_labels = _idx(folder, "t10k", 2000)
    images = np.concatenate([train_images, test_images])
    labels = np.concatenate([train_labels, test_labels])
    halves = images.reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(len(images), -1)
    return _problem("fashion", halves, labels, np.arange(1024), np.arange(1024, 3024), hidden=32, batch=64, epochs=5)


def train(problem: Problem, schedules: list[Schedule], seeds: list[int]) -> dict[str, np.ndarray]:
    """`accuracy` and `loss` on the validation data, each (schedules, seeds); NaN where a run diverged."""
    rates = torch.tensor(
        np.stack([np.asarray(schedule.curve_array(problem.horizon).lr) for schedule in schedules]), dtype=torch.float32
    )
    weights = _first_weights(problem, len(schedules), seeds)
    momenta = [torch.zeros_like(weight) for weight in weights]
    step = 0
    for epoch in range(problem.epochs):
        order = torch.stack([_order(problem, seed, epoch) for seed in seeds])
        for batch in order.split(problem.batch, dim=1)[: problem.steps_per_epoch]:
            gradients = _gradients(problem, weights, batch)
            for weight, momentum, gradient in zip(weights, momenta, gradients, strict=True):
                momentum.mul_(MOMENTUM).add_(gradient)
                weight.sub_(momentum * rates[:, step].view(1, -1, 1, 1))
            step += 1
    return _evaluate(problem, weights)


def _gradients(problem: Problem, weights: list[Tensor], batch: Tensor) -> tuple[Tensor, ...]:
    leaves = [weight.requires_grad_(True) for weight in weights]
    logits = _forward(problem.train_inputs[batch], leaves)
    labels = problem.train_labels[batch][:, None, :].expand(logits.shape[:3])
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 2), labels.flatten(), reduction="sum")
    gradients = torch.autograd.grad(losses / problem.batch, leaves)
    for weight in weights:
        weight.requires_grad_(False)
    return gradients


def _forward(inputs: Tensor, weights: list[Tensor]) -> Tensor:
    """inputs: (seeds, batch, features); logits: (seeds, schedules, batch, classes)."""
    first, first_bias, second, second_bias = weights
    seeds, schedules, features, hidden = first.shape
    joined = first.permute(0, 2, 1, 3).reshape(seeds, features, schedules * hidden)
    before = torch.bmm(inputs, joined).view(seeds, -1, schedules, hidden).transpose(1, 2) + first_bias
    return torch.relu(before) @ second + second_bias


@torch.no_grad()
def _evaluate(problem: Problem, weights: list[Tensor]) -> dict[str, np.ndarray]:
    seeds = weights[0].shape[0]
    logits = _forward(problem.val_inputs.expand(seeds, -1, -1), weights)
    labels = problem.val_labels.expand(logits.shape[:3])
    finite = torch.isfinite(logits).all(-1).all(-1)
    accuracy = (logits.argmax(-1) == labels).double().mean(-1)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 2).double(), labels.flatten(), reduction="none")
    nan = torch.tensor(torch.nan, dtype=torch.float64)
    return {
        "accuracy": torch.where(finite, accuracy, nan).T.numpy(),
        "loss": torch.where(finite, loss.view(labels.shape).mean(-1), nan).T.numpy(),
    }


def _first_weights(problem: Problem, schedules: int, seeds: list[int]) -> list[Tensor]:
    """Weights (seeds, schedules, rows, columns), the same for all schedules of a seed."""
    features = problem.train_inputs.shape[1]
    shapes = [(features, problem.hidden), (1, problem.hidden), (problem.hidden, 10), (1, 10)]
    made = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        made.append(
            [torch.randn(shape, generator=generator) * (2 / shape[0]) ** 0.5 * (shape[0] > 1) for shape in shapes]
        )
    return [
        torch.stack([each[index] for each in made])[:, None].expand(-1, schedules, -1, -1).clone()
        for index in range(len(shapes))
    ]


def _order(problem: Problem, seed: int, epoch: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed * 1000 + epoch + 7)
    return torch.randperm(len(problem.train_labels), generator=generator)


def _problem(
    name: str, images: np.ndarray, labels: np.ndarray, train: np.ndarray, val: np.ndarray, **sizes: int
) -> Problem:
    scaled = (images - images[train].mean()) / images[train].std()
    inputs, targets = torch.tensor(scaled, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)
    return Problem(name, inputs[train], targets[train], inputs[val], targets[val], **sizes)


def _idx(folder: Path, part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(16 + count * 784), np.uint8, offset=16).reshape(count, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(8 + count), np.uint8, offset=8)
    return images.astype(np.float32), labels.astype(np.int64)
