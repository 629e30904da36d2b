"""Best of n: the SFT model answers n times, the reward keeps the best answer, and SFT on those distils it.

reads   an SFT policy, a reward model or a function, prompts
writes  a `dataset` artefact: the best completion of each prompt, with its score; `samples.jsonl` with all n.
        With `--distil`, the default, also a `policy` artefact that `palate train sft` made from that dataset
run     palate train best-of-n --model SFT --reward REWARD --data PROMPTS
expect  the score rises with n as `score/best_of_…` in the manifest says, and the KL with log n only

    KL(best of n, policy) <= log n - (n - 1) / n nats, and exactly that where no two completions score alike

A completion without an end, or without a score, is not chosen; a prompt that has no other is left out and
counted. The KL is that to the model's own completions of the other kind, at the temperature of sampling.

Source: Stiennon et al. 2020, arXiv:2009.01325, appendix G.3; Beirami et al. 2024, arXiv:2401.01879 (KL);
Nakano et al. 2021, arXiv:2112.09332, appendix I (expected score for every n up to this one, from the same samples).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from palate.core.artefacts import Workspace, identify
from palate.core.errors import ConfigError, TrainingError
from palate.core.ids import content_id, derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt
from palate.functional.best_of_n import best_of_n_kl_nats, expected_best_score
from palate.models import chat
from palate.preferences import dataset
from palate.training import memory_check, sft
from palate.training.cast import identify_reward, open_cast
from palate.training.diagnosis import prove_first_batch
from palate.training.rl_settings import RolloutConfig
from palate.training.rollouts import SAMPLES, Rollouts, prompts_that_fit, roll_out, rollout_facts, sample_lines
from palate.training.run import Run, RunOptions, open_run, refuse_unless_positive
from palate.training.sft import SFTConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfNConfig(SFTConfig):
    """Settings of best-of-n: of sampling, and of the SFT that distils it."""

    n: int = 16
    """Completions a prompt, of which the best is kept; 2 or more."""
    max_new_tokens: int = 128
    """Longest completion; prompts that leave no room for it in the model's context are left out and counted."""
    temperature: float = 1.0
    """Of sampling."""
    prompts_at_once: int = 8
    """Prompts that are answered between two checkpoints."""
    reward_timeout_s: float = 10.0
    """Longest call of a reward function."""
    heldout_fraction: float = 0.05
    """Share of the prompts whose best completion is kept for the held-out loss."""
    turns: str = "last"
    """Which of the assistant's turns are trained: the `last`, which was sampled, or `all` in the prompt too."""
    distil: bool = True
    """Train the model on the best completions. Without it they are left as a dataset."""

    def __post_init__(self) -> None:
        SFTConfig.__post_init__(self)
        _ = self.sampling
        refuse_unless_positive(self, "prompts_at_once")
        dataset.check_fraction(self.heldout_fraction)
        if self.n < 2:
            raise ConfigError("--n cannot be used", expected="2 or more", found=str(self.n))

    @property
    def sampling(self) -> RolloutConfig:
        """One look at a few prompts, as other recipes that sample know it. Nothing is trained with it."""
        rows = max(self.n * self.prompts_at_once, 1)
        return RolloutConfig(
            **_shared(self, RolloutConfig, leave=("batch_size", "learning_rate", "epochs")),
            rollouts=rows,
            batch_size=rows,
            missing_eos="mask",
        )

    @property
    def distilling(self) -> SFTConfig:
        """The part that `sft` knows."""
        return SFTConfig(**_shared(self, SFTConfig))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """The part of the settings that the dataset depends on; others may change without sampling anew."""

    n: int
    max_new_tokens: int
    temperature: float
    prompts_at_once: int
    reward_timeout_s: float
    heldout_fraction: float
    tuning: str
    """A base of 4 bits answers otherwise."""
    dtype: str
    seed: int


class Chosen:
    """The best completions so far, and all scores: a part of the run's state."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.scores: list[list[float]] = []
        """Of each prompt's completions that could be chosen."""

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"rows": list(self.rows), "scores": list(self.scores)}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """As it was."""
        self.rows, self.scores = list(state["rows"]), list(state["scores"])


def train(
    config: BestOfNConfig,
    model: Path | str,
    reward: Path | str,
    prompts: Sequence[Prompt],
    workspace: Workspace,
    *,
    data_id: str = "",
    progress: Progress = SILENT,
    options: RunOptions | None = None,
) -> Path:
    """Choose the best of n, and distil it.

    Args:
        config: Settings.
        model: Folder of the SFT model, which answers, and is then trained.
        reward: Folder of the reward model, or `module:function`.
        prompts: What to answer, each once.
        workspace: Where the artefacts go.
        data_id: Artefact id of the prompts, for the manifest; computed when empty.
        progress: Who listens.
        options: Device, checkpoints, trackers.

    Returns:
        The folder of the `policy` artefact, whose manifest names the dataset; without `distil` the dataset's.

    Raises:
        DataError: there are no prompts, or all are too long.
        TrainingError: no completion could be chosen, or sampler and trainer disagree.
        Interrupted: someone stopped the run; the same call goes on from there.
    """
    best = choose(config, model, reward, prompts, workspace, data_id=data_id, progress=progress, options=options)
    if not config.distil:
        return best
    return sft.train(
        config.distilling,
        model,
        dataset.load_demonstrations(best),
        workspace,
        heldout=dataset.load_demonstrations(best, "heldout"),
        data_id=identify(best),
        progress=progress,
        options=options,
    )


def choose(
    config: BestOfNConfig,
    model: Path | str,
    reward: Path | str,
    prompts: Sequence[Prompt],
    workspace: Workspace,
    *,
    data_id: str = "",
    progress: Progress = SILENT,
    options: RunOptions | None = None,
) -> Path:
    """The best completion of each prompt, as a dataset of demonstrations. Everything is as in `train`."""
    data_id = data_id or f"prompts-{content_id('data', [p.id for p in prompts])}"
    inputs = {"policy": identify(model), "reward": identify_reward(reward), "data": data_id}
    drawn = _Drawn(**_shared(config, _Drawn))
    with open_run(workspace, "dataset", "train best-of-n", drawn, inputs, progress, options) as run:
        return run.done or _choose(config, model, reward, prompts, run)


def _choose(config: BestOfNConfig, model: Path | str, reward: Path | str, prompts: Sequence[Prompt], run: Run) -> Path:
    sampling = config.sampling
    cast = open_cast(sampling, model, reward, run.device)
    prompts, encoded, too_long = prompts_that_fit(cast, prompts, config.max_new_tokens)
    memory_check.check(run, sampling, model, [(len(ids), 0) for ids in encoded], reward)
    chosen = Chosen()
    looks = -(-len(prompts) // config.prompts_at_once)
    for step in run.steps(f"best of {config.n}", looks, {"chosen": chosen}):
        some = range(step * config.prompts_at_once, min((step + 1) * config.prompts_at_once, len(prompts)))
        rows = [i for i in some for _ in range(config.n)]
        asked = [prompts[i] for i in rows]
        seed = derive_seed(config.seed, "rollouts", step)
        rollouts = roll_out(cast, sampling, asked, [encoded[i] for i in rows], seed=seed)
        facts = prove_first_batch(cast, rollouts, sampling, is_reference=True) if step == 0 else {}
        run.append(SAMPLES, *sample_lines(cast, step, asked, rollouts, rollouts.scores_B))
        first = len(chosen.rows)
        for place, i in enumerate(some):
            found = best(rollouts, range(place * config.n, (place + 1) * config.n))
            if found is not None:
                text = chat.decode(cast.tokenizer, rollouts.completions[found])
                chosen.rows.append(_line(prompts[i], text, float(rollouts.scores_B[found])))
            chosen.scores.append(_scores(rollouts, range(place * config.n, (place + 1) * config.n)))
        if rollouts.scored_B.any():
            facts |= rollout_facts(rollouts)
        if len(chosen.rows) > first:
            scores = [row["score"] for row in chosen.rows[first:]]
            facts["reward/best_mean"] = sum(scores) / len(scores)
        run.log(step + 1, facts)
    cast.scorer.close()
    return _finish(config, chosen, {"prompts_too_long": too_long}, run)


def best(rollouts: Rollouts, rows: Sequence[int]) -> int | None:
    """The completion with the highest score, of those that have an end and a score; of equals the first."""
    able = [i for i in rows if rollouts.finished_B[i] and rollouts.scored_B[i]]
    return max(able, key=lambda i: float(rollouts.scores_B[i]), default=None)


def _scores(rollouts: Rollouts, rows: Sequence[int]) -> list[float]:
    return [float(rollouts.scores_B[i]) for i in rows if rollouts.finished_B[i] and rollouts.scored_B[i]]


def _line(prompt: Prompt, text: str, score: float) -> dict[str, Any]:
    return {
        "prompt": prompt.as_dicts(),
        "prompt_id": prompt.id,
        "kind": prompt.kind,
        "completion": text,
        "score": score,
    }


def _finish(config: BestOfNConfig, chosen: Chosen, facts: dict[str, float], run: Run) -> Path:
    """Write the dataset, split by prompt, with what best-of-k would have scored for every k up to n."""
    if not chosen.rows:
        raise TrainingError(
            "no completion can be chosen",
            expected="at least one with an end and a score",
            found=f"none in {len(chosen.scores) * config.n} completions",
            hint="raise --max-new-tokens; samples.jsonl in the run's folder shows them",
        )
    splits: dict[str, list[dict[str, Any]]] = {name: [] for name in dataset.SPLITS}
    for row in chosen.rows:
        splits[dataset.side(row["prompt_id"], config.heldout_fraction, config.seed)].append(row)
    curve = score_curve(chosen.scores, config.n)
    left_out = len(chosen.scores) - len(chosen.rows)
    facts |= {name: len(rows) for name, rows in splits.items()} | curve
    facts |= {"prompts_without_choice": left_out, "kl_bound_nats": best_of_n_kl_nats(config.n)}

    def write(folder: Path) -> None:
        for name, rows in splits.items():
            dataset.write_lines(folder / f"{name}.jsonl", rows)

    folder = run.finish(write, facts)
    rise = "".join(f", {value:.2f} of {name.removeprefix('score/best_of_')}" for name, value in curve.items())
    run.progress.finish(
        f"best completion of {len(chosen.rows)} prompts" + f" ({left_out} had none)" * (left_out > 0)
        + f"; expected best score{rise.removeprefix(',')}; at most {facts['kl_bound_nats']:.2f} nats from the model"
    )  # fmt: skip
    return folder


def score_curve(scores: Sequence[Sequence[float]], n: int) -> dict[str, float]:
    """Expected best score of 1, 2, 4 … n completions, over the prompts all n of whose completions have a score."""
    whole = [row for row in scores if len(row) == n]
    if not whole:
        return {}
    scores_BG = torch.tensor(whole, dtype=torch.float64)
    sizes = sorted({n, *(1 << power for power in range(n.bit_length()))})
    return {f"score/best_of_{k}": float(expected_best_score(scores_BG, k).mean()) for k in sizes}


def _shared(config: Any, kind: type, leave: Sequence[str] = ()) -> dict[str, Any]:
    """Settings that another kind of settings has too."""
    names = {field.name for field in fields(kind)} & {field.name for field in fields(config)}
    return {name: getattr(config, name) for name in sorted(names - set(leave))}
