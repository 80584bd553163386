"""Trains one run of a task, a schedule and a seed, step by step.

The run is a function of these alone: the same seed gives the same curve, and a run restored
from `state()` continues exactly as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lehr.schedules import Schedule
from lehr.wire.base import LARGEST_VALUE
from lehr.wire.data import DataSummary
from lehr.wire.leases import Report
from workers.tasks.precision import use_precision
from workers.tasks.randomness import derived_seed, generator
from workers.tasks.task import Task, TensorData
from workers.training.dropout import draw_dropouts
from workers.training.optimizers import build_optimizer, set_rates
from workers.training.rates import Rates

OUT_OF_RANGE = f"became non-finite or exceeded {LARGEST_VALUE:g}"
"""Why a measurement is null in a report."""
SWEEP_EVALUATIONS = 100
"""Maximum number of evaluations in the sweep of a range test."""
SWEEP_EXAMPLES = 512
"""Maximum number of held-out examples for each of them, so that they cost less than the training."""


class DivergedError(Exception):
    """The loss became non-finite or too large to report. `report`: the last one, with null for unreportable values."""

    def __init__(self, what: str, report: Report) -> None:
        self.report = report
        super().__init__(f"{what} at step {report.step}")


class Run:
    """A run of `horizon_steps` steps. `step`: the next one, 0-based."""

    def __init__(
        self,
        task: Task,
        schedule: Schedule,
        seed: int,
        device: torch.device,
        fraction: float = 1.0,
        *,
        steps: int | None = None,
        report_every: int | None = None,
        on_data: Callable[[int, DataSummary | None], object] = lambda horizon_steps, data: None,
    ) -> None:
        """`steps`: the horizon, in place of `fraction` of the task's horizon.

        `report_every`: for a range test, report the training loss every so many steps, with the loss on a few held-out
        examples in up to SWEEP_EVALUATIONS of the reports, and no other metrics. `on_data`: called with the horizon and
        a summary of the data before the model is built, which may fail.
        """
        self._task = task
        self._seed = seed
        self._device = device
        use_precision(task.precision, device)
        self._data = task.data(device)
        self.horizon_steps = steps or task.horizon_steps(self._data, fraction)
        on_data(self.horizon_steps, task.summary())
        self._report_every = report_every
        self._steps_per_epoch = task.params.steps_per_epoch(self._data.train_size)
        self._rates = Rates(schedule, self.horizon_steps, task.metrics)
        self.model = _fresh_model(task, seed).to(device)
        if device.type != "cpu":
            draw_dropouts(self.model)
        self.optimizer = build_optimizer(self.model.parameters(), task.params, self._rates.lr(0))
        self._order = torch.empty(0, dtype=torch.int64)
        self._draws: Tensor | None = None
        self._loss_sum = torch.zeros((), device=device, dtype=_sum_dtype(device))
        self._examples = 0
        self._bad_step = torch.full((), -1, device=device, dtype=torch.int64)
        self.step = 0
        torch.manual_seed(derived_seed("noise", seed))

    @property
    def finished(self) -> bool:
        return self.step >= self.horizon_steps

    def advance(self) -> Report | None:
        """Train one step. Returns a report after each epoch, or every `report_every` steps. Raises DivergedError."""
        step = self.step
        set_rates(self.optimizer, self._rates.lr(step), self._rates.momentum(step))
        self._descend(self._batch(step))
        self.step += 1
        if not self._is_due():
            return None
        self._check_divergence()
        if self._report_every is not None:
            return self._new_report(step, self._mean_loss(), self._sweep_metrics(self._report_every))
        report = self._evaluated_report(step)
        self._rates.observe(report.metrics)
        return report

    def _sweep_metrics(self, report_every: int) -> dict[str, float | None]:
        """The loss on a few held-out examples; empty for most reports of a long sweep."""
        reports = self.step // report_every
        if reports % -(-self.horizon_steps // (report_every * SWEEP_EVALUATIONS)):
            return {}
        inputs, targets = self._data.val_inputs[:SWEEP_EXAMPLES], self._data.val_targets[:SWEEP_EXAMPLES]
        few = replace(self._data, val_inputs=inputs, val_targets=targets)
        return {"val_loss": reportable(self.evaluate(few)["val_loss"])}

    def _is_due(self) -> bool:
        if self._report_every is None:
            return self.step % self._steps_per_epoch == 0
        return self.step % self._report_every == 0 or self.finished

    def _batch(self, step: int) -> Tensor:
        """The indices of the step's examples, on the device."""
        epoch, position = divmod(step, self._steps_per_epoch)
        if position == 0 or not len(self._order):
            # Each epoch's order has its own seed, so the step alone determines the position in the data.
            order = torch.randperm(self._data.train_size, generator=generator("order", self._seed, epoch))
            self._order = order.to(self._device)
            draws = self._task.draws(self._data.train_size, self._seed, epoch)
            self._draws = None if draws is None else draws.to(self._device)
        start = position * self._task.params.batch_size
        return self._order[start : start + self._task.params.batch_size]

    def _descend(self, batch: Tensor) -> None:
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._task.loss(self.model(self._inputs(batch)), self._data.train_targets[batch])
        self._record_loss(loss.detach(), len(batch))
        loss.backward()
        if self._task.params.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._task.params.clip_norm)
        self.optimizer.step()

    def _inputs(self, batch: Tensor) -> Tensor:
        inputs = self._data.train_inputs[batch]
        return inputs if self._draws is None else self._task.augment(inputs, self._draws[batch])

    def _record_loss(self, loss: Tensor, examples: int) -> None:
        """Add to the epoch's loss and record the first non-finite step, without waiting for the device."""
        self._loss_sum += loss * examples
        self._examples += examples
        first = (self._bad_step < 0) & ~torch.isfinite(loss)
        self._bad_step.masked_fill_(first, self.step)
        if self._device.type == "cpu":
            self._check_divergence()

    def _check_divergence(self) -> None:
        bad_step = int(self._bad_step)
        if bad_step >= 0:
            raise DivergedError("loss became non-finite", self._blank_report(bad_step))

    def _blank_report(self, step: int) -> Report:
        return self._new_report(step, None, dict.fromkeys(self._task.metrics))

    def _evaluated_report(self, step: int) -> Report:
        train_loss = self._mean_loss()
        metrics = {name: reportable(value) for name, value in self.evaluate().items()}
        report = self._new_report(step, train_loss, metrics)
        if metrics["val_loss"] is None:
            raise DivergedError(f"val_loss {OUT_OF_RANGE}", report)
        return report

    def _mean_loss(self) -> float | None:
        """The mean loss of the examples seen since the last report."""
        mean = float(self._loss_sum) / self._examples
        self._loss_sum.zero_()
        self._examples = 0
        return reportable(mean)

    def _new_report(self, step: int, train_loss: float | None, metrics: dict[str, float | None]) -> Report:
        epoch, lr = self._epoch(step), self._rates.lr(step)
        return Report(step=step, epoch=epoch, lr=lr, train_loss=train_loss, metrics=metrics)

    def evaluate(self, data: TensorData | None = None) -> dict[str, float]:
        """The model's metrics on `data`; by default on the task's own data."""
        self.model.eval()
        with torch.no_grad():
            values = self._task.evaluate(self.model, self._data if data is None else data)
            return {name: float(value) for name, value in values.items()}

    def _examples_of_epoch(self) -> int:
        return (self.step % self._steps_per_epoch) * self._task.params.batch_size

    def _epoch(self, step: int) -> float:
        """Epochs completed after this step."""
        return (step + 1) / self._steps_per_epoch

    def state(self) -> dict[str, Any]:
        """All state that the rest of the run depends on. Only for `restore`: it shares tensors with the run."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "loss_sum": self._loss_sum,
            "examples": self._examples,
            "bad_step": self._bad_step,
            "rates": self._rates.state(),
            "noise": torch.get_rng_state(),
            "device_noise": _device_noise(self._device),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._loss_sum.copy_(state["loss_sum"])
        # Cohorts and older checkpoints do not store it: their sum covers the epoch up to this step.
        self._examples = state.get("examples", self._examples_of_epoch())
        self._bad_step.copy_(state["bad_step"])
        self._rates.restore(state.get("rates"))  # older checkpoints lack it, but their schedules have no state
        self._order = torch.empty(0, dtype=torch.int64)
        torch.set_rng_state(state["noise"])
        _set_device_noise(self._device, state["device_noise"])


def _fresh_model(task: Task, seed: int) -> torch.nn.Module:
    """A new model, built on the CPU, so that every device starts from the same weights."""
    torch.manual_seed(derived_seed("init", seed))
    return task.build_model()


def _sum_dtype(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def reportable(value: float) -> float | None:
    """The value, or None if it is non-finite or too large for a report."""
    return value if abs(value) <= LARGEST_VALUE else None


def _device_noise(device: torch.device) -> Tensor | None:
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else None


def _set_device_noise(device: torch.device, noise: Tensor | None) -> None:
    """Restore the device's generator. A run that moved to another kind of device keeps the generator that its seed set
    there; it could not continue bit for bit anyway.
    """
    if noise is None:
        return
    if device.type == "cuda":
        torch.cuda.set_rng_state(noise, device)
    elif device.type == "mps":
        torch.mps.set_rng_state(noise)
