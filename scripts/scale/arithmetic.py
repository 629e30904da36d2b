"""What judgements and policies cost: bytes, FLOPs, seconds, money. Plain functions; every argument has its unit."""

from __future__ import annotations

import math
from typing import NamedTuple

from scripts.scale.assumptions import Assumptions, Shape

HALF = 2
"""Bytes of a weight in bfloat16."""
TRAINED = 16
"""Bytes of a weight in training: float32 weight, gradient, and two moments of Adam."""


class Collecting(NamedTuple):
    """What it takes to collect judgements."""

    rater_hours: float
    rater_years: float
    rater_usd: float
    raters_at_once: float
    """At the busiest time."""
    writes_a_second: float
    """Durable transactions, two a judgement, at the busiest time."""
    store_busy: float
    """Share of one writer's time that they take; 1 is all of it."""
    store_bytes: float
    to_raters_bytes: float
    """Pages and texts that are sent."""
    snapshot_host_bytes: float
    """A snapshot while it is frozen, as Python holds it."""
    trainer_host_bytes: float
    """All pairs as lists of tokens, as a recipe holds them."""


def collecting(judgements: float, given: Assumptions) -> Collecting:
    """All that happens before training; one judgement a comparison."""
    hours = judgements * given.seconds_a_judgement / 3600
    mean = judgements / (given.days_to_collect * 86_400)
    busiest = mean * given.peak_over_mean
    text = (given.prompt_tokens + 2 * given.completion_tokens) * given.characters_a_token
    tokens = given.prompt_tokens + 2 * given.completion_tokens
    return Collecting(
        rater_hours=hours,
        rater_years=hours / given.work_hours_a_year,
        rater_usd=hours * given.rater_usd_an_hour,
        raters_at_once=busiest * given.seconds_a_judgement,
        writes_a_second=2 * busiest,
        store_busy=busiest * given.store_write_s,
        store_bytes=judgements * (given.judgement_bytes + given.comparison_bytes + text),
        to_raters_bytes=judgements * (given.page_bytes + text),
        snapshot_host_bytes=judgements * (given.rows_in_python_bytes + text),
        trainer_host_bytes=judgements * tokens * given.token_in_python_bytes,
    )


class Memory(NamedTuple):
    """GPU bytes of whole models."""

    policy: float
    """In training."""
    critic: float
    reference: float
    """In bfloat16, as is the reward model."""
    reward: float
    sampler: float
    """One replica's weights in bfloat16, without its cache."""

    @property
    def ppo(self) -> float:
        """Everyone but the sampler."""
        return self.policy + self.critic + self.reference + self.reward


def memory(shape: Shape) -> Memory:
    """Four models of one size, and a sampler."""
    trained, frozen = float(TRAINED * shape.parameters), float(HALF * shape.parameters)
    return Memory(trained, trained, frozen, frozen, frozen)


def least_gpus(count_bytes: float, given: Assumptions) -> int:
    """GPUs that hold so much in nine tenths of their memory."""
    return math.ceil(count_bytes / (0.9 * given.gpu_bytes))


def forward_flops(shape: Shape, tokens: float, length: float) -> float:
    """Of a forward pass: two a weight that is multiplied, and causal attention over `length` tokens.

    Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1.
    """
    multiplied = shape.parameters - (0 if shape.tied else shape.vocabulary * shape.width)
    return tokens * (2 * multiplied + 2 * shape.layers * shape.width * length)


class Sampling(NamedTuple):
    """One replica of a server that samples."""

    gpus: int
    rows: int
    """Sampled side by side."""
    step_s: float
    bound: str
    """`bandwidth` or `FLOPs`."""
    tokens_a_second: float


def sampling(shape: Shape, given: Assumptions) -> Sampling:
    """Decoding: each step reads all weights and the cache of every row, and multiplies each row by every weight."""
    weights = HALF * shape.parameters
    length = given.prompt_tokens + given.completion_tokens
    row = HALF * 2 * shape.layers * shape.keys * length
    gpus = 1
    while 0.9 * gpus * given.gpu_bytes - weights < given.longest_sampling_batch * row and gpus < 8:
        gpus *= 2
    rows = min(given.longest_sampling_batch, int((0.9 * gpus * given.gpu_bytes - weights) // row))
    mean_row = HALF * 2 * shape.layers * shape.keys * (given.prompt_tokens + given.completion_tokens / 2)
    reading = (weights + rows * mean_row) / (gpus * given.gpu_bandwidth * given.decoding_efficiency)
    computing = forward_flops(shape, rows, given.prompt_tokens) / (gpus * given.gpu_flops * given.decoding_efficiency)
    step = max(reading, computing)
    return Sampling(gpus, rows, step, "bandwidth" if reading >= computing else "FLOPs", rows / step)


class Training(NamedTuple):
    """GPU hours of one pass over the judgements."""

    reward: float
    dpo: float
    rollouts: float
    ppo: float
    """Scores, reference, critic and policy, without the rollouts."""

    @property
    def all(self) -> float:
        """Of a cycle: reward model, rollouts and PPO."""
        return self.reward + self.rollouts + self.ppo


def training(shape: Shape, judgements: float, given: Assumptions) -> Training:
    """One epoch each; a prompt that two completions share goes through the layers once.

    A backward pass costs two forward passes. DPO asks the reference once. PPO asks the reward model, the reference,
    and the critic once, then trains policy and critic: 3 + 2 * 3 forward passes.
    """
    length = given.prompt_tokens + given.completion_tokens
    pair = forward_flops(shape, given.prompt_tokens + 2 * given.completion_tokens, length / 2)
    single = forward_flops(shape, length, length / 2)
    an_hour = 3600 * given.gpu_flops * given.training_mfu
    rollouts = judgements * given.rollouts_a_judgement
    server = sampling(shape, given)
    prefill = forward_flops(shape, given.prompt_tokens, given.prompt_tokens / 2)
    decoding = rollouts * given.completion_tokens / server.tokens_a_second * server.gpus / 3600
    return Training(
        reward=judgements * 3 * pair / an_hour,
        dpo=judgements * 4 * pair / an_hour,
        rollouts=decoding + rollouts * prefill / an_hour,
        ppo=rollouts * 9 * single / an_hour,
    )


class Traffic(NamedTuple):
    """Bytes between trainer and servers in one iteration of PPO."""

    weights_bytes: float
    """To one replica."""
    weights_s: float
    """Over one link a GPU of that replica."""
    samples_bytes: float
    """Tokens (4 bytes) and log-probs (4 bytes) of all rows."""
    iteration_s: float
    """Rollouts and updates on the GPUs given."""
    share: float
    """Of the iteration that weights take if nothing else goes on meanwhile."""


def traffic(shape: Shape, gpus: int, given: Assumptions) -> Traffic:
    """Between a trainer and its servers that share so many GPUs."""
    weights = float(HALF * shape.parameters)
    hours = training(shape, given.rollouts_an_iteration / given.rollouts_a_judgement, given)
    iteration = (hours.rollouts + hours.ppo) * 3600 / gpus
    seconds = weights / (sampling(shape, given).gpus * given.network_bandwidth)
    samples = float(given.rollouts_an_iteration * 8 * (given.prompt_tokens + given.completion_tokens))
    return Traffic(weights, seconds, samples, iteration, seconds / (seconds + iteration))


def gpus_for(hours: float, least: int, given: Assumptions) -> int:
    """GPUs that do it in time, at least as many as hold the models, in whole hosts of eight."""
    return 8 * math.ceil(max(hours / (24 * given.days_to_train), least) / 8)


class Limit(NamedTuple):
    """How much of something there is, and how much is wanted."""

    what: str
    wanted: float
    there: float

    @property
    def share(self) -> float:
        """Above 1 it is saturated."""
        return self.wanted / self.there


def limits(judgements: float, given: Assumptions) -> list[Limit]:
    """What a single store, host and disk are asked for, the most saturated first."""
    found = collecting(judgements, given)
    all_of_them = [
        Limit("the trainer's host: all pairs as Python lists", found.trainer_host_bytes, given.host_bytes),
        Limit("the host that freezes a snapshot", found.snapshot_host_bytes, given.host_bytes),
        Limit("the journal's one writer", found.store_busy, 1.0),
        Limit("the journal's disk", found.store_bytes, given.disk_bytes),
    ]
    return sorted(all_of_them, key=lambda limit: -limit.share)
