"""From the losses of a sweep to a smooth curve over the logarithm of the rate.

Losses of single batches are noisy, the first ones may be spikes, the last ones astronomically large or no numbers at
all. So they are capped, freed of spikes by a running median, and smoothed by a kernel that is centred: unlike a running
average it does not shift the curve to larger rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter

from lehr.wire.base import LARGEST_VALUE

Array = NDArray[np.float64]

POINTS_PER_DECADE = 20
"""Of the grid on which the sweeps of several seeds meet."""
SPIKE_STEPS = 5
"""The running median's window: what lasts for two steps or fewer is a spike."""
BANDWIDTH_DECADES = 0.15
"""The kernel's standard deviation."""
SPREAD = 4.0
"""Times the median distance from where the loss began: what noise makes of it."""
CALM_PART = 0.15
"""Of a sweep: its first rates, too low to change anything, which tell where the loss began."""
LEAST_REPORTS = 20


@dataclass(frozen=True, slots=True)
class Sweep:
    """What trial `number` reported: `losses` by step at rising `rates`, None where one was no finite number.
    `held_out`: the same of held-out examples, None besides where none was told; empty: of a worker that tells none.
    """

    number: int
    rates: tuple[float, ...]
    losses: tuple[float | None, ...]
    diverged: bool = False
    held_out: tuple[float | None, ...] = ()

    @property
    def of_held_out(self) -> Sweep:
        """The sweep as held-out examples saw it, where they were looked at."""
        told = [(rate, loss) for rate, loss in zip(self.rates, self.held_out, strict=False) if loss is not None]
        return replace(self, rates=tuple(rate for rate, _ in told), losses=tuple(loss for _, loss in told), held_out=())


@dataclass(frozen=True, slots=True)
class SmoothCurve:
    """`losses` (points,) over the grid `decades` (points,) of log10 rates. `start`: the loss before the rate did
    anything. `noise`: the standard deviation of the smoothed loss, as far as it is chance.
    """

    decades: Array
    losses: Array
    start: float
    noise: float

    @property
    def lowest(self) -> int:
        """The grid point of the least loss."""
        return int(np.argmin(self.losses))

    @property
    def gain(self) -> float:
        """How far the loss fell."""
        return self.start - float(self.losses[self.lowest])


def grid(sweeps: Sequence[Sweep]) -> Array:
    """log10 rates that span all sweeps, evenly."""
    low = min(np.log10(sweep.rates[0]) for sweep in sweeps)
    high = max(np.log10(sweep.rates[-1]) for sweep in sweeps)
    return np.linspace(low, high, max(2, round((high - low) * POINTS_PER_DECADE) + 1))


def smooth(sweep: Sweep, decades: Array) -> SmoothCurve | None:
    """The sweep's curve on the grid; None where it reported too little for one."""
    at, losses = _finite(sweep)
    if len(at) < LEAST_REPORTS:
        return None
    first = losses[: max(3, round(CALM_PART * len(losses)))]
    start = float(np.median(first))
    calm = median_filter(losses, SPIKE_STEPS, mode="mirror")
    # Until it has fallen the loss can only be about where it began: what is far above are spikes, however many.
    fall = slice(0, int(np.argmin(calm)))
    calm[fall] = np.minimum(calm[fall], start + SPREAD * float(np.median(np.abs(first - start))))
    # What was lost beyond all that was gained is lost alike: the cap keeps it from flooding the kernel.
    cap = start + max(start - float(calm.min()), 1e-12 * max(1.0, abs(start)))
    calm = np.minimum(calm, cap)
    width = min(BANDWIDTH_DECADES / float(np.median(np.diff(at))), len(at))
    curve = gaussian_filter1d(calm, width, mode="reflect")
    resolved = np.interp(decades, at, curve)
    if sweep.diverged:
        resolved[decades > at[-1]] = cap
    return SmoothCurve(decades, resolved, start, _noise(np.minimum(losses, cap), curve, width))


def together(curves: Sequence[SmoothCurve]) -> SmoothCurve:
    """The median curve of at least one; a seed that went astray alone does not move it."""
    losses = np.median([curve.losses for curve in curves], axis=0)
    start = float(np.median([curve.start for curve in curves]))
    noise = float(np.median([curve.noise for curve in curves]) / np.sqrt(len(curves)))
    return SmoothCurve(curves[0].decades, losses, start, noise)


def _finite(sweep: Sweep) -> tuple[Array, Array]:
    """log10 rates, strictly rising, and losses, where both are numbers, and the losses within LARGEST_VALUE."""
    losses = np.array([np.nan if loss is None else loss for loss in sweep.losses], dtype=float)
    rates = np.array(sweep.rates, dtype=float)
    usable = (np.abs(losses) <= LARGEST_VALUE) & np.isfinite(rates) & (rates > 0)
    at, losses = np.log10(rates[usable]), losses[usable]
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(at)) > 0]) if len(at) else np.zeros(0, dtype=bool)
    return at[rising], losses[rising]


def _noise(losses: Array, curve: Array, width: float) -> float:
    """The smoothed curve's: that of single losses about it, early on, over the root of how many it joins."""
    early = slice(0, max(LEAST_REPORTS // 2, len(losses) // 3))
    scatter = 1.4826 * float(np.median(np.abs(losses[early] - curve[early])))
    return scatter / float(np.sqrt(max(1.0, 2 * np.sqrt(np.pi) * width)))
