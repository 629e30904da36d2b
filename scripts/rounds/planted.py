"""Worlds in which wrong labels or a contrary rater were planted: does influence find them?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import torch
from scripts.rounds.letters import LARGE, Crowd, Labelled, labelled
from scripts.rounds.small_rewards import HELD, correlation, lens_of, out_of, scratch
from torch import Tensor

from palate.core.artefacts import Workspace
from palate.core.ids import derive_seed
from palate.core.records import Preference
from palate.functional.influence import fit_head, loss_changes
from palate.rounds import effects
from palate.rounds.effects import Lens

RATERS: Final = 20
COUNT: Final = 8000
"""Comparisons in which wrong labels are planted; …"""
EPOCHS: Final = 12
FEW: Final = 1500
"""… and in which a contrary rater is."""
PLANTED: Final = 0.05
LOOKED: Final = 0.1
CLEAR: Final = 1000.0
"""Sharpness at which every label is right by gold."""
AGAIN: Final = 60
"""Rows that heads are trained again without."""


class Told(NamedTuple):
    """What one world with something planted came to."""

    task: str
    found: dict[str, float]


def look_at(task: tuple[str, int]) -> Told:
    """One world of a task."""
    torch.set_num_threads(1)
    name, seed = task
    with scratch() as folder:
        return Told(name, TASKS[name](seed, Workspace(folder)))


def _clear(seed: int, workspace: Workspace) -> dict[str, float]:
    found, wrong = _with_planted(
        labelled(seed, Crowd([1.0] * RATERS, CLEAR), count=COUNT, held=HELD, read=LARGE.read), seed
    )
    lens = lens_of(found, workspace, seed, epochs=EPOCHS, size=LARGE)
    told = effects.of_rows(lens)
    return {"surprise": _recall(told.surprise_M, wrong), "loss": _recall(told.loss_M, wrong)}


def _natural(seed: int, workspace: Workspace) -> dict[str, float]:
    before = labelled(seed, Crowd([1.0] * RATERS), count=COUNT, held=HELD, read=LARGE.read)
    found, wrong = _with_planted(before, seed)
    lens = lens_of(found, workspace, seed, epochs=EPOCHS, size=LARGE)
    told = effects.of_rows(lens)
    return {
        "surprise": _recall(told.surprise_M, wrong),
        "loss": _recall(told.loss_M, wrong),
        "gold": _recall(-found.gap_N, wrong),
        "right": float((before.gap_N > 0).double().mean()),
        **_again(lens, found.rater_N, seed),
    }


def _inverted(seed: int, workspace: Workspace) -> dict[str, float]:
    who = int(np.random.default_rng(derive_seed(seed, "inverted")).integers(RATERS))
    care = [-1.0 if rater == who else 1.0 for rater in range(RATERS)]
    found = labelled(seed, Crowd(care), count=FEW, held=HELD)
    lens = lens_of(found, workspace, seed)
    parts = [np.flatnonzero(found.rater_N == rater).tolist() for rater in range(RATERS)]
    harm = effects.of_changes(lens, [out_of(places) for places in parts]).loss_M
    surprise_N = effects.of_rows(lens).surprise_M
    mean = [float(surprise_N[places].mean()) for places in parts]
    return {"loss": float(int(harm.argmax()) == who), "surprise": float(int(np.argmax(mean)) == who)}


TASKS: Final[dict[str, Callable[[int, Workspace], dict[str, float]]]] = {
    "clear": _clear,
    "natural": _natural,
    "inverted": _inverted,
}


def _with_planted(found: Labelled, seed: int) -> tuple[Labelled, np.ndarray]:
    """Some labels turned round, held-out ones too; which of those that are learned from."""
    rng = np.random.default_rng(derive_seed(seed, "planted"))
    wrong, held = (rng.choice(n, round(PLANTED * n), replace=False) for n in (len(found.train), len(found.held)))
    gap_N = found.gap_N.clone()
    gap_N[wrong] *= -1
    return found._replace(train=_turned(found.train, wrong), held=_turned(found.held, held), gap_N=gap_N), wrong


def _turned(rows: Sequence[Preference], which: np.ndarray) -> list[Preference]:
    some = set(which.tolist())
    return [replace(x, chosen=x.rejected, rejected=x.chosen) if n in some else x for n, x in enumerate(rows)]


def _recall(worse_N: Tensor, wrong: np.ndarray) -> float:
    first = worse_N.argsort(descending=True)[: round(LOOKED * len(worse_N))]
    return float(np.isin(wrong, first.numpy()).mean())


def _again(lens: Lens, rater_N: np.ndarray, seed: int) -> dict[str, float]:
    """Correlations of what is predicted with heads that are trained again."""
    rng = np.random.default_rng(derive_seed(seed, "again"))
    rows = [[int(place)] for place in rng.choice(len(lens.rows.p_N), AGAIN, replace=False)]
    raters = [np.flatnonzero(rater_N == rater).tolist() for rater in range(RATERS)]
    out = {}
    for name, groups in (("row", rows), ("rater", raters)):
        told = effects.of_changes(lens, [out_of(places) for places in groups])
        came_MD = torch.stack([_moved(lens, places) for places in groups])
        out[name] = correlation(-told.loss_M, loss_changes(lens.head, lens.outside, came_MD))
        if name == "row":
            out["margin"] = correlation(-told.answer_M, came_MD @ lens.answer_D)
    return out


def _moved(lens: Lens, places: Sequence[int]) -> Tensor:
    """How a head moves that is trained again without some rows."""
    a_N = lens.rows.a_N.clone()
    a_N[list(places)] = 0
    start_D = lens.head.weights_D
    return fit_head(lens.rows._replace(a_N=a_N), price=lens.head.price, start_D=start_D).weights_D - start_D
