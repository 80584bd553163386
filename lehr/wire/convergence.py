"""The model of a search's convergence estimate."""

from __future__ import annotations

from lehr.wire.base import Response


class Convergence(Response):
    """Whether a search has converged after `trials` trials, in units of the objective: the expected improvement from
    one more trial, the noise of one training, and a bound on the regret that holds with 90% probability. `method`: how
    these were computed.
    """

    trials: int
    expected_improvement: float
    noise: float
    regret_bound: float
    converged: bool
    method: str
