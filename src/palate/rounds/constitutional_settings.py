"""What Constitutional AI is made from, and how much of it there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palate.core.errors import ConfigError
from palate.core.records import Demonstration, Prompt
from palate.judging.revising import RevisingConfig
from palate.preferences import dataset
from palate.training.dpo import DPOConfig
from palate.training.ppo import PPOConfig
from palate.training.reward import RewardConfig
from palate.training.sft import SFTConfig

POLICIES: Final = ("dpo", "ppo")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstitutionalConfig:
    """How much is revised and compared."""

    rounds: int = 1
    """Critiques and revisions in a row, each by a principle of its own."""
    critique: bool = True
    """Without, an answer is rewritten by the principle at once."""
    temperature: float = 1.0
    """Of answers, critiques and revisions."""
    max_new_tokens: int = 256
    """Longest of them, in tokens."""
    completions: int = 4
    """Answers to each red-team prompt that are compared with each other in the second stage."""
    pairs: int = 4
    """Comparisons of them, at most."""
    soft: bool = True
    """Comparisons are labelled by the probability that the judge named, not by its verdict."""
    heldout_fraction: float = 0.05
    """Share of prompts that are kept for evaluation, of revisions and of preferences."""
    policy: str = "dpo"
    """`dpo`, or `ppo` against a reward model."""
    seed: int = 0
    """Of what is said, which principles are drawn, and the splits."""

    def __post_init__(self) -> None:
        RevisingConfig(rounds=self.rounds)
        dataset.check_fraction(self.heldout_fraction)
        if self.completions < 2 or self.pairs < 1:
            raise ConfigError(
                "nothing would be compared", expected="2 completions and 1 pair or more",
                found=f"{self.completions} and {self.pairs}",
            )  # fmt: skip
        if self.policy not in POLICIES:
            raise ConfigError("there is no such way to the policy", expected=" or ".join(POLICIES), found=self.policy)

    @property
    def revising(self) -> RevisingConfig:
        """How answers are revised."""
        return RevisingConfig(rounds=self.rounds, critique=self.critique, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipes:
    """Settings of the stages in between."""

    sft: SFTConfig = SFTConfig()  # noqa: RUF009
    dpo: DPOConfig = DPOConfig()  # noqa: RUF009
    reward: RewardConfig = RewardConfig()  # noqa: RUF009
    ppo: PPOConfig = PPOConfig()  # noqa: RUF009


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is learned from."""

    red_team: Sequence[Prompt]
    """Requests that are likely to be answered badly: they are revised, and the model's word on them counts."""
    helpful: Sequence[Prompt] = ()
    """Other requests. What the model itself says to them is learned beside the revisions, so that it stays as helpful
    as it was; with PPO it practises on them."""
    demonstrations: Sequence[Demonstration] = ()
    """Learned beside the revisions too."""
    preferences: Path | None = None
    """Dataset of what people say of answers to other requests: what helps, and nothing of what harms."""
