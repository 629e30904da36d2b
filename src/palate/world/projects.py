"""What a project in the practice world begins with: a base that is trained here, what is asked, and what is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from palate.core.progress import SILENT, Progress
from palate.core.records import Demonstration
from palate.world import settings, stages
from palate.world.ai_feedback import arms, questions, writing
from palate.world.ai_feedback import stages as talking
from palate.world.demonstrations import demonstrations
from palate.world.prompts import Question, split
from palate.world.settings import Size

_FEW: Final = writing.Amounts(critiques=20, revisions=20, comparisons=20, pages=20)


class Begun(NamedTuple):
    """Made and drawn, to be written down."""

    base: Path
    asked: list[Question]
    heldout: list[Question]
    shown: list[Demonstration]
    red_team: list[Question] = []  # noqa: RUF012 - never written to


def plain(root: Path, seed: int, size: Size, progress: Progress = SILENT) -> Begun:
    """For rounds in which people say what is better.

    Args:
        root: The project's folder, in which the base comes to lie.
        seed: Of everything.
        size: Amounts.
        progress: Who listens.
    """
    base = stages.make_base(root, seed, size, progress)
    train, heldout = split()
    shown = demonstrations(train, size.demonstrations, seed)
    return Begun(base, train.sample(size.ppo_prompts, seed), heldout.sample(size.evaluated, 7), shown)


def principled(root: Path, seed: int, size: Size, progress: Progress = SILENT) -> Begun:
    """For rounds of Constitutional AI: the base has read how people criticise, rewrite and compare by principles."""
    tiny = size == settings.TINY
    amounts = _FEW if tiny else writing.Amounts()
    size = size if tiny else talking.SIZE
    base = talking.make_base(root, seed, size, amounts, progress)
    scale = arms.Scale(size=size, helped=24, lookalikes=4) if tiny else arms.Scale(size=size)
    asked, heldout = arms.helped(scale, seed), questions.sides().heldout.sample(size.evaluated, 7)
    shown = [*writing.usual(size.demonstrations, seed), *writing.talks(amounts, seed)]
    return Begun(base, asked, heldout, shown, arms.red_team(scale))
