"""What a search believes of going on."""

from __future__ import annotations

from lehr.wire.base import Response


class Convergence(Response):
    """After `trials`, in units of the objective: what a further trial is expected to gain, the noise of one training,
    and the bound on how far the best so far is from the best of the space, believed at 90%. `method`: how.
    """

    trials: int
    expected_improvement: float
    noise: float
    regret_bound: float
    converged: bool
    method: str
