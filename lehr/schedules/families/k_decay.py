"""The family `k_decay`: a cosine or polynomial decay in a power of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lehr.schedules import interpolation
from lehr.schedules.families.formula_family import Shaped
from lehr.schedules.interpolation import Levels
from lehr.schedules.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class KDecay(Shaped):
    """Follows half a cosine wave or a polynomial in x^k: the greater k, the longer the rate stays high.

    lr(x) = end + (top - end) (1 + cos πx^k) / 2 (`cosine`) or end + (top - end) (1 - x^k)^power (`polynomial`).

    >>> schedule = KDecay(start_lr=1.0, end_lr=0.0, k=2.0)
    >>> [round(schedule.lr_at(p), 6) for p in (0, 0.5, 1)]
    [1.0, 0.853553, 0.0]

    First step: start_lr. Last and beyond: end_lr.
    """

    family: ClassVar[str] = "k_decay"
    formula: ClassVar[str] = "end + (top - end) (1 + cos πx^k) / 2, or end + (top - end) (1 - x^k)^power"
    source: ClassVar[str] = (
        "Zhang and Li 2020, k-decay: a new method for learning rate schedule, arXiv 2004.05909; timm's k_decay"
    )
    searchable: ClassVar[bool] = False

    k: float = parameter(
        "float",
        "the power of the time, above 0; 1 leaves it as it is",
        default=2.0,
        low=0.0,
        high=100.0,
        open_low=True,
        search=(1.0, 5.0),
        log=True,
    )
    curve_shape: Literal["cosine", "polynomial"] = parameter(
        "choice",
        "what is followed in the bent time",
        default="cosine",
        choices=("cosine", "polynomial"),
        search=("cosine", "polynomial"),
    )
    power: float = parameter(
        "float", "the polynomial's power, above 0", default=1.0, low=0.0, high=100.0, open_low=True
    )

    @property
    def unused_fields(self) -> frozenset[str]:
        return super().unused_fields | ({"power"} if self.curve_shape == "cosine" else set())

    def _body(self, progress: float, levels: Levels) -> float:
        bent = self._after_rise(progress) ** self.k
        if self.curve_shape == "cosine":
            return interpolation.cosine(levels.top, levels.last, bent)
        return levels.last + (levels.top - levels.last) * (1 - bent) ** self.power  # type: ignore[no-any-return]

    def _body_code(self, levels: Levels) -> list[str]:
        top, end = levels.top, levels.last
        bent = f"x = x ** {self.k!r}"
        if self.curve_shape == "cosine":
            return [bent, f"value = {interpolation.code('cosine', top, end)}"]
        return [bent, f"value = {end!r} + ({top!r} - {end!r}) * (1 - x) ** {self.power!r}"]
