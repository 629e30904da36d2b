"""Times as foreign files write them: ISO 8601, or seconds, milliseconds or nanoseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime

_PER_SECOND = ((1e17, 1e9), (1e11, 1e3), (0.0, 1.0))
"""From which number on a time can only be in such a unit."""


def moment(value: object) -> str:
    """UTC in ISO 8601; "" for what is no time, since a wrong time is worse than none. Without offset it is UTC."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            unit = next(unit for least, unit in _PER_SECOND if value >= least)
            found = datetime.fromtimestamp(value / unit, UTC)
        elif isinstance(value, str) and value.strip():
            found = datetime.fromisoformat(value.strip())
        else:
            return ""
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        return found.isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return ""
