"""Runs of the world of answers as the reward-hacking monitor sees them: samples, scores and fresh labels, no gold.

Shapes: `N` answers of a look, `P` labelled pairs.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from palate.core.ids import derive_seed
from palate.evaluation.monitor.audit import Look
from palate.world.exact.answers import answers, triples
from palate.world.exact.pursuit import Run

LABELS: Final = 300
"""Pairs of a look that careful people judge."""
SAMPLES: Final = 1024
"""Answers of a look; what they score and how probable they are costs no labels."""
AXES: Final = 32
"""Main axes of what no count of letters or pairs describes."""
STEPS_BACK: Final = 2
"""Looks over which the movement is measured."""


def looks(run: Run, *, labels: int = LABELS, samples: int = SAMPLES, seed: int = 0) -> list[Look]:
    """What the monitor is given, look by look. Labels are drawn from gold, everything else is open to it.

    Args:
        run: A finished run.
        labels: P of each look.
        samples: N of each look, at least twice the labels.
        seed: Of samples and labels.
    """
    world = run.world
    generator = torch.Generator().manual_seed(derive_seed(seed, "looks"))
    proxy_K, described_KD = world.proxy_K, described(world.ref_logprobs_K.exp())
    found = []
    for at, logprobs_K in enumerate(run.logprobs):
        drawn_N = torch.multinomial(logprobs_K.exp(), max(samples, 2 * labels), replacement=True, generator=generator)
        first_P, second_P = torch.arange(labels), torch.arange(labels, 2 * labels)
        margin_P = world.gold_K[drawn_N[first_P]] - world.gold_K[drawn_N[second_P]]
        said_P = torch.rand(labels, generator=generator, dtype=torch.float64) < (world.sharpness * margin_P).sigmoid()
        before_K = run.logprobs[max(at - STEPS_BACK, 0)]
        rewards_N = proxy_K[drawn_N]
        found.append(
            Look(
                features_ND=torch.cat([described_KD[drawn_N], bend(rewards_N)], dim=-1).numpy(),
                rewards_N=rewards_N.numpy(),
                moved_N=(logprobs_K - before_K)[drawn_N].numpy(),
                departed_N=(logprobs_K - world.ref_logprobs_K)[drawn_N].numpy(),
                prompts_N=np.zeros(len(drawn_N), dtype=int),
                first_P=first_P.numpy(),
                second_P=second_P.numpy(),
                labels_P=said_P.double().numpy(),
            )
        )
    return found


def bend(rewards_N: torch.Tensor) -> torch.Tensor:
    """Rewards and their squares: whatever is gamed, worth bends along the reward that pays for it."""
    return torch.stack((rewards_N, rewards_N.square()), dim=-1)


def described(reference_K: torch.Tensor) -> torch.Tensor:
    """What can be told of an answer: letters, pairs of them, length, the squares of single counts, and main axes.

    The axes are of counts of triples, as a monitor of a real run has the main axes of a model's hidden states.
    """
    every = answers()
    length_K1 = every.lengths_K.double().unsqueeze(-1)
    counted = (every.counts_KV, every.counts_KV.square(), length_K1, length_K1.square(), every.pairs_KP)
    triples_KA = triples() - reference_K @ triples()
    _, axes_AA = torch.linalg.eigh((triples_KA * reference_K.unsqueeze(-1)).T @ triples_KA)
    return torch.cat([*counted, triples_KA @ axes_AA[:, -AXES:]], dim=-1)
