"""A cohort: trains its members together, step by step, with the results that each would have alone.

All members are at the same position within an epoch, so that their batches have the same size, but not necessarily in
the same epoch. A member that leaves does not affect the others; a new member joins at the cohort's position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from lehr.wire.leases import Report
from workers.cohort.epoch import Epoch, begin_epoch
from workers.cohort.member import Member
from workers.cohort.model import FusedModel
from workers.cohort.replay import Memory, Recorder, Replayer
from workers.cohort.saved import fresh_numbers, loaded_numbers, saved_state
from workers.cohort.stack import Stack, concatenated
from workers.cohort.step import FusedStep
from workers.cohort.updates import build_update
from workers.tasks.precision import use_precision
from workers.tasks.task import Task, TensorData
from workers.training.run import OUT_OF_RANGE, DivergedError, reportable

StepResults = list[tuple[Member, Report | DivergedError]]
"""The results of a step: reports at the end of an epoch, and errors, with a report, of members that diverged."""


class Cohort:
    """Members that train together. `members` has the order of the rows in all tensors."""

    def __init__(self, task: Task, data: TensorData, device: torch.device, recorder: Recorder | None = None) -> None:
        """An empty cohort. `recorder`: records steps for replay; None to launch all steps from Python.

        Raises NotFusibleError, and InvalidValueError for a precision that the device does not support.
        """
        use_precision(task.precision, device)
        self._task = task
        self._data = data
        self._device = device
        self._model = FusedModel(task, device)
        self._update = build_update(task.params)
        self._step = FusedStep(task, data, self._model, self._update)
        self._replayer = Replayer(recorder)
        self._steps_per_epoch = task.params.steps_per_epoch(data.train_size)
        self.members: list[Member] = []
        self._stack: Stack | None = None
        self._epoch: Epoch | None = None
        self._begins = True
        self.position = 0

    @property
    def steps_left(self) -> int:
        """Steps to the end of the epoch: all of an epoch's steps at its beginning."""
        return self._steps_per_epoch - self.position

    @property
    def not_replayed(self) -> str:
        """Why steps are not replayed although there is a recorder; empty if they are, or may still be."""
        return self._replayer.refused

    @property
    def is_settled(self) -> bool:
        """Whether the next steps will take as long as the last one, until members join or leave."""
        return self._replayer.is_settled

    def join(self, members: Sequence[Member], states: Sequence[Mapping[str, Any] | None]) -> None:
        """Add members. states: each member's state from `Run.state` or `state`; None starts it at step 0.

        Raises ValueError if the members are at different positions within their epochs.
        """
        arrivals = [self._numbers(member, state) for member, state in zip(members, states, strict=True)]
        positions = {member.step % self._steps_per_epoch for member in (*self.members, *members)}
        if len(positions) > 1:
            raise ValueError(f"members of a cohort share one position of their epochs, not {sorted(positions)}")
        self.position = positions.pop()
        present = [] if self._stack is None else [self._stack]
        self._stack = concatenated([*present, *(row.to(self._device) for row in arrivals)])
        self.members = [*self.members, *members]
        self._epoch = None
        self._replayer.forget()

    def leave(self, members: Iterable[Member]) -> None:
        """Remove members."""
        leaving = set(map(id, members))
        kept = [place for place, member in enumerate(self.members) if id(member) not in leaving]
        if self._stack is None or len(kept) == len(self.members):
            return
        places = torch.tensor(kept, dtype=torch.int64)
        self.members = [self.members[place] for place in kept]
        self._stack = self._stack.rows(places) if kept else None
        current = None if self._begins else self._epoch
        self._epoch = None if current is None else current.rows(places.to(self._device))
        self._replayer.forget()

    def advance(self) -> StepResults:
        """Train one step of all members, none of which may be finished. Diverged members must leave afterwards."""
        assert self._stack is not None, "no member has joined"
        stack, epoch = self._stack, self._current_epoch()
        self._do(stack, epoch, last=self.steps_left == 1)
        self.position = (self.position + 1) % self._steps_per_epoch
        stack.updates.add_(1)
        for member in self.members:
            member.step += 1
        if self.position == 0:
            self._begins = True
            return self._end_of_epoch(stack)
        # On other devices, reading the losses would wait for the device.
        return self._diverged(stack) if self._device.type == "cpu" else []

    def evaluate(self) -> list[dict[str, float]]:
        """The current metrics of every member."""
        assert self._stack is not None, "no member has joined"
        return self._model.evaluate(self._stack.weights, self._stack.buffers, self._data)

    def state(self, member: Member) -> dict[str, Any]:
        """The member's state as `Run.state` would return it: all that the rest of its training depends on."""
        assert self._stack is not None, "no member has joined"
        row = self._stack.rows(torch.tensor([self.members.index(member)]))
        return saved_state(self._task, member, row, self._model.template)

    def _numbers(self, member: Member, state: Mapping[str, Any] | None) -> Stack:
        slots = self._update.slots
        if state is None:
            return fresh_numbers(self._task, member, slots)
        return loaded_numbers(self._task, member, slots, state)

    def _do(self, stack: Stack, epoch: Epoch, *, last: bool) -> None:
        noise = [member.noise for member in self.members]
        memory = Memory(
            changed=[*stack.tensors(), epoch.position],
            read=epoch.tensors(),
            generators=noise if self._model.draws else (),
        )
        self._replayer.do(last, lambda: self._step.do(stack, epoch, noise, last=last), memory)

    def _current_epoch(self) -> Epoch:
        """The tables of the current epoch. They stay in the same memory until members join or leave."""
        assert self._stack is not None
        if self._begins or self._epoch is None:
            data = self._data.train_size
            epoch = begin_epoch(self._task, self.members, self._stack.updates, self._update, train_size=data)
            if self._epoch is None:
                self._epoch = epoch.to(self._device)
            else:
                self._epoch.copy_from(epoch)
            self._begins = False
        return self._epoch

    def _end_of_epoch(self, stack: Stack) -> StepResults:
        metrics = self.evaluate()
        results = dict(self._diverged(stack))
        sums = stack.loss_sums.tolist()
        stack.loss_sums.zero_()
        for member, loss_sum, values in zip(self.members, sums, metrics, strict=True):
            if member not in results:
                results[member] = self._report(member, loss_sum / self._data.train_size, values)
        return list(results.items())

    def _report(self, member: Member, train_loss: float, values: Mapping[str, float]) -> Report | DivergedError:
        metrics = {name: reportable(value) for name, value in values.items()}
        report = self._new_report(member, member.step - 1, reportable(train_loss), metrics)
        if metrics["val_loss"] is None:
            return DivergedError(f"val_loss {OUT_OF_RANGE}", report)
        member.rates.observe(metrics)
        return report

    def _diverged(self, stack: Stack) -> StepResults:
        bad_steps = stack.bad_steps.tolist()
        no_metrics = dict.fromkeys(self._task.metrics)
        return [
            (member, DivergedError("loss became non-finite", self._new_report(member, step, None, no_metrics)))
            for member, step in zip(self.members, bad_steps, strict=True)
            if step >= 0
        ]

    def _new_report(
        self, member: Member, step: int, train_loss: float | None, metrics: Mapping[str, float | None]
    ) -> Report:
        epoch = (step + 1) / self._steps_per_epoch
        return Report(step=step, epoch=epoch, lr=member.rates.lr(step), train_loss=train_loss, metrics=dict(metrics))
