"""The work of a cell, the same for both sides: models, rows, lengths, batches. Made without torch.

| | tiny | small |
|---|---|---|
| Llama | 4 layers of 128, 1.2 million weights | 6 layers of 384, 15 million weights |
| `sft`, `sft_grouped`, `reward`, `dpo` | 32 rows or pairs a step | the same |
| `grpo`, `rloo` | 128 completions a step, 8 a prompt | 64 |
| `ppo` | 128 completions, 4 epochs | 32 |

Prompts have 16 to 64 tokens, completions in data 5 to 64 with their end, evenly spread; sampled ones end by
themselves or at 64. A *plain* cell leaves nothing to gain from lengths or prompts: all sequences are equally long,
all prompts are different, and where several completions share one it has 4 tokens.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from palate.core.ids import derive_seed

SIZES: Mapping[str, Mapping[str, int]] = {
    "tiny": {"hidden": 128, "intermediate": 512, "layers": 4, "heads": 4, "kv_heads": 2, "vocabulary": 1024},
    "small": {"hidden": 384, "intermediate": 1280, "layers": 6, "heads": 6, "kv_heads": 3, "vocabulary": 4096},
}
"""Models by name, in the words of `flops.llama`."""
TRAINED = ("sft", "sft_grouped", "reward", "dpo", "ppo", "grpo", "rloo")
"""Stages with a run of their own; `rollout` is the sampling of `grpo`."""
SAMPLING = ("ppo", "grpo", "rloo")
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
"""The first tokens of the vocabulary; all others are words."""
CORE_GFLOPS = 120.0
"""What normalised time is for: a core that delivers this on the probe of `meter`."""
PPO_EPOCHS = 4
MAX_NEW_TOKENS = 64
_PROMPT, _COMPLETION = (16, 64), (4, 63)
_POOL = 40
"""Batches among which rows are grouped by length; transformers takes up to 50."""


class Plan(NamedTuple):
    """How much is done between two turns."""

    batch: int
    """Rows, pairs or completions in a step."""
    group: int
    """Completions a prompt."""
    steps: int
    """In a block; a block is an epoch over its rows, or over its prompts."""


PLANS = {
    "tiny": {
        "sft": Plan(32, 1, 8), "sft_grouped": Plan(32, 1, 8), "reward": Plan(32, 2, 6), "dpo": Plan(32, 2, 4),
        "ppo": Plan(128, 1, 1), "grpo": Plan(128, 8, 2), "rloo": Plan(128, 8, 1),
    },
    "small": {
        "sft": Plan(32, 1, 2), "sft_grouped": Plan(32, 1, 2), "reward": Plan(32, 2, 1), "dpo": Plan(32, 2, 1),
        "ppo": Plan(32, 1, 1), "grpo": Plan(64, 8, 1), "rloo": Plan(64, 8, 1),
    },
}  # fmt: skip


class Cell(NamedTuple):
    """One comparison."""

    stage: str
    size: str
    plain: bool = False

    @property
    def name(self) -> str:
        """As in a figure's name: `dpo/tiny` or `plain/dpo/tiny`."""
        return f"{'plain/' if self.plain else ''}{self.stage}/{self.size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What either side is told to do. Texts are token ids; as text they are words with blanks between."""

    stage: str
    size: str
    batch: int
    group: int
    steps: int
    """In a block."""
    blocks: int
    """The first of them only warms up."""
    seed: int
    max_new_tokens: int
    prompts: list[list[int]]
    completions: list[list[list[int]]]
    """One a prompt, or chosen and rejected, without the end token; empty where completions are sampled."""

    def write(self, path: Path) -> Path:
        """As JSON, for a process of either side."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Work:
        """What `write` wrote."""
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(**found)


def work_of(cell: Cell, *, seed: int, blocks: int, steps: int | None = None, batch: int | None = None) -> Work:
    """The work of a cell.

    Args:
        cell: Which.
        seed: Of everything.
        blocks: Warm-up included.
        steps: In a block; None is the plan's.
        batch: None is the plan's.
    """
    plan = PLANS[cell.size][cell.stage]
    plan = plan._replace(steps=steps or plan.steps, batch=batch or plan.batch)
    text = Text(SIZES[cell.size]["vocabulary"], derive_seed(seed, "bench", cell.size, cell.plain))
    sampled = cell.stage in SAMPLING
    rows = plan.batch * plan.steps // (plan.group if sampled else 1)
    pool = plan.batch * max(_POOL, plan.steps) if cell.stage == "sft_grouped" and not cell.plain else rows
    shares = plan.group > 1
    prompts = text.distinct(_lengths(text.random, pool, *_PROMPT, fixed=(4 if shares else 40) if cell.plain else 0))
    completions: list[list[list[int]]] = []
    if not sampled:
        sides = [
            _lengths(text.random, pool, *_COMPLETION, fixed=(67 if shares else 33) if cell.plain else 0)
            for _ in range(plan.group)
        ]
        completions = [[text.words(side[row]) for side in sides] for row in range(pool)]
    if len(prompts) > rows:
        kept = _grouped(prompts, completions, plan)
        prompts, completions = [prompts[i] for i in kept], [completions[i] for i in kept]
    return Work(
        stage=cell.stage,
        size=cell.size,
        batch=plan.batch,
        group=plan.group,
        steps=plan.steps,
        blocks=blocks,
        seed=seed,
        max_new_tokens=MAX_NEW_TOKENS,
        prompts=prompts,
        completions=completions,
    )


class Text:
    """Words of very different frequency, half of which follow from the word before: something can be learned.

    Args:
        vocabulary: Tokens, the special ones included.
        seed: Of all of it.
    """

    def __init__(self, vocabulary: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.ids = range(len(SPECIAL), vocabulary)
        self.cumulative = list(accumulate(1 / (rank + 8) for rank in range(len(self.ids))))

    def words(self, count: int) -> list[int]:
        """So many tokens."""
        found = self.random.choices(self.ids, cum_weights=self.cumulative, k=count)
        for place in range(1, count):
            if self.random.random() < 0.5:
                found[place] = self.ids[(found[place - 1] * 5 + 11) % len(self.ids)]
        return found

    def distinct(self, lengths: list[int]) -> list[list[int]]:
        """Texts of these lengths, all different."""
        found: dict[tuple[int, ...], None] = {}
        for length in lengths:
            while (words := tuple(self.words(length))) in found:
                continue
            found[words] = None
        return [list(words) for words in found]

    def sequence(self) -> tuple[list[int], list[int]]:
        """A prompt and a completion as in the data, for a policy that is to learn when to end."""
        return self.words(self.random.randint(*_PROMPT)), self.words(self.random.randint(*_COMPLETION))


def written(ids: list[int]) -> str:
    """Token ids as text."""
    return " ".join(f"w{token}" for token in ids)


def _lengths(source: random.Random, count: int, low: int, high: int, *, fixed: int) -> list[int]:
    """Evenly spread from low to high, in random order; or all of a fixed length, if that is above 0."""
    if fixed:
        return [fixed] * count
    found = [low + int((place + source.random()) / count * (high - low + 1)) for place in range(count)]
    source.shuffle(found)
    return found


def _grouped(prompts: list[list[int]], completions: list[list[list[int]]], plan: Plan) -> list[int]:
    """Rows for whole batches of like length, spread evenly over all lengths: as a long sampler would batch them."""
    by_length = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]) - len(completions[row][0]))
    batches = len(prompts) // plan.batch
    chosen = [(2 * step + 1) * batches // (2 * plan.steps) for step in range(plan.steps)]
    return [row for batch in chosen for row in by_length[batch * plan.batch : (batch + 1) * plan.batch]]
