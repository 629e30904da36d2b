"""`palate later OLD NEW`: fresh answers of two policies to what people judged, for the page "Your click, later"."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from palate.cli.data import prompts_of
from palate.cli.live import Live
from palate.cli.project import opened
from palate.cli.recipe import Settings
from palate.core.artefacts import Workspace, identify, read_manifest
from palate.core.errors import DataError
from palate.core.ids import derive_seed
from palate.core.records import Prompt
from palate.rounds.resampled import ResampleConfig
from palate.rounds.resampled import resample as resample_
from palate.store import releases, rows, tracing
from palate.store.journal import Journal

_SHARED = (
    "an answer that was liked best of a few was partly lucky: only fresh answers can be held against fresh answers"
)


def later(
    old: str,
    new: str,
    /,
    *,
    prompts: Path | None = None,
    most: int = 50,
    reward: Path | None = None,
    out: Path = Path(),
    database: str = "",
    settings: Settings[ResampleConfig] = ResampleConfig(),  # noqa: B008
) -> None:
    """Ask an old and a new policy again what people judged, so that a lucky draw is not taken for progress.

    Parameters
    ----------
    old
        The policy whose answers were judged: a folder, the id of an artefact, or a release or its alias.
    new
        The one that learned from it.
    prompts
        A dataset or file of prompts to ask; those of which an answer of OLD was judged when not given.
    most
        At most so many of them, drawn by the seed.
    reward
        Folder of a reward model that scores all answers.
    out
        Project folder.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    workspace, progress = Workspace(out), Live()
    with opened(out, database) as journal:
        before, after = (_policy(journal, workspace, named) for named in (old, new))
        asked = prompts_of(prompts, out)[0] if prompts else _judged(journal, before)
        if len(asked) > most:
            draw = random.Random(derive_seed(settings.seed, "later", "prompts"))
            asked = sorted(draw.sample(asked, most), key=lambda prompt: prompt.id)
        folder = resample_(settings, before, after, asked, journal, workspace, reward=reward, progress=progress)
    facts = read_manifest(folder).facts
    print(f"{facts['prompts']} prompts, {facts['each']} fresh answers of each policy")
    for name, title in _TOLD.items():
        if name in facts:
            print(f"{title}: {_figure(facts[name])}")
    if "score_old" in facts:
        print(_SHARED)
    print(folder)


_TOLD = {
    "score_liked": "score of what raters liked",
    "score_old": "fresh answers of the old policy",
    "score_new": "fresh answers of the new policy",
    "old_less_liked": "old fresh less what was liked, which is luck",
    "new_less_old": "new less old, both fresh",
}


def _figure(told: dict[str, Any]) -> str:
    return f"{told['value']:.3f} ({told['low']:.3f} to {told['high']:.3f}, n {told['n']})"


def _policy(journal: Journal, workspace: Workspace, named: str) -> Path:
    """The folder of a policy.

    Raises:
        DataError: nothing is named so.
    """
    for path in (Path(named), workspace.path(named)):
        if named and path.is_dir():
            return path
    folder = workspace.path(releases.get(journal, named).policy)
    if not folder.is_dir():
        raise DataError("the release's policy is not here", expected=f"a folder {folder}", found="none")
    return folder


def _judged(journal: Journal, policy: Path) -> list[Prompt]:
    """Prompts of which an answer of a policy was judged."""
    id = identify(policy)
    wanted = tracing.judged_prompts(journal, id)
    if not wanted:
        raise DataError(
            "no answer of the old policy was judged", found=id, expected="comparisons that show its answers",
            hint="name prompts by --prompts",
        )  # fmt: skip
    every = rows.prompts(journal)
    return [every[one] for one in wanted]
