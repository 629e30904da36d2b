"""Three rounds by one command in the practice world, and what they are worth beside more steps on the first reward.

| name | what it averages |
|---|---|
| `rounds/practice/2_over_1` | gold of round 2's answers less that of round 1's, each at the iteration whose KL to the SFT model is nearest 4 nats |
| `rounds/practice/3_over_2` | the same of round 3 and round 2 |
| `rounds/practice/2_over_more_steps` | the same of round 2 and as many more steps on round 1's reward model, from round 1's policy |
| `rounds/practice/gold/<round>` | mean gold at that iteration |
| `rounds/practice/kl/<round>` | its KL in nats |
| `rounds/practice/reward_accuracy/<round>` | held-out accuracy of the round's reward model, on the labels of its own dataset |
| `rounds/practice/win_rate/3_over_1` | how often the third policy's answers to held-out questions are worth more than the first's, by gold; ties half; temperature .5 |
| `rounds/practice/win_rate/2_over_more_steps` | the same of the second policy and the control |

Five seeds; base, SFT model and everything else are made anew for each. The first round compares answers to 20 prompts,
each later one to 150 others, half of the answers the reference's. Gold at an iteration is the mean of its 96 samples.
Intervals: Student's 95 % over seeds.
"""  # noqa: E501

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two processes share two cores

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from scripts.evaluation.rows import row
from scripts.rounds.open_gates import opened

from palate.cli import init, round, turns
from palate.core.artefacts import Workspace, read_manifest
from palate.core.ids import derive_seed
from palate.evaluation.statistics import over_seeds, win_rate
from palate.rounds import project
from palate.rounds.turn import left
from palate.store import rounds
from palate.training import ppo
from palate.world import measure, stages
from palate.world.curves import policy_curve
from palate.world.settings import Size

SEEDS: Final = 5
ROUNDS: Final = 3
NEAR: Final = 4.0
"""Nats."""
FIRST, LATER, ITERATIONS = 20, 150, 24
BUILT: Final = Path(__file__).resolve().parents[2] / "build" / "rounds-practice"


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    with ProcessPoolExecutor(2) as pool:
        return rows(list(pool.map(run, [derive_seed(seed, "practice rounds", n) % 10_000 for n in range(SEEDS)])))


def run(seed: int) -> dict[str, Any]:
    """One seed's rounds and its control; what was measured is kept."""
    stages.quiet(1)
    root = BUILT / str(seed)
    kept = root / f"told-{FIRST}-{LATER}-{ITERATIONS}.json"
    if not kept.is_file():
        told = measured(root, seed)
        half = kept.with_suffix(".partial")
        half.write_text(json.dumps(told), encoding="utf-8")
        half.replace(kept)
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def measured(root: Path, seed: int) -> dict[str, Any]:
    """Three rounds as anybody would turn them, and what gold says of them."""
    if not (root / project.FILE).exists():
        init.init(root, practice=True, seed=seed)
        text = (root / project.FILE).read_text(encoding="utf-8")
        size = Size()
        text = text.replace(f"count = {size.prompts}", f"count = {LATER}\nfirst = {FIRST}", 1)
        text = text.replace(f"iterations = {size.iterations}", f"iterations = {ITERATIONS}", 1)
        (root / project.FILE).write_text(text, encoding="utf-8")
        opened(root, red_team='"off"', over_refusal="false", knowledge="false", look="false")
    turned(root)
    settings, journal = turns.project(root)
    workspace = Workspace(root)
    with journal:
        every = rounds.every(journal)
        made = [left(journal, workspace, one.id) for one in every]
        context = turns.context(settings, journal, root, every[1])
        config = replace(context.project.policy.config, seed=derive_seed(seed, "control"))
        control = ppo.train(
            config, workspace.path(made[0]["sft"]), workspace.path(made[0]["reward"]), context.material.practised,
            workspace, start=workspace.path(made[0]["policy"]), options=context.options,
        )  # fmt: skip
    policies = {str(number): workspace.path(one["policy"]) for number, one in enumerate(made, start=1)}
    policies["more steps"] = control
    answers = {name: measure.ask_heldout(path, seed, Size(), 0.5) for name, path in policies.items()}
    return {
        "near": {name: nearest(root, path) for name, path in policies.items()},
        "accuracy": [read_manifest(workspace.path(one["reward"])).facts["heldout_accuracy"] for one in made],
        "wins": {
            "3_over_1": win_rate(answers["3"].gold, answers["1"].gold).value,
            "2_over_more_steps": win_rate(answers["2"].gold, answers["more steps"].gold).value,
        },
    }


def turned(root: Path) -> None:
    """`palate round start --rounds 3`, or what is left of it."""
    settings, journal = turns.project(root)
    with journal:
        every = rounds.every(journal)
        under_way = bool(every) and rounds.state(journal, every[-1].id) not in rounds.OVER
        done = len(every) - under_way
    del settings
    if under_way:
        round.resume(out=root)
        done += 1
    if done < ROUNDS:
        round.start(rounds_=ROUNDS - done, out=root)


def nearest(root: Path, policy: Path) -> tuple[float, float]:
    """KL and gold of the iteration whose KL is nearest to four nats."""
    point = min(policy_curve(root, policy), key=lambda one: abs(one["kl"] - NEAR))
    return point["kl"], point["gold"]


def rows(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Figures of all seeds."""
    name, n = "rounds/practice", len(found)

    def gap(ours: str, theirs: str) -> list[float]:
        return [one["near"][ours][1] - one["near"][theirs][1] for one in found]

    out = [
        row(f"{name}/2_over_1", over_seeds(gap("2", "1")), seeds=n),
        row(f"{name}/3_over_2", over_seeds(gap("3", "2")), seeds=n),
        row(f"{name}/2_over_more_steps", over_seeds(gap("2", "more steps")), seeds=n),
    ]
    for which in found[0]["near"]:
        label = which.replace(" ", "_")
        out.append(row(f"{name}/gold/{label}", over_seeds([one["near"][which][1] for one in found]), seeds=n))
        out.append(row(f"{name}/kl/{label}", over_seeds([one["near"][which][0] for one in found]), seeds=n))
    for number in range(ROUNDS):
        told = over_seeds([one["accuracy"][number] for one in found])
        out.append(row(f"{name}/reward_accuracy/{number + 1}", told, seeds=n))
    for which in found[0]["wins"]:
        out.append(row(f"{name}/win_rate/{which}", over_seeds([one["wins"][which] for one in found]), seeds=n))
    return out
