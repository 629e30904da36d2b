"""Who answers prompts: the policy itself, in this process, or servers that have its weights (`server_sampler`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from palate.models import sampling
from palate.models.sampling import Sampled
from palate.models.tokenizers import ends_of
from palate.training import parallel, parallel_weights
from palate.training.rl_settings import RolloutConfig

if TYPE_CHECKING:
    from palate.training.cast import Cast
    from palate.training.run import Run

Asking = Callable[[int], Sequence[Sequence[int]]]
"""Iteration → the prompts it will ask, as tokens."""


class Answers(NamedTuple):
    """What came back for the prompts of an iteration."""

    rows: list[Sampled | None]
    """None where nobody answered."""
    reasons: list[str]
    """Why not."""
    version: int
    """Iterations behind the weights that answered."""
    foreign: bool
    """Somebody else's arithmetic: the log-probs are the sampler's, and not to be taken for the trainer's."""
    facts: Mapping[str, float]
    """For the metrics."""


class Sampler(Protocol):
    """Answers the prompts of an iteration. It is a part of the run's state."""

    def answer(
        self, cast: Cast, config: RolloutConfig, encoded: Sequence[Sequence[int]], *, seed: int, iteration: int
    ) -> Answers:
        """One completion a prompt.

        Args:
            cast: With the policy.
            config: Length, temperature, precision.
            encoded: Prompts as tokens.
            seed: Row `i` draws from a stream named by `seed` and `i` alone.
            iteration: Whose prompts these are.
        """

    def look_ahead(self, ask: Asking) -> None:
        """Learn what later iterations will ask."""

    def close(self) -> None:
        """Nobody will ask any more."""

    def state_dict(self) -> dict[str, Any]:
        """What is on its way."""

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """What was on its way."""


class LocalSampler:
    """The policy answers here, and at once; there is nothing to remember."""

    def answer(
        self, cast: Cast, config: RolloutConfig, encoded: Sequence[Sequence[int]], *, seed: int, iteration: int
    ) -> Answers:
        """One completion a prompt."""
        mine = parallel.own(len(encoded))
        with config.arithmetic(cast.device), parallel_weights.whole(cast.policy):
            some = sampling.sample(
                cast.policy,
                encoded[mine.start : mine.stop],
                eos_id=ends_of(cast.tokenizer).ids,
                max_new_tokens=config.max_new_tokens,
                temperature=config.temperature,
                seeds=sampling.row_seeds(seed, mine),
            )
        rows = [row for part in parallel.gather(some) for row in part]
        return Answers(list(rows), [""] * len(rows), iteration, False, {})

    def look_ahead(self, ask: Asking) -> None:
        """Not needed."""

    def close(self) -> None:
        """Nothing to do."""

    def state_dict(self) -> dict[str, Any]:
        """Empty."""
        return {}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Nothing to do."""


def open_sampler(config: RolloutConfig, cast: Cast, run: Run) -> Sampler:
    """Servers, if the run has any; else the policy itself.

    Raises:
        ConfigError: servers that cannot be used, or staleness without servers.
    """
    from palate.training import server_sampler

    return server_sampler.open_servers(config, cast, run) or LocalSampler()
