"""The first stage of Constitutional AI: a model revises its answers, and learns to answer so at once.

Source: Bai et al. 2022, arXiv:2212.08073, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.artefacts import Manifest, Workspace, identify
from palate.core.constitutions import Constitution
from palate.core.errors import DataError
from palate.core.ids import content_id, derive_seed
from palate.core.progress import SILENT, Progress
from palate.core.records import Demonstration, Prompt
from palate.core.subjects import Subject
from palate.evaluation.subjects import Folder
from palate.judging.revising import Revised, revise
from palate.preferences import dataset
from palate.rounds.constitutional_settings import ConstitutionalConfig, Material
from palate.training import sft
from palate.training.run import RunOptions
from palate.training.sft import SFTConfig

REVISIONS: Final = "revisions.jsonl"


class Taught(NamedTuple):
    """What the first stage came to."""

    policy: Path
    data: Path
    """Dataset of revisions, and of what was learned beside them; `revisions.jsonl` in it has every step."""
    revised: list[Revised]
    failed: dict[str, str]
    """Prompts without a revision, and why."""


def teach(
    config: ConstitutionalConfig,
    model: Path,
    constitution: Constitution,
    material: Material,
    workspace: Workspace,
    settings: SFTConfig,
    *,
    subject: Subject | None = None,
    progress: Progress = SILENT,
    options: RunOptions | None = None,
) -> Taught:
    """The first stage: the model revises its answers to the red team, and learns to answer so at once.

    Args:
        config: How much.
        model: Folder of the model.
        constitution: Principles.
        material: Prompts, and what is learned beside them.
        workspace: Where artefacts go.
        settings: Of SFT.
        subject: Who answers, criticises and revises; the model when not given.
        progress: Who listens.
        options: Device, checkpoints, trackers.

    Raises:
        DataError: nothing was revised.
    """
    ours = subject or Folder(model, temperature=config.temperature, max_new_tokens=config.max_new_tokens)
    who = identify(model) if subject is None else subject.name
    how = [who, constitution.id, asdict(config.revising), config.temperature, config.max_new_tokens]
    keep = workspace.run_folder(f"revisions-{content_id('constitutional revisions', how)}") / REVISIONS
    told = revise(ours, material.red_team, constitution, config.revising, keep, progress=progress)
    if not told.rows:
        raise DataError("nothing was revised", where=str(keep), expected="a revision or more", found="failures alone")
    beside = [*material.demonstrations, *_own(ours, material.helpful, config, progress)]
    inputs = {"model": who, "constitution": f"constitution-{constitution.id}"}
    data = _frozen(told.rows, beside, config, inputs, workspace)
    policy = sft.train(
        settings,
        model,
        dataset.load_demonstrations(data),
        workspace,
        heldout=dataset.load_demonstrations(data, "heldout"),
        data_id=data.name,
        progress=progress,
        options=options,
    )
    return Taught(policy, data, told.rows, told.failed)


def _own(
    subject: Subject, prompts: Sequence[Prompt], config: ConstitutionalConfig, progress: Progress
) -> list[Demonstration]:
    """What the model says to requests of no danger; what failed or was cut off is left out."""
    every = list({prompt.id: prompt for prompt in prompts}.values())
    if not every:
        return []
    told = subject.answer(every, seed=derive_seed(config.seed, "helpful"), progress=progress)
    return [
        Demonstration(prompt=prompt, completion=one.text)
        for prompt, one in zip(every, told, strict=True)
        if not one.error and one.finished and one.text.strip()
    ]


def _frozen(
    revised: Sequence[Revised],
    beside: Sequence[Demonstration],
    config: ConstitutionalConfig,
    inputs: dict[str, str],
    workspace: Workspace,
) -> Path:
    """Revisions and what is learned beside them, as a dataset; each revision knows its principles."""
    lines: dict[str, list[dict[str, Any]]] = {split: [] for split in dataset.SPLITS}
    rows = [(one.demonstration, [step.principle for step in one.steps]) for one in revised]
    for told, principles in [*rows, *((one, []) for one in beside)]:
        side = dataset.side(told.prompt.id, config.heldout_fraction, config.seed)
        lines[side].append(
            {
                "prompt": told.prompt.as_dicts(),
                "prompt_id": told.prompt.id,
                "kind": told.prompt.kind,
                "completion": told.completion,
                "principles": principles,
            }
        )
    steps = [
        {"prompt": one.prompt.as_dicts(), "answer": one.answer, "steps": [step._asdict() for step in one.steps]}
        for one in revised
    ]
    manifest = Manifest(
        kind="dataset",
        made_by="constitutional revisions",
        config={"heldout_fraction": config.heldout_fraction, "seed": config.seed},
        inputs={
            **inputs,
            "revisions": f"records-{content_id('revisions', steps)}",
            "demonstrations": f"records-{content_id('demonstrations', [one.id for one in beside])}",
        },
        facts={split: len(some) for split, some in lines.items()} | {"revisions": len(revised), "beside": len(beside)},
    )

    def write(folder: Path) -> None:
        for split, some in lines.items():
            dataset.write_lines(folder / f"{split}.jsonl", some)
        dataset.write_lines(folder / REVISIONS, steps)

    return workspace.put(manifest, write)
