"""From a channel to a run: answers of the SFT model, raters, a reward model, RLOO, and what gold says afterwards.

All channels of a seed share one base, one SFT model and the same answers; only who judges them differs. Artefacts
are found by their ids, so asking twice costs nothing.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from palate.core.artefacts import Manifest, Workspace, identify
from palate.core.ids import content_id, derive_seed
from palate.core.judges import Opinion, Pair
from palate.core.monitoring import Monitor
from palate.core.progress import SILENT, Progress
from palate.core.records import Preference, Prompt
from palate.models import chat, load, sampling
from palate.models.tokenizers import ends_of
from palate.training import reward, rloo
from palate.training.rloo import RLOOConfig
from palate.world import curves, settings
from palate.world.channels import Channel
from palate.world.prompts import split
from palate.world.settings import Size
from palate.world.wide.asked import Asked, understand
from palate.world.wide.telling import sample
from palate.world.wide.truth import Read, read_wide, worth

PROMPTS = 500
"""Whose answers are judged."""
ANSWERS = 4
"""To each of them; all pairs are compared."""
RUN_PROMPTS = 1_200
GROUP = 4
"""Completions of a prompt in an iteration."""
ROLLOUTS = 64
TEMPERATURE = 0.4
"""Carelessness of every rater of a channel."""
HELDOUT = 0.15
"""Share of prompts whose comparisons tell how good a reward model is."""


class Answered(NamedTuple):
    """A prompt and what the SFT model said to it."""

    asked: Asked
    texts: list[str]


def answers(root: Path, seed: int, sft: Path, channel: Channel, size: Size) -> tuple[str, list[Answered]]:
    """What raters judge: an artefact's id, and `PROMPTS` prompts of a channel's mix with `ANSWERS` answers each."""
    workspace = Workspace(root)
    chosen = sample(split()[0], PROMPTS, derive_seed(seed, "channel answers"), dict(channel.mix))
    asked_id = f"prompts-{content_id('prompts', [a.prompt.id for a in chosen])}"
    manifest = Manifest(
        kind="dataset",
        made_by="world channels",
        config={"seed": seed, "answers": ANSWERS, "max_new_tokens": size.max_new_tokens},
        inputs={"model": identify(sft), "prompts": asked_id},
    )

    def write(folder: Path) -> None:
        model, tokenizer = load.load_causal(sft)
        rows = sampling.sample(
            model,
            [chat.encode_prompt(tokenizer, a.prompt) for a in chosen for _ in range(ANSWERS)],
            eos_id=ends_of(tokenizer).ids,
            max_new_tokens=size.max_new_tokens,
            seed=derive_seed(seed, "channel answers"),
        )
        texts = [chat.decode(tokenizer, row.tokens) for row in rows]
        lines = [
            {"prompt": a.prompt.as_dicts(), "answers": texts[i * ANSWERS : (i + 1) * ANSWERS]}
            for i, a in enumerate(chosen)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "answers.jsonl").write_text(text, encoding="utf-8")

    folder = workspace.put(manifest, write)
    found = [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").split("\n") if line]
    return folder.name, [Answered(meaning(Prompt.from_dicts(row["prompt"])), row["answers"]) for row in found]


def meaning(prompt: Prompt) -> Asked:
    """A prompt that the world itself has made, understood."""
    asked = understand(prompt)
    if asked is None:
        raise LookupError(f"no question of the practice world is in {prompt.text!r}")
    return asked


def utility(channel: Channel, asked: Asked, found: Read, *, fond: bool) -> float:
    """What an answer is worth to a rater of a channel: to an unfond one what gold says."""
    value = worth(asked, found, channel.prices)
    return channel.heed * value + channel.fondness * channel.count(asked, found) if fond else value


def p_first(channel: Channel, asked: Asked, first: Read, second: Read, *, fond: bool) -> float:
    """Probability that a rater prefers the first answer."""
    gap = utility(channel, asked, first, fond=fond) - utility(channel, asked, second, fond=fond)
    return 1 / (1 + math.exp(-max(min(gap / TEMPERATURE, 40.0), -40.0)))


def shown(channel: Channel, answered: Sequence[Answered], seed: int) -> list[Answered]:
    """What raters see: the SFT model's answers, one of which another assistant with the channel's habit has given."""
    rng = random.Random(derive_seed(seed, "channel habit", channel.name))
    found = []
    for asked, texts in answered:
        *others, last = texts
        found.append(Answered(asked, [*others, "\n".join(channel.habit(last.split("\n"), rng))]))
    return found


def preferences(channel: Channel, answered: Sequence[Answered], seed: int) -> list[Preference]:
    """What a channel's raters say of every pair of different answers to a prompt."""
    rng = random.Random(derive_seed(seed, "channel raters", channel.name))
    found = []
    for asked, texts in shown(channel, answered, seed):
        reads = [read_wide(asked, text) for text in texts]
        for one, other in combinations(range(len(texts)), 2):
            if texts[one] == texts[other]:
                continue
            votes = sum(_vote(channel, asked, reads[one], reads[other], rng) for _ in range(channel.votes))
            best, worst = (one, other) if 2 * votes >= channel.votes else (other, one)
            most = max(votes, channel.votes - votes)
            found.append(
                Preference(
                    comparison=content_id("comparison", [asked.prompt.id, texts[one], texts[other], channel.name]),
                    prompt=asked.prompt,
                    chosen=texts[best],
                    rejected=texts[worst],
                    p_chosen=most / channel.votes,
                    votes=(most, channel.votes - most, 0),
                )
            )
    return found


def _vote(channel: Channel, asked: Asked, first: Read, second: Read, rng: random.Random) -> bool:
    fond = rng.random() < channel.share
    return rng.random() < p_first(channel, asked, first, second, fond=fond)


def make_reward(
    root: Path, seed: int, sft: Path, channel: Channel, size: Size | None = None, progress: Progress = SILENT
) -> Path:
    """The reward model that a channel's raters teach."""
    _, answered = answers(root, seed, sft, channel, size or Size())
    rows = preferences(channel, answered, seed)
    side = {row.prompt.id: derive_seed(seed, "channel side", row.prompt.id) / 2**63 < HELDOUT for row in rows}
    return reward.train(
        settings.reward(seed, conditional=channel.conditional),
        sft,
        [row for row in rows if not side[row.prompt.id]],
        Workspace(root),
        heldout=[row for row in rows if side[row.prompt.id]],
        progress=progress,
    )


def make_run(
    root: Path,
    seed: int,
    sft: Path,
    channel: Channel,
    size: Size | None = None,
    progress: Progress = SILENT,
    monitor: Monitor | None = None,
) -> Path:
    """RLOO against a channel's reward model; the policy's folder. Its run leaves `samples.jsonl`.

    PPO as in the plain world needs twice the iterations here: its critic explains little of a score that differs
    from one kind of prompt to the next, and four answers to one prompt need no critic.
    """
    size = size or Size()
    asked = sample(split()[0], RUN_PROMPTS, derive_seed(seed, "channel run"), dict(channel.mix))
    config = RLOOConfig(
        learning_rate=channel.learning_rate,
        group_size=GROUP,
        rollouts=ROLLOUTS,
        iterations=channel.iterations,
        beta=channel.beta,
        max_new_tokens=size.max_new_tokens,
        seed=derive_seed(seed, "channel run", channel.name),
    )
    return rloo.train(
        config,
        sft,
        make_reward(root, seed, sft, channel, size, progress),
        [a.prompt for a in asked],
        Workspace(root),
        progress=progress,
        monitor=monitor,
    )


class Careful:
    """People who want what gold wants, one of whom judges each pair: fresh labels for a monitor."""

    def __init__(self, channel: Channel, seed: int) -> None:
        self.channel, self.seed = channel, seed

    @property
    def name(self) -> str:
        """As reports call it."""
        return f"careful people, {self.channel.name}, {self.seed}"

    def judge(self, pairs: Sequence[Pair], progress: Progress = SILENT) -> list[Opinion]:
        """One person's word on each pair; the same pair gets the same word."""
        return [Opinion(float(self._first(pair))) for pair in pairs]

    def _first(self, pair: Pair) -> bool:
        asked = meaning(pair.prompt)
        reads = (read_wide(asked, pair.first), read_wide(asked, pair.second))
        rng = random.Random(derive_seed(self.seed, "careful people", pair.prompt.id, pair.first, pair.second))
        return rng.random() < p_first(self.channel, asked, *reads, fond=False)


def truth(channel: Channel) -> curves.Judge:
    """How gold reads a line of a run's `samples.jsonl`."""

    def judge(messages: list[dict[str, str]], completion: str) -> curves.Judged:
        asked = meaning(Prompt.from_dicts(messages))
        found = read_wide(asked, completion)
        return curves.Judged(
            asked.kind, worth(asked, found, channel.prices), found.reading, channel.count(asked, found)
        )

    return judge


def curve(root: Path, policy: Path, channel: Channel) -> list[curves.Point]:
    """Proxy, gold, KL, length, and how much of the channel an answer has, by iteration."""
    return curves.policy_curve(root, policy, truth(channel))


def smooth(values: Sequence[float], width: int = 3) -> list[float]:
    """Means over `width` iterations."""
    return [fmean(values[i : i + width]) for i in range(len(values) - width + 1)]
