"""Which of several media types a client prefers (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.exceptions import HTTPException

JSON, SVG = "application/json", "image/svg+xml"


def negotiate(accept: str | None, offered: Sequence[str]) -> str:
    """The offered type that `Accept` prefers, the earlier one of equals. Raises HTTPException 406 for none."""
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    best = max(offered, key=lambda kind: _quality(kind, ranges))
    if _quality(best, ranges) <= 0:
        raise HTTPException(406, f"none of the types asked for is offered; offered are {', '.join(offered)}")
    return best


def _range(part: str) -> tuple[str, float]:
    kind, *parameters = (each.strip().lower() for each in part.split(";"))
    quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return kind, min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return kind, 0.0


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that holds the type, 0 where none does."""
    for held in (kind, kind.split("/", maxsplit=1)[0] + "/*", "*/*"):
        found = [quality for asked, quality in ranges if asked == held]
        if found:
            return max(found)
    return 0.0
