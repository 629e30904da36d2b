"""How honest a reward model's probabilities are in the practice world.

| name | what it averages |
|---|---|
| `reward_model/ece` | calibration error on new comparisons of questions that nothing was learned from, ten bins of |
| | equal count; the temperature comes from other comparisons. The interval is over questions |
| `reward_model/ece/untempered` | the same at temperature 1: scores are in units of their own spread |
| `reward_model/temperature` | the temperature, from the other comparisons |
| `reward_model/accuracy` | how often the reward model prefers the raters' side, ties half |

The world's own stages make everything: text, base, SFT, comparisons and their raters, reward model. What is there
already in --work is used again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads sleep

import torch
from torch import Tensor

from palate.core.artefacts import Workspace
from palate.core.ids import derive_seed
from palate.core.progress import SILENT, Progress
from palate.evaluation.reliability import picture
from palate.evaluation.statistics import win_rate
from palate.functional.calibration import confidence, error_spread, fit_temperature, reliability
from palate.models import chat, load, scoring
from palate.preferences import dataset
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store.journal import Journal
from palate.world import collect, stages
from palate.world.prompts import split
from palate.world.settings import Size

WORK: Final = Path(__file__).resolve().parents[2] / "build" / "core" / "reward_models"
QUESTIONS: Final = 1800
"""New ones, of which a share tells the temperature."""
SHARE: Final = 0.7
"""Of the questions that the error is measured on."""
_Z: Final = 1.959964


class Judged(NamedTuple):
    """New comparisons, with what the reward model and what the raters think of them."""

    margins_N: Tensor
    labels_N: Tensor
    """Share of the raters' votes, ties half: the truth plus chance, and nothing else."""
    prompts: list[str]


def figures(
    seed: int, work: Path = WORK, *, size: Size | None = None, questions: int = QUESTIONS
) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    torch.set_num_threads(2)
    fitted, measured = judge(seed, work / f"seed-{seed}", size or Size(), questions)
    temperature = fit_temperature(fitted.margins_N, fitted.labels_N)
    stated_N, came_N = confidence(measured.margins_N, measured.labels_N, temperature=temperature)
    found = reliability(stated_N, came_N)
    (work / f"reliability-{seed}.svg").write_text(picture(found, "Practice world, new comparisons"), encoding="utf-8")
    right = win_rate((came_N - 0.5).tolist(), [0.0] * len(came_N), measured.prompts)
    return [
        _error("reward_model/ece", measured, temperature, seed),
        _error("reward_model/ece/untempered", measured, 1.0, seed),
        _row("reward_model/temperature", temperature, None, None, len(fitted.prompts)),
        _row("reward_model/accuracy", right.value, right.low, right.high, right.n),
    ]


def judge(seed: int, root: Path, size: Size, questions: int, progress: Progress = SILENT) -> tuple[Judged, Judged]:
    """The cycle up to the reward model, then new questions: those for the temperature, and the others."""
    base = stages.make_base(root, seed, size, progress)
    policy = stages.make_sft(root, seed, size, base, progress)
    data = stages.judged(root, seed, size, [policy], source="judged", prompts=size.prompts, progress=progress)
    reward = stages.make_reward(root, seed, policy, data, progress=progress)
    fresh = split()[1].sample(questions, derive_seed(seed, "calibration"))
    with Journal.open(root / "calibration.db") as journal:
        collect.sample_comparisons(
            journal,
            [policy],
            fresh,
            completions=size.completions,
            source="calibration",
            seed=seed,
            max_new_tokens=size.max_new_tokens,
            progress=progress,
        )
        collect.judge_all(journal, fresh, source="calibration", raters=size.raters, seed=seed, progress=progress)
        config = SnapshotConfig(minimum_judgements=2, heldout_fraction=SHARE, seed=seed)
        frozen = freeze(journal, Workspace(root), config)
    learned = {p.prompt.id for name in dataset.SPLITS for p in dataset.load_preferences(data, name)}
    fitted, measured = (_scored(reward, frozen, name) for name in ("train", "heldout"))
    if learned & {*fitted.prompts, *measured.prompts} or set(fitted.prompts) & set(measured.prompts):
        raise AssertionError("a question stands on both sides")
    return fitted, measured


def _scored(reward: Path, frozen: Path, name: str) -> Judged:
    model, tokenizer = load.load_reward(reward)
    rows = dataset.load_preferences(frozen, name)
    prompts = [chat.encode_prompt(tokenizer, row.prompt) for row in rows]
    sides = [
        scoring.scores(
            model, prompts, [chat.encode_completion(tokenizer, text) for text in texts], pad_id=tokenizer.pad_token_id
        )
        for texts in ([row.chosen for row in rows], [row.rejected for row in rows])
    ]
    shares = []
    for row in rows:
        assert row.votes is not None
        first, second, tie = row.votes
        shares.append((first + tie / 2) / (first + second + tie))
    return Judged(sides[0] - sides[1], torch.tensor(shares), [row.prompt.id for row in rows])


def _error(name: str, judged: Judged, temperature: float, seed: int) -> dict[str, Any]:
    stated_N, came_N = confidence(judged.margins_N, judged.labels_N, temperature=temperature)
    value = reliability(stated_N, came_N).error
    half = _Z * error_spread(stated_N, came_N, judged.prompts, seed=seed)
    return _row(name, value, max(value - half, 0.0), value + half, len(judged.prompts))


def _row(name: str, value: float, low: float | None, high: float | None, n: int) -> dict[str, Any]:
    return {"name": name, "value": value, "low": low, "high": high, "n": n, "seeds": 1}


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=WORK)
    given = parser.parse_args()
    for row in figures(given.seed, given.work):
        assert math.isfinite(row["value"])
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
