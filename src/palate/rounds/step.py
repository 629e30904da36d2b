"""What a step of a round is given, and what it can come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from palate.core.artefacts import Workspace
from palate.core.constitutions import Constitution
from palate.core.progress import SILENT, Progress
from palate.core.records import Comparison, Demonstration, Prompt
from palate.judging.template import ByPrinciple, by_principle
from palate.rounds.collecting import left_to_model
from palate.rounds.meeting import Referee
from palate.rounds.project import Project
from palate.store import rows
from palate.store.journal import Journal
from palate.store.rounds import Round
from palate.training.rl_settings import RolloutOptions


class Done(NamedTuple):
    """The step is over."""

    artefact: Path | None = None
    """What it left, if it leaves an artefact."""
    details: dict[str, Any] = {}  # noqa: RUF012 - never written to
    """Figures for whoever looks; JSON."""


class Waiting(NamedTuple):
    """People have to do something first."""

    why: str
    details: dict[str, Any] = {}  # noqa: RUF012


class Refused(NamedTuple):
    """It cannot go on like this; the reason is for people."""

    why: str
    artefact: Path | None = None
    details: dict[str, Any] = {}  # noqa: RUF012


Outcome: TypeAlias = Done | Waiting | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Records of the project's files, as the command line has read them."""

    prompts: list[Prompt]
    """What is asked in collections."""
    practised: list[Prompt]
    """Those of them that a policy is trained on."""
    heldout: list[Prompt]
    """For the evaluation; never trained on."""
    demonstrations: Path | None = None
    """A frozen dataset."""
    red_team: list[Prompt] = field(default_factory=list)
    constitution: Constitution | None = None

    def demonstrated(self, split: str) -> list[Demonstration]:
        """Demonstrations of a split."""
        from palate.preferences import dataset

        return dataset.load_demonstrations(self.demonstrations, split) if self.demonstrations else []


Judges: TypeAlias = "Callable[[Context, str], int]"
"""Whoever judges the comparisons of a source without a person; how many judgements were added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A round at work."""

    project: Project
    """Its settings, those of this round."""
    root: Path
    journal: Journal
    workspace: Workspace
    round: Round
    material: Material
    made: Mapping[str, str] = field(default_factory=dict)
    """By step, the id of what it left in this round."""
    before: Mapping[str, str] = field(default_factory=dict)
    """The same of the round that it goes on from."""
    earlier: tuple[Round, ...] = ()
    """Rounds before this one, the first one first."""
    judges: Mapping[str, Judges] = field(default_factory=dict)
    """Who judges in place of people: `collect` all of it, `judge` what people have left open."""
    judge: Referee | None = None
    """Who compares answers in the evaluation, where `[evaluate] judge` names a model."""
    asks: Callable[[Constitution, int], ByPrinciple] = by_principle
    """How a model is asked to compare answers by principles, with a seed that draws them."""
    progress: Progress = SILENT
    options: RolloutOptions = field(default_factory=RolloutOptions)

    def path(self, step: str) -> Path:
        """What a step of this round left."""
        return self.workspace.path(self.made[step])

    @property
    def reference(self) -> Path:
        """What the policy is held to: the SFT model, or the base where nothing was demonstrated."""
        id = self.made.get("sft", "")
        return self.workspace.path(id) if id else self.root / self.project.files.base

    @property
    def last(self) -> Path:
        """The policy of the round before, or the reference."""
        id = self.before.get("policy", "")
        return self.workspace.path(id) if id else self.reference

    def for_people(self, source: str) -> list[Comparison]:
        """Comparisons of a source that people are asked about: all but those that are left to the model."""
        made = rows.comparisons(self.journal, [source])
        spared = left_to_model(made, self.project.judge.share, self.project.files.seed) if source == self.source else ()
        return [one for one in made if one.id not in spared]

    @property
    def source(self) -> str:
        """Of this round's comparisons."""
        return f"round/{self.round.number}"
