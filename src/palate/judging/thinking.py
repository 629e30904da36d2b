"""A judge that thinks before it decides: how it is asked to, and how far its probabilities may go then.

After its own reasoning a model is nearly always sure, and probabilities near 0 and 1 make a preference model sure in
turn; so they are clamped.

Source: Bai et al. 2022, arXiv:2212.08073, 4.1: chain-of-thought labels clamped to 40 to 60 percent.
"""

from __future__ import annotations

from dataclasses import dataclass

from palate.core.errors import ConfigError

_VERDICT = "Then which answer is it? Reply with one word and nothing else: A, B, or tie."


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """First thoughts, then the verdict."""

    low: float = 0.4
    """No probability below it."""
    high: float = 0.6
    """Nor above it."""
    max_new_tokens: int = 256
    """Longest thoughts, in tokens; where they are cut off, the verdict is asked for all the same."""
    verdict: str = _VERDICT
    """What asks for the verdict when the thoughts are told."""

    def __post_init__(self) -> None:
        if not 0 <= self.low < 0.5 < self.high <= 1:
            raise ConfigError(
                "the clamp of a judge that thinks leaves no room for both sides",
                expected="two probabilities, one below 0.5 and one above",
                found=f"{self.low} and {self.high}",
            )
        if self.max_new_tokens < 1:
            raise ConfigError(
                "a judge cannot think without a word", expected="1 token or more", found=str(self.max_new_tokens)
            )

    def clamped(self, p: float) -> float:
        """A probability, as near to ½ as it has to be."""
        return min(max(p, self.low), self.high)

    @property
    def words(self) -> list[object]:
        """What makes it another way to ask."""
        return [self.verdict, self.low, self.high, self.max_new_tokens]
