"""What a policy is trained on in place of the reward's own score."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from palate.training.rl_settings import RolloutConfig
from palate.training.rollouts import Rollouts
from palate.training.scorers import ModelScorer, Scorer


def average_score(scorer: Scorer, rollouts: Rollouts) -> float:
    """What a made-up score is held against: the mean of the first iteration; a pooled head's mean is 0."""
    if isinstance(scorer, ModelScorer) and scorer.pooled is not None:
        return 0.0
    return float(rollouts.scores_B[rollouts.scored_B].mean())


def trained_scores(config: RolloutConfig, rollouts: Rollouts, average: float) -> Float[Tensor, " B"]:
    """Scores, with what a completion without an end gets. Only from an average is it a penalty.

    Args:
        config: What becomes of a completion without an end.
        rollouts: What was sampled; a score of NaN stays NaN.
        average: See `average_score`.
    """
    if config.missing_eos != "penalty":
        return rollouts.scores_B
    made_up = torch.where(rollouts.scored_B, average + config.missing_eos_score, torch.nan)
    return torch.where(rollouts.finished_B, rollouts.scores_B, made_up)
