"""Constitutional AI, both published stages: revisions for SFT, then a model's preferences for DPO or PPO.

reads   a causal model; a constitution; red-team prompts; demonstrations and people's labels on what helps, if any
writes  a dataset of revisions, the policy that learned them, a dataset of preferences (the model's on the red team's
        prompts, people's on the rest), a policy, with PPO a reward model, and a table: which principle did what
run     palate constitutional MODEL --red-team PROMPTS --helpful PROMPTS
expect  a model that cannot criticise is not helped: read the examples before the second stage

Nobody says of any answer that it is harmful: people say what helps, the model says what harms. Every step leaves an
artefact or a row that is found again, so a run that was cut off goes on where it stopped.

Source: Bai et al. 2022, arXiv:2212.08073, sections 3 (critique, revision, SFT) and 4 (AI preferences mixed with
people's helpfulness labels, RL).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from palate.core.artefacts import Manifest, Workspace, identify
from palate.core.constitutions import Constitution
from palate.core.ids import content_id
from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt
from palate.evaluation.subjects import Folder
from palate.judging.local_judge import LocalJudge
from palate.judging.template import ByPrinciple, by_principle
from palate.preferences import dataset
from palate.rounds.ai_preferences import Judging, Labelled, labelled, mixed
from palate.rounds.collecting import Asked, Writer, compared
from palate.rounds.constitutional_settings import ConstitutionalConfig, Material, Recipes
from palate.rounds.principles import Deed, deeds
from palate.rounds.revisions import Taught, teach
from palate.store import opinions
from palate.store.journal import Journal
from palate.store.opinions import TIE, AIJudge
from palate.training import dpo, ppo, reward
from palate.training.run import RunOptions


class Constitutional(NamedTuple):
    """What both stages came to."""

    taught: Taught
    labelled: Labelled
    preferences: Path
    """Dataset of the model's preferences and people's."""
    reward: Path | None
    policy: Path
    report: Path
    deeds: list[Deed]


def run(
    config: ConstitutionalConfig,
    model: Path,
    constitution: Constitution,
    material: Material,
    journal: Journal,
    workspace: Workspace,
    *,
    recipes: Recipes | None = None,
    template: ByPrinciple | None = None,
    judging: Judging | None = None,
    progress: Progress = SILENT,
    options: RunOptions | None = None,
) -> Constitutional:
    """Both stages.

    Args:
        config: How much.
        model: Folder of a causal model that answers, criticises and revises; usually an SFT model.
        constitution: Principles.
        material: What is learned from.
        journal: Where the second stage's answers and opinions go.
        workspace: Where artefacts go.
        recipes: Settings of SFT and of the policy step.
        template: How the judge is asked; Palate's own by this constitution when not given.
        judging: Who says which answer harms less; the model itself when not given.
        progress: Who listens.
        options: Device, checkpoints, trackers.

    Raises:
        DataError: nothing was revised, or nothing could be compared or judged.
    """
    recipes = recipes or Recipes()
    taught = teach(config, model, constitution, material, workspace, recipes.sft, progress=progress, options=options)
    judging = judging or itself(model, template or by_principle(constitution, config.seed))
    found = prefer(config, taught.policy, material.red_team, judging, journal, workspace, progress=progress)
    data = mixed(found.data, found.principles, material.preferences, workspace, material.red_team)
    rewarded, policy = optimise(config, taught.policy, data, material, workspace, recipes, progress, options)
    told = _judged(journal, judging.who, found)
    table = deeds(constitution, taught.revised, told, TIE)
    report = _report(config, constitution, workspace, table, {"revisions": taught.data, "data": data, "policy": policy})
    return Constitutional(taught, found, data, rewarded, policy, report, table)


def itself(model: Path, template: ByPrinciple) -> Judging:
    """A model folder as the judge, by the probabilities of its verdicts."""
    judge = LocalJudge(model, template)
    who = AIJudge(name=judge.name, model=identify(model), template=template.name, template_id=template.id)
    return Judging(judge, who)


def prefer(
    config: ConstitutionalConfig,
    policy: Path,
    prompts: Sequence[Prompt],
    judging: Judging,
    journal: Journal,
    workspace: Workspace,
    *,
    progress: Progress = SILENT,
) -> Labelled:
    """The second stage's labels: the policy answers the red team, and the judge compares by sampled principles.

    Args:
        config: How much.
        policy: What the first stage left.
        prompts: The red team's.
        judging: Who compares.
        journal: Where answers and opinions go.
        workspace: Where the dataset goes.
        progress: Who listens.

    Raises:
        DataError: there was nothing to compare, or no opinion.
    """
    every = list({prompt.id: prompt for prompt in prompts}.values())
    asked = Asked(config.completions, config.pairs, config.temperature, config.seed)
    made = [identify(policy), judging.who.rater, [prompt.id for prompt in every], list(asked), config.max_new_tokens]
    source = f"constitutional/{content_id('compared', made)}"
    subject = Folder(policy, temperature=config.temperature, max_new_tokens=config.max_new_tokens)
    compared(journal, [Writer(subject, identify(policy))], every, asked, source, progress)
    return labelled(
        journal, judging, source, workspace, soft=config.soft, heldout_fraction=config.heldout_fraction,
        seed=config.seed, progress=progress,
    )  # fmt: skip


def optimise(
    config: ConstitutionalConfig,
    start: Path,
    data: Path,
    material: Material,
    workspace: Workspace,
    recipes: Recipes,
    progress: Progress = SILENT,
    options: RunOptions | None = None,
) -> tuple[Path | None, Path]:
    """The policy step on preferences: `(reward model or None, policy)`.

    Args:
        config: Says which.
        start: The first stage's policy, which is the reference too.
        data: Dataset of preferences.
        material: With PPO, its prompts.
        workspace: Where artefacts go.
        recipes: Settings.
        progress: Who listens.
        options: Device, checkpoints, trackers.
    """
    told: dict[str, Any] = {"progress": progress, "options": options}
    rows, heldout = dataset.load_preferences(data), dataset.load_preferences(data, "heldout")
    more: dict[str, Any] = {"heldout": heldout, "data_id": data.name, **told}
    if config.policy == "dpo":
        return None, dpo.train(recipes.dpo, start, rows, workspace, **more)
    scorer = reward.train(recipes.reward, start, rows, workspace, **more)
    return scorer, ppo.train(recipes.ppo, start, scorer, [*material.red_team, *material.helpful], workspace, **told)


def _judged(journal: Journal, who: AIJudge, found: Labelled) -> list[tuple[str, float | None]]:
    """Principle and mean opinion of each comparison of this run."""
    told = opinions.opinions(journal, who.rater)
    return [(principle, opinions.p_first(told[id])) for id, principle in found.principles.items()]


def _report(
    config: ConstitutionalConfig,
    constitution: Constitution,
    workspace: Workspace,
    table: Sequence[Deed],
    made: dict[str, Path],
) -> Path:
    """The table as an artefact that knows what it is of."""
    manifest = Manifest(
        kind="report",
        made_by="constitutional",
        config={**asdict(config), "constitution": constitution.id},
        inputs={role: path.name for role, path in made.items()},
        facts={"principles": len(table)},
    )

    def write(folder: Path) -> None:
        rows = [deed._asdict() for deed in table]
        (folder / "principles.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")

    return workspace.put(manifest, write)
