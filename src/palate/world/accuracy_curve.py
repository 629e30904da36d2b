"""How good the reward model gets with the number of comparisons that it has seen."""

from __future__ import annotations

import random
from pathlib import Path

from palate.core.artefacts import Workspace
from palate.core.ids import derive_seed
from palate.core.records import Preference
from palate.evaluation.statistics import mean
from palate.preferences import dataset
from palate.training import reward
from palate.world import figures, settings
from palate.world.figures import Named

PARTS = (16, 8, 4, 2, 1)
"""The training prompts are divided by each of these; the smaller sets lie in the larger ones."""


def run(root: Path, seed: int, sft: Path, data: Path) -> list[Named]:
    """Train the same reward model on growing parts of a dataset, and measure on the same held-out rows.

    Returns:
        `reward_model/accuracy_labels/n=…` and `…gold/n=…` for each size, and
        `reward_model/growth_gold`: the largest minus the smallest, paired, bootstrapped over prompts.
    """
    rows, heldout = dataset.load_preferences(data), dataset.load_preferences(data, "heldout")
    prompts = list(dict.fromkeys(row.prompt.id for row in rows))
    random.Random(derive_seed(seed, "accuracy curve")).shuffle(prompts)
    found: list[Named] = []
    right: list[dict[int, bool]] = []
    for part in PARTS:
        chosen = set(prompts[: -(-len(prompts) // part)])
        some = rows if part == 1 else [row for row in rows if row.prompt.id in chosen]
        model = _train(root, seed, sft, some, data.name if part == 1 else "")
        margins = figures.heldout_margins(model, heldout)
        for name, figure in figures.accuracies(margins, heldout).items():
            found.append(Named(f"reward_model/accuracy_{name}/n={len(some)}", figure))
        right.append(figures.right_by_gold(margins, heldout))
    fewest, all_of_them = right[0], right[-1]
    gains = [float(all_of_them[i]) - float(fewest[i]) for i in fewest]
    found.append(Named("reward_model/growth_gold", mean(gains, [heldout[i].prompt.id for i in fewest])))
    return found


def _train(root: Path, seed: int, sft: Path, rows: list[Preference], data_id: str) -> Path:
    # The same settings, inputs and id as the cycle's own reward model, so the full set is not trained again.
    return reward.train(settings.reward(seed), sft, rows, Workspace(root), data_id=data_id)
