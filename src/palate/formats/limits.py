"""How much of a foreign file is held in memory at once, and how far it may unfold."""

from __future__ import annotations

from dataclasses import dataclass

from palate.core.errors import ConfigError

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a file may ask of the machine that reads it."""

    row_bytes: int = 16 * MIB
    """A longer row is passed over in pieces, and refused."""
    table_lines: int = 2_000
    """Lines that one row of a table may run over before an open quotation mark is taken for a slip."""
    unfold_ratio: float = 200.0
    """A compressed file that grows by more is a bomb; text grows 3 to 20 times."""
    unfold_free_bytes: int = 64 * MIB
    """What a compressed file may grow to without being asked."""
    batch_rows: int = 10_000
    batch_bytes: int = 32 * MIB
    """A batch ends with the first of the two."""

    def __post_init__(self) -> None:
        for name in ("row_bytes", "table_lines", "unfold_free_bytes", "batch_rows", "batch_bytes", "unfold_ratio"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} leaves no room for a row", expected="1 or more", found=str(getattr(self, name))
                )


LIMITS = Limits()
"""What holds when nothing else is said."""
