"""Preferences of models: a policy answers, a judge compares by principles, and people's labels are mixed in.

Answers and opinions lie in the journal under a source of their own; what is frozen says of each row whose word it is,
and by which principle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.artefacts import Manifest, Workspace
from palate.core.ids import content_id
from palate.core.judges import Judge
from palate.core.progress import SILENT, Progress
from palate.core.records import Preference, Prompt
from palate.judging.labelling import BOTH, Ledger, label
from palate.preferences import dataset
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store import opinions, rows
from palate.store.journal import Journal
from palate.store.opinions import AIJudge

PEOPLE: Final = "people"
MODEL: Final = "model"
"""Whose word a row of a mix is."""


class Judging(NamedTuple):
    """Somebody who compares."""

    judge: Judge
    who: AIJudge
    """As the journal knows them; another model or another wording is another judge."""
    orders: tuple[bool, ...] = BOTH
    """In which sides are shown; one is enough for who sees no order."""


class Labelled(NamedTuple):
    """What a judge made of them."""

    data: Path
    """Dataset of preferences, of the judge's word alone."""
    principles: dict[str, str]
    """By comparison, the principle it was judged by."""
    ledger: Ledger


def labelled(
    journal: Journal,
    judging: Judging,
    source: str,
    workspace: Workspace,
    *,
    soft: bool,
    heldout_fraction: float,
    seed: int,
    progress: Progress = SILENT,
) -> Labelled:
    """Have a judge label the comparisons of a source, in both orders, and freeze its word alone.

    Args:
        journal: Where comparisons are, and opinions go; what was said is not asked again.
        judging: Who is asked.
        source: Of the comparisons; nobody else may have judged them.
        workspace: Where the dataset goes.
        soft: Labels are the probabilities that the judge named, not its verdicts.
        heldout_fraction: Share of prompts kept for evaluation.
        seed: Of the split.
        progress: Who listens.

    Raises:
        DataError: the judge had no opinion of any of them.
    """
    judge, who, orders = judging
    ledger = label(journal, judge, who, sources=(source,), orders=orders, progress=progress)
    config = SnapshotConfig(
        sources=(source,), models="alone", soft_models=soft, heldout_fraction=heldout_fraction, seed=seed
    )
    data = freeze(journal, workspace, config)
    told, ours = opinions.opinions(journal, who.rater), rows.comparisons(journal, [source])
    return Labelled(data, {one.id: told[one.id][0].principle for one in ours if told.get(one.id)}, ledger)


def mixed(
    ours: Path,
    principles: Mapping[str, str],
    people: Path | None,
    workspace: Workspace,
    prompts: Sequence[Prompt] = (),
) -> Path:
    """One dataset of a model's preferences and of people's; each row says whose word it is.

    Args:
        ours: Dataset of the model's.
        principles: By comparison, what it was judged by.
        people: Dataset of people's; None where there is none.
        workspace: Where the mix goes.
        prompts: Those that the model was to judge; people's word on them is counted in the manifest.

    Returns:
        The folder of the `dataset` artefact. `facts["people_on_red_team"]` is how many of its rows are people's word
        on those prompts: 0 where nobody labelled harm.
    """
    red = {prompt.id for prompt in prompts}
    lines: dict[str, list[dict[str, Any]]] = {}
    counts: Counter[str] = Counter()
    for split in dataset.SPLITS:
        lines[split] = [
            _line(row, MODEL, principles.get(row.comparison, "")) for row in dataset.load_preferences(ours, split)
        ]
        if people is not None:
            lines[split] += [_line(row, PEOPLE, "") for row in dataset.load_preferences(people, split)]
        counts.update(line["by"] for line in lines[split])
        counts["people_on_red_team"] += sum(line["by"] == PEOPLE and line["prompt_id"] in red for line in lines[split])
    manifest = Manifest(
        kind="dataset",
        made_by="constitutional preferences",
        config={"prompts": content_id("prompts", sorted(red))},
        inputs={MODEL: ours.name, **({PEOPLE: people.name} if people is not None else {})},
        facts={split: len(lines[split]) for split in dataset.SPLITS}
        | {name: counts[name] for name in (MODEL, PEOPLE, "people_on_red_team")},
    )

    def write(folder: Path) -> None:
        for split, some in lines.items():
            dataset.write_lines(folder / f"{split}.jsonl", some)

    return workspace.put(manifest, write)


def _line(row: Preference, by: str, principle: str) -> dict[str, Any]:
    return {**dataset.preference_row(row), "by": by, "principle": principle}
