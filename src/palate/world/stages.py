"""The stages of the cycle as functions of a folder, so that each can run in a process of its own.

Every stage finds work that is already done by its id, so a cycle that was cut off goes on where it
stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import transformers

from palate.core.artefacts import Workspace
from palate.core.ids import derive_seed
from palate.core.progress import SILENT, Progress
from palate.preferences import dataset
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store.journal import Journal
from palate.training import dpo, ppo, pretrain, reward, sft
from palate.world import collect, settings
from palate.world.demonstrations import demonstrations
from palate.world.internet import internet
from palate.world.prompts import Question, split
from palate.world.settings import Size


def quiet(threads: int) -> None:
    """Settings of a process: how many threads, and no progress bars but ours."""
    torch.set_num_threads(threads)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def make_base(root: Path, seed: int, size: Size, progress: Progress = SILENT) -> Path:
    """Pretrain on the generated internet."""
    pages = internet(size.documents, seed)
    told = demonstrations(split()[0], size.demonstrations, seed)
    words = [text for d in told for text in (d.prompt.text, d.completion)]
    return pretrain.train(settings.pretrain(seed), pages, Workspace(root), tokenizer_texts=words, progress=progress)


def make_sft(root: Path, seed: int, size: Size, base: Path, progress: Progress = SILENT) -> Path:
    """Fine-tune on demonstrations."""
    workspace = Workspace(root)
    told = demonstrations(split()[0], size.demonstrations, seed)
    frozen = dataset.freeze_demonstrations(told, workspace, seed=seed)
    return sft.train(
        settings.sft(seed),
        base,
        dataset.load_demonstrations(frozen),
        workspace,
        heldout=dataset.load_demonstrations(frozen, "heldout"),
        data_id=frozen.name,
        progress=progress,
    )


def asked(seed: int, count: int, *, about: str) -> list[Question]:
    """Questions of the training side."""
    return split()[0].sample(count, derive_seed(seed, about))


def judged(
    root: Path,
    seed: int,
    size: Size,
    policies: Sequence[Path],
    *,
    source: str,
    prompts: int,
    about: str = "judged",
    together: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Path:
    """Sample comparisons from policies, have them judged, freeze a dataset.

    Args:
        root: The project's folder.
        seed: Of the cycle.
        size: Amounts.
        policies: Who answers, equally often.
        source: Name of this collection; also of its journal, so that two runs do not mix.
        prompts: How many questions.
        about: Names the draw of questions.
        together: Earlier sources that the dataset is made of together with this one.
        progress: Who listens.

    Returns:
        The dataset's folder.
    """
    questions = asked(seed, prompts, about=about)
    family = source.partition("/")[0]
    with Journal.open(root / f"{family}.db") as journal:
        collect.sample_comparisons(
            journal,
            policies,
            questions,
            completions=size.completions,
            source=source,
            seed=seed,
            max_new_tokens=size.max_new_tokens,
            progress=progress,
        )
        collect.judge_all(journal, questions, source=source, raters=size.raters, seed=seed, progress=progress)
        config = SnapshotConfig(sources=(*together, source), minimum_judgements=2, seed=seed)
        return freeze(journal, Workspace(root), config)


def make_reward(
    root: Path, seed: int, model: Path, data: Path, *, conditional: bool = True, progress: Progress = SILENT
) -> Path:
    """Train the reward model on a frozen dataset."""
    return reward.train(
        settings.reward(seed, conditional=conditional),
        model,
        dataset.load_preferences(data),
        Workspace(root),
        heldout=dataset.load_preferences(data, "heldout"),
        data_id=data.name,
        progress=progress,
    )


def make_ppo(
    root: Path,
    seed: int,
    size: Size,
    model: Path,
    reward_model: Path,
    *,
    beta: float = settings.PPO_BETA,
    iterations: int | None = None,
    start: Path | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Optimise against the reward model."""
    questions = asked(seed, size.ppo_prompts, about="ppo")
    return ppo.train(
        settings.ppo(seed, size, beta=beta, iterations=iterations),
        model,
        reward_model,
        [q.prompt for q in questions],
        Workspace(root),
        start=start,
        progress=progress,
    )


def make_dpo(root: Path, seed: int, model: Path, data: Path, progress: Progress = SILENT) -> Path:
    """Learn from the preferences directly."""
    return dpo.train(
        settings.dpo(seed),
        model,
        dataset.load_preferences(data),
        Workspace(root),
        data_id=data.name,
        progress=progress,
    )
