"""Before the first step: what a run will need, whether that is there, and which setting would make it fit.

The sizes of models come from their folders, the lengths of rows from the data, everything else from the settings; the
arithmetic stands in `memory_plan`. Of the settings that make a run smaller the cheapest are tried first: those that
change nothing of the result, then those that change how it is reached, then those that leave data out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from palate.core.errors import ConfigError
from palate.models import adapters, ensemble
from palate.models.anatomy import Anatomy, anatomy_of
from palate.models.memory import LARGE
from palate.models.room import Room, in_words, room_on
from palate.training import memory_plan, parallel
from palate.training.memory_plan import FOUR_BIT, WEIGHT, Member, Phase, Plan, Rows, Sampling
from palate.training.rl_settings import RolloutConfig
from palate.training.run import Run
from palate.training.scorers import is_function
from palate.training.settings import TuningConfig

_SIDE_BY_SIDE = 128
"""Rows that `sampling.sample` takes at once."""
_BUNDLE = 16
"""Rows that share one copy of their prompt at most, in the engine."""
_ASKED_AT_ONCE = 32
"""Rows of a pass without gradient; of pairs so many pairs."""


class Judge(NamedTuple):
    """A reward model, as far as its memory goes."""

    anatomy: Anatomy
    rank: int
    """Of an adapter, 0 for a whole model."""
    members: int = 1
    """Of an ensemble."""


class Work(NamedTuple):
    """What a run does, apart from its settings."""

    recipe: str
    """As in a manifest: `train dpo`."""
    model: Anatomy
    judge: Judge | None
    """None where nobody judges, or a function does."""
    lengths: Sequence[tuple[int, int]]
    """Tokens of prompt and completion, a row each; of a recipe that samples, of the prompts."""
    samples: bool = True
    """Whether completions are sampled here, and not by servers."""
    hands: int = 1
    """Processes among which trained weights are parted; 1 where each has all of them."""


def check(
    run: Run, config: TuningConfig, model: Path | str, lengths: Sequence[tuple[int, int]], reward: Path | str = ""
) -> None:
    """Say what a run will need, and refuse what cannot fit.

    Args:
        run: Whose device, and whose listener.
        config: Settings.
        model: Folder of the model that it begins with.
        lengths: Tokens of prompt and completion of every row; 0 for completions that are still to be sampled.
        reward: Folder of a reward model, or a function, if there is one.

    Raises:
        ConfigError: it does not fit; it names a setting with which it would, if there is one.
    """
    if not run.options.memory_check:
        return
    work = work_of(run.manifest.made_by, config, model, lengths, reward)
    world = parallel.world()
    work = work._replace(samples=not getattr(run.options, "server", ()), hands=world.size if world.shards else 1)
    judge(config, work, run.device, _own_share(room_on(run.device), run.device), run.progress.note)


def judge(config: TuningConfig, work: Work, device: torch.device, room: Room | None, note: Any) -> None:
    """As `check`, of a room that is known."""
    peak = plan_of(config, work, device).peak
    free = f", {in_words(room.whole)} free" if room else ""
    note(f"memory: needs about {in_words(peak.total)} in the {peak.name}{free}")
    if room is None or peak.total <= room.whole:
        return
    raise ConfigError(
        f"{work.recipe.removeprefix('train ')} does not fit into memory",
        expected=f"at most {in_words(room.whole)}, which are free on {device}",
        found=f"about {in_words(peak.total)} in the {peak.name}: {told(peak)}",
        hint=f"{way_out(config, work, device, room.whole)}; --no-memory-check goes on regardless",
    )


def way_out(config: TuningConfig, work: Work, device: torch.device, free: int) -> str:
    """The cheapest settings that fit, as they are typed, and what a run needs with them."""
    change = cheapest_change(config, work, device, free)
    if not change:
        return "no setting makes it fit: take a smaller model or shorter rows"
    words = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in change.items())
    return f"{words} needs about {in_words(plan_of(replace(config, **change), work, device).peak.total)}"


def told(phase: Phase) -> str:
    """The parts of a phase, the largest first; what is small beside it is left out."""
    parts = sorted(phase.parts.items(), key=lambda part: -part[1])
    return ", ".join(f"{name} {in_words(size)}" for name, size in parts if size > phase.total / 50)


def work_of(
    recipe: str, config: TuningConfig, model: Path | str, lengths: Sequence[tuple[int, int]], reward: Path | str = ""
) -> Work:
    """What a run does, from its folders; no weights are read."""
    found = None
    if reward and not is_function(reward):
        found = Judge(anatomy_of(reward), _rank(reward))
        if ensemble.is_ensemble(reward):
            members = ensemble.read(reward).members
            found = Judge(anatomy_of(reward), _rank(members[0].folder), len(members))
    return Work(recipe, anatomy_of(model), found, lengths)


def plan_of(config: TuningConfig, work: Work, device: torch.device) -> Plan:
    """All phases of a run."""
    members = [memory_plan.parted(one, work.hands) for one in members_of(config, work)]
    half = config.dtype != "float32"
    found = []
    if isinstance(config, RolloutConfig) and work.samples:
        found += [memory_plan.rollout(members, sampling_of(config, work), 2 if half else WEIGHT)]
    at_once = min(config.rollouts if isinstance(config, RolloutConfig) else len(work.lengths), _ASKED_AT_ONCE)
    at_once *= 2 if work.recipe == "train dpo" else 1
    twice = device.type == "cpu" and work.model.parameters < LARGE
    found += [memory_plan.scoring(members, rows_of(config, work, at_once), half=half, twice=twice)]
    if any(member.trained for member in members):
        rows, parts = micro_batch(config, work)
        how = {"half": half, "each": device.type == "cuda", "twice": twice, "again": config.gradient_checkpointing}
        found += [memory_plan.update(members, rows_of(config, work, rows), parts=parts, **how)]
    return Plan(tuple(found))


def sampling_of(config: RolloutConfig, work: Work) -> Sampling:
    """The batch that is sampled side by side."""
    rows = min(config.rollouts, _SIDE_BY_SIDE)
    bundle = min(getattr(config, "group_size", 1), _BUNDLE)
    joined = work.model.flat and (config.tuning == "full" or (config.tuning == "lora" and config.dtype == "float32"))
    longest = max(prompt for prompt, _ in work.lengths)
    return Sampling(rows, -(-rows // bundle) if work.model.flat else rows, longest, config.max_new_tokens, joined)


def members_of(config: TuningConfig, work: Work) -> list[Member]:
    """Everyone who takes part, the one that is trained first."""
    size = WEIGHT if config.dtype == "float32" else 2
    hats = config.tuning != "full"
    base: dict[str, Any] = {"bytes_each": FOUR_BIT if config.tuning == "qlora" else size, "rank": config.lora_rank}
    whole: dict[str, Any] = {"bytes_each": WEIGHT}
    scalar = work.recipe == "train reward"
    trained = getattr(config, "head", "") != "pooled" and work.recipe != "train best-of-n"
    settings = base if hats else whole
    found = [
        memory_plan.member("reward" if scalar else "policy", work.model, trained=trained, speaks=not scalar, **settings)
    ]
    if not isinstance(config, RolloutConfig):
        return found
    if not hats:
        found.append(memory_plan.member("reference", work.model, bytes_each=size))
    if work.judge is not None:
        hat = hats and work.judge.rank > 0
        rank = work.judge.rank if hat else 0
        one = memory_plan.member("reward", work.judge.anatomy, bytes_each=size, rank=rank, shares=hat, speaks=False)
        found += [one] * work.judge.members
    if getattr(config, "critic", "") == "model":
        begun = work.judge.anatomy if work.judge and not hats else work.model
        found.append(memory_plan.member("critic", begun, trained=True, shares=hats, speaks=False, **settings))
    return found


def micro_batch(config: TuningConfig, work: Work) -> tuple[int, int]:
    """Rows of a recipe's micro-batch, and how many micro-batches a step has."""
    at_once, batch = config.micro_batch, getattr(config, "batch_size", 0)
    if work.recipe == "train dpo":
        at_once, batch = 2 * max(at_once // 2, 1), 2 * batch
    elif work.recipe == "train online-dpo":
        group: int = getattr(config, "group_size", 1)
        at_once = max(at_once // group, 1) * group
    elif work.recipe == "train reward":
        batch = 2 * getattr(config, "batch_prompts", 1)
    if not isinstance(config, RolloutConfig):
        batch = min(batch, len(work.lengths))
    rows = max(min(at_once, batch), 1)
    return rows, -(-batch // rows)


def rows_of(config: TuningConfig, work: Work, count: int) -> Rows:
    """The batch of so many rows that takes most: that of the longest."""
    lengths = rows_left(config, work)
    together = 2 if work.recipe == "train dpo" else 1
    if isinstance(config, RolloutConfig):
        together = getattr(config, "group_size", 1)
        lengths = [(prompt, config.max_new_tokens) for prompt, _ in lengths for _ in range(together)]
        lengths = (lengths * -(-count // len(lengths)))[: max(count, len(lengths))]  # prompts come again
    longest = sorted(lengths, key=sum, reverse=True)[:count]
    width, seen = max(map(sum, longest)), sum(map(sum, longest))
    kept = sum(completion for _, completion in longest)
    if config.layout == "shared" and work.model.flat:
        repeated = sum(prompt for place, (prompt, _) in enumerate(longest) if place % together)
        tokens, most = seen - repeated, config.micro_tokens
        if 0 < most < tokens and len(longest) > together:
            return rows_of(config, work, len(longest) - together)
        return Rows(len(longest), tokens, seen, kept, kept, flat=True)
    if config.layout == "packed":
        return Rows(len(longest), seen, seen, seen, len(longest) * max(c for _, c in longest), flat=False)
    padded = len(longest) * width
    asked = len(longest) * (width - min(prompt for prompt, _ in longest) + 1)
    return Rows(len(longest), padded, padded, asked, len(longest) * max(c for _, c in longest), flat=False)


def rows_left(config: TuningConfig, work: Work) -> Sequence[tuple[int, int]]:
    """Rows that are not too long for the settings."""
    limit = getattr(config, "max_tokens", None)
    return [row for row in work.lengths if limit is None or sum(row) <= limit]


def cheapest_change(config: TuningConfig, work: Work, device: torch.device, free: int) -> dict[str, Any]:
    """The first change of settings whose plan fits, empty if none does."""
    for change in changes(config, device, max(map(sum, work.lengths))):
        try:
            changed = replace(config, **change)
        except ConfigError:
            continue
        if not rows_left(changed, work):
            continue
        if plan_of(changed, work, device).peak.total <= free:
            return change
    return {}


def changes(config: TuningConfig, device: torch.device, longest: int) -> Iterator[dict[str, Any]]:
    """Changes of settings that make a run smaller, the cheapest first.

    Args:
        config: As it is.
        device: Half precision and 4 bits are for GPUs.
        longest: Tokens of the longest row.
    """
    smaller = [{"micro_batch": config.micro_batch >> shift} for shift in range(1, config.micro_batch.bit_length())]
    if config.layout == "shared":  # which also parts what is asked without a gradient
        smaller += [{"micro_tokens": most} for most in (16384, 8192, 4096, 2048, 1024) if most > longest]
    if not config.gradient_checkpointing:
        smaller.append({"gradient_checkpointing": True, "micro_batch": 1})
    half = [{"dtype": "bfloat16"}] if config.dtype == "float32" and device.type == "cuda" else []
    lora: list[dict[str, Any]] = [{"tuning": "lora"}] if config.tuning == "full" else []
    ways: list[dict[str, Any]] = [{}, *half, *lora, *(one | two for one in lora for two in half)]
    if config.tuning != "qlora" and device.type == "cuda":
        ways += [{"tuning": "qlora"} | two for two in half or [{}]]
    for way in ways:
        if way:
            yield way
        yield from (way | one for one in smaller)
    sampling = isinstance(config, RolloutConfig)
    name, most = ("max_new_tokens", config.max_new_tokens) if sampling else ("max_tokens", longest)  # type: ignore[attr-defined]
    yield from (way | {"micro_batch": 1, name: most >> shift} for way in ways for shift in range(1, 4))


def _own_share(room: Room | None, device: torch.device) -> Room | None:
    """Processes on one machine share what is free of its memory; of GPUs each has one."""
    if room is None or device.type != "cpu" or not parallel.launched():
        return room
    return room._replace(free=room.free // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _rank(reward: Path | str) -> int:
    if not adapters.is_adapter(reward):
        return 0
    told: int = json.loads((Path(reward) / adapters.CONFIG).read_text(encoding="utf-8"))["r"]
    return told
