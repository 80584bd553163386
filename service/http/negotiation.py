"""Content negotiation: chooses the media type that a client prefers (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.exceptions import HTTPException

JSON, SVG = "application/json", "image/svg+xml"


def negotiate(accept: str | None, offered: Sequence[str]) -> str:
    """The offered type that `Accept` prefers; of equals, the first. Raises HTTPException 406 if it accepts none."""
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    best = max(offered, key=lambda kind: _quality(kind, ranges))
    if _quality(best, ranges) <= 0:
        raise HTTPException(406, f"none of the types in Accept is available; available: {', '.join(offered)}")
    return best


def _range(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
    try:
        return kind, min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return kind, 0.0


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that includes the type; 0 if none does."""
    for wanted in (kind, kind.split("/", maxsplit=1)[0] + "/*", "*/*"):
        qualities = [quality for accepted, quality in ranges if accepted == wanted]
        if qualities:
            return max(qualities)
    return 0.0
