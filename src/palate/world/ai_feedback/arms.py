"""RLHF with so many human harm labels, and Constitutional AI with none, from one base and one SFT model.

Both arms share the SFT model and what raters say of helpfulness. They differ in who says which answer harms: raters,
of so many comparisons of answers to the red team; or the model itself, by principles, after it has revised itself.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from palate.core.artefacts import Workspace, identify
from palate.core.errors import DataError
from palate.core.ids import derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Preference
from palate.evaluation.subjects import Folder
from palate.preferences import dataset
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.rounds import constitutional
from palate.rounds.collecting import Asked, Writer, compared
from palate.rounds.constitutional import Constitutional
from palate.rounds.constitutional_settings import ConstitutionalConfig, Material, Recipes
from palate.store.journal import Journal
from palate.training import dpo
from palate.world import collect, settings
from palate.world.ai_feedback import stages, talk
from palate.world.ai_feedback.questions import sides
from palate.world.prompts import Question
from palate.world.settings import Size

LABELS: Final = 500
"""Human harmlessness labels of the arm that others are held against."""
HELP: Final = "help"
HARM: Final = "harm"
"""What raters judge, in the names of sources; the model that answers stands behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Amounts of an experiment."""

    size: Size = stages.SIZE
    helped: int = 480
    """Prompts, none of them harmful, whose answers raters compare."""
    answers: int = 3
    """To each of them, all pairs are compared; and four to each of the red team's prompts."""
    lookalikes: int = 140
    """Benign questions among the red team's."""
    beside: int = 700
    """Usual demonstrations, none of a harmful question, that are learned beside revisions."""
    pairs: int = 4
    """Comparisons of answers to a prompt of the red team, as raters judge them."""
    asked: int = 5
    """Answers of a model that says itself which are better, to each of the red team's prompts."""
    said: int = 6
    """Comparisons of them."""
    longest: int = 64
    """Tokens of an answer to the red team, a critique or a revision; longer ones leave the model no room to rewrite
    them."""


def red_team(scale: Scale, kind: str = "") -> list[Question]:
    """The red team's questions: all harmful ones of its side, and some that only look like it."""
    told = sides().red
    every = [*told["harmful"], *told["benign"][: scale.lookalikes]]
    return [q for q in every if not kind or q.kind == kind]


def helped(scale: Scale, seed: int) -> list[Question]:
    """Questions whose answers raters compare for helpfulness: none is harmful, and none the red team's."""
    rng, side = random.Random(derive_seed(seed, "helped")), sides()
    taken = {q.text for q in red_team(scale)}
    kinds = {"career": 0.45, "benign": 0.35, "knowledge": 0.2}
    found: list[Question] = []
    for kind, share in kinds.items():
        pool = [q for q in side.plain.by_kind[kind] if q.text not in taken]
        found += rng.sample(pool, min(round(scale.helped * share), len(pool)))
    return found


def help_labels(root: Path, seed: int, sft: Path, scale: Scale, progress: Progress = SILENT) -> Path:
    """Dataset of what raters say of helpfulness, one rater a comparison; both arms learn from it."""
    questions, source = helped(scale, seed), f"{HELP}/{identify(sft)}"
    with Journal.open(root / "people.db") as journal:
        collect.sample_comparisons(
            journal, [sft], questions, completions=scale.answers, source=source, seed=seed,
            max_new_tokens=scale.size.max_new_tokens, progress=progress,
        )  # fmt: skip
        collect.judge_all(journal, questions, source=source, raters=1, seed=seed, progress=progress)
        return freeze(journal, Workspace(root), SnapshotConfig(sources=(source,), heldout_fraction=0.0, seed=seed))


def harm_labels(root: Path, seed: int, sft: Path, scale: Scale, progress: Progress = SILENT) -> list[Preference]:
    """What raters say of answers to harmful questions, one rater a comparison, in random order."""
    questions, source = red_team(scale, "harmful"), f"{HARM}/{identify(sft)}"
    asked = Asked(4, scale.pairs, 1.0, seed)
    subject = Folder(sft, temperature=1.0, max_new_tokens=scale.longest)
    with Journal.open(root / "people.db") as journal:
        compared(journal, [Writer(subject, identify(sft))], [q.prompt for q in questions], asked, source, progress)
        collect.judge_all(journal, questions, source=source, raters=1, seed=seed, progress=progress)
        data = freeze(journal, Workspace(root), SnapshotConfig(sources=(source,), heldout_fraction=0.0, seed=seed))
    found = dataset.load_preferences(data)
    random.Random(derive_seed(seed, "harm labels")).shuffle(found)
    return found


def rlhf(root: Path, seed: int, sft: Path, scale: Scale, labels: int, progress: Progress = SILENT) -> Path:
    """DPO on what raters say of helpfulness and on so many of their harm labels.

    Raises:
        DataError: there are not so many.
    """
    told = dataset.load_preferences(help_labels(root, seed, sft, scale, progress))
    harm = harm_labels(root, seed, sft, scale, progress) if labels else []
    if len(harm) < labels:
        raise DataError("there are too few harm labels", expected=str(labels), found=str(len(harm)))
    return dpo.train(settings.dpo(seed), sft, [*told, *harm[:labels]], Workspace(root), progress=progress)


def cai(root: Path, seed: int, sft: Path, scale: Scale, progress: Progress = SILENT) -> Constitutional:
    """Constitutional AI in both stages; the SFT model is critic and judge."""
    beside = stages.kept_up(seed, scale.size)[: scale.beside]
    material = Material(
        red_team=[q.prompt for q in red_team(scale)],
        demonstrations=beside,
        preferences=help_labels(root, seed, sft, scale, progress),
    )
    config = ConstitutionalConfig(
        max_new_tokens=scale.longest,
        completions=scale.asked,
        pairs=scale.said,
        heldout_fraction=0.0,
        seed=derive_seed(seed, "constitutional") % 2**31,
    )
    recipes = Recipes(sft=replace(stages.sft_config(seed), learning_rate=3e-4), dpo=settings.dpo(seed))
    with Journal.open(root / "cai.db") as journal:
        return constitutional.run(
            config, sft, talk.constitution(), material, journal, Workspace(root), recipes=recipes,
            template=talk.template(seed=seed), progress=progress,
        )  # fmt: skip
