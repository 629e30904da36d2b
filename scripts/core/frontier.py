"""How much of the exact reward-KL frontier a small transformer reaches, with itself as it was for a reference.

| name | what it averages |
|---|---|
| `frontier/<algorithm>/share@kl<nats>` | E[proxy] gained, over the most that the policy's own KL can buy |
| `frontier/<algorithm>/kl@kl<nats>` | KL(π ‖ π_ref) of whole sequences that it reached, in nats |
| `frontier/<algorithm>/seconds` | processor time of one learner for all three targets |

Value: the mean over seeds; low and high: their range. Each seed is another language, another model and other
samples. A learner goes from one target to the next, at the price of KL that belongs to it on the frontier; that
price is a setting, and all else that the learner sees is samples and their scores. Shares and KLs are exact.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads sleep

import torch

from palate.core.ids import derive_seed
from palate.world.exact.language import Language, random_language, sequence_numbers
from palate.world.exact.learning import ALGORITHMS, Learner, LearningConfig
from palate.world.exact.transformer import all_logprobs, fresh_model, pretrain

TARGETS: Final = (1.0, 4.0, 7.0)
"""Nats of whole sequences."""
SEEDS: Final = 2
_ROOM: Final = 1.5
"""Nats beyond the last target that the best sequence must be away, or the frontier ends there."""


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows, but for the seconds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one core, as the bounds say
    found: dict[str, list[float]] = defaultdict(list)
    try:
        for run in range(SEEDS):
            for name, value in measured(derive_seed(seed, "frontier", run)):
                found[name].append(value)
    finally:
        torch.set_num_threads(threads)
    return [
        {"name": name, "value": sum(x) / len(x), "low": min(x), "high": max(x), "n": len(x), "seeds": len(x)}
        for name, x in found.items()
    ]


def measured(seed: int, algorithms: tuple[str, ...] = ALGORITHMS) -> Iterator[tuple[str, float]]:
    """Names and values of one seed."""
    language = _language(seed)
    reference = fresh_model(seed)
    pretrain(reference, language.ref_logprobs_K, language.tokens_KT, seed)
    language = language.with_reference(all_logprobs(reference))
    for algorithm in algorithms:
        learner = Learner(reference, lambda tokens: language.proxy_K[sequence_numbers(tokens)], algorithm)
        seconds = 0.0
        for target in TARGETS:
            price = 1 / language.frontier(target).eta
            start = time.process_time()
            learner.practise(price, LearningConfig(seed=derive_seed(seed, algorithm, target)))
            seconds += time.process_time() - start
            logprobs_K = all_logprobs(learner.policy)
            yield f"frontier/{algorithm}/share@kl{target:g}", language.share_of_gain(logprobs_K)
            yield f"frontier/{algorithm}/kl@kl{target:g}", language.kl_nats(logprobs_K)
        yield f"frontier/{algorithm}/seconds", seconds


def _language(seed: int) -> Language:
    """The first language of a seed in which the last target can be spent."""
    for attempt in count():
        language = random_language(derive_seed(seed, "language", attempt))
        best_K = language.proxy_K == language.proxy_K.max()
        if -float(language.ref_logprobs_K[best_K].logsumexp(-1)) > TARGETS[-1] + _ROOM:
            return language
    raise AssertionError("unreachable")


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    for row in figures(parser.parse_args().seed):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
