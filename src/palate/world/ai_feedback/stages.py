"""Base and SFT model of the world in which models give feedback; both arms of an experiment begin with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from palate.core.artefacts import Workspace
from palate.core.progress import SILENT, Progress
from palate.core.records import Demonstration
from palate.preferences import dataset
from palate.training import pretrain, sft
from palate.training.sft import SFTConfig
from palate.world import settings
from palate.world.ai_feedback.writing import Amounts, pages, talks, usual, vocabulary
from palate.world.internet import internet
from palate.world.settings import Size

SIZE: Final = Size(documents=10_000)
"""Fewer pages than the plain world's; people's talk comes on top."""


class Models(NamedTuple):
    """What both arms begin with."""

    base: Path
    sft: Path


def models(
    root: Path, seed: int, size: Size = SIZE, amounts: Amounts | None = None, progress: Progress = SILENT
) -> Models:
    """Base and SFT model of a seed, made where they are not there yet."""
    amounts = amounts or Amounts()
    base = make_base(root, seed, size, amounts, progress)
    return Models(base, make_sft(root, seed, size, amounts, base, progress))


def make_base(root: Path, seed: int, size: Size, amounts: Amounts, progress: Progress = SILENT) -> Path:
    """Pretrain on the generated internet, on some pages of which people criticise and compare answers."""
    texts = internet(size.documents, seed) + pages(amounts, seed)
    return pretrain.train(
        settings.pretrain(seed), texts, Workspace(root), tokenizer_texts=vocabulary(), progress=progress
    )


def make_sft(root: Path, seed: int, size: Size, amounts: Amounts, base: Path, progress: Progress = SILENT) -> Path:
    """Fine-tune on the usual demonstrations and a few of critique, revision and comparison."""
    workspace = Workspace(root)
    told = [*usual(size.demonstrations, seed), *talks(amounts, seed)]
    frozen = dataset.freeze_demonstrations(told, workspace, seed=seed)
    return sft.train(
        sft_config(seed),
        base,
        dataset.load_demonstrations(frozen),
        workspace,
        heldout=dataset.load_demonstrations(frozen, "heldout"),
        data_id=frozen.name,
        progress=progress,
    )


def sft_config(seed: int) -> SFTConfig:
    """As in the plain world, but only the last turn is learned: what is criticised is no example."""
    return replace(settings.sft(seed), turns="last")


def kept_up(seed: int, size: Size = SIZE) -> list[Demonstration]:
    """Usual demonstrations to which revisions are added: those that answer no harmful question."""
    return [one for one in usual(size.demonstrations, seed) if one.prompt.kind != "harmful"]
