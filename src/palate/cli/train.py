"""`palate train …`: one recipe each, on any local model folder and any known file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from palate.cli.data import demonstrations_of, preferences_of, prompts_of
from palate.cli.live import Live
from palate.core.artefacts import Workspace
from palate.core.errors import DataError, MissingArtefact
from palate.models import load
from palate.training import dpo, ppo, pretrain, reward, sft
from palate.training.dpo import DPOConfig
from palate.training.ppo import PPOConfig
from palate.training.pretrain import PretrainConfig
from palate.training.reward import RewardConfig
from palate.training.sft import SFTConfig

app = App(name="train", help="Train one stage on any local Hugging Face model folder.")
Flat = Parameter(name="*")


@app.command(name="pretrain")
def pretrain_(
    *,
    text: Annotated[list[Path], Parameter(consume_multiple=True)],
    out: Path = Path(),
    config: Annotated[PretrainConfig, Flat] = PretrainConfig(),  # noqa: B008 - frozen
) -> None:
    """Make a tokenizer and a base model from text files, offline. Blank lines part documents.

    Parameters
    ----------
    text
        Files of plain text.
    out
        Project folder; the artefact goes to `artefacts/` in it.
    """
    documents = []
    for file in text:
        if not file.is_file():
            raise MissingArtefact(f"there is no file {file}")
        try:
            content = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise DataError("a text file is not UTF-8", where=str(file), found=str(error)) from error
        documents += [part.strip() for part in content.split("\n\n") if part.strip()]
    if not documents:
        raise DataError("the text files are empty", found=", ".join(map(str, text)))
    _done(pretrain.train(config, documents, Workspace(out), progress=Live()))


@app.command(name="sft")
def sft_(
    *,
    model: Path,
    data: Path,
    heldout_fraction: float | None = None,
    out: Path = Path(),
    config: Annotated[SFTConfig, Flat] = SFTConfig(),  # noqa: B008
) -> None:
    """Supervised fine-tuning on demonstrations.

    Parameters
    ----------
    model
        Folder of a causal model.
    data
        A dataset artefact, or a file: messages, prompt/completion, Alpaca.
    heldout_fraction
        Share of the prompts of a file that are kept for the held-out loss; 0.05 if not given.
    out
        Project folder.
    """
    load.read_config(model)  # refuse before any work
    rows, heldout, data_id = demonstrations_of(data, out, heldout_fraction)
    _done(sft.train(config, model, rows, Workspace(out), heldout=heldout, data_id=data_id, progress=Live()))


@app.command(name="reward")
def reward_(
    *,
    model: Path,
    data: Path,
    heldout_fraction: float | None = None,
    out: Path = Path(),
    config: Annotated[RewardConfig, Flat] = RewardConfig(),  # noqa: B008
) -> None:
    """A reward model from preferences.

    Parameters
    ----------
    model
        Folder of a causal model, usually the SFT model.
    data
        A dataset artefact, or a file of pairs: Anthropic HH, TRL, Alpaca with chosen/rejected.
    heldout_fraction
        Share of the prompts of a file that are kept for the held-out accuracy; 0.15 if not given.
    out
        Project folder.
    """
    load.read_config(model)
    rows, heldout, data_id = preferences_of(data, out, heldout_fraction)
    _done(reward.train(config, model, rows, Workspace(out), heldout=heldout, data_id=data_id, progress=Live()))


@app.command(name="dpo")
def dpo_(
    *,
    model: Path,
    data: Path,
    heldout_fraction: float | None = None,
    out: Path = Path(),
    config: Annotated[DPOConfig, Flat] = DPOConfig(),  # noqa: B008
) -> None:
    """Direct preference optimisation.

    Parameters
    ----------
    model
        Folder of the SFT model.
    data
        A dataset artefact, or a file of pairs.
    heldout_fraction
        Share of the prompts of a file that are kept for the held-out accuracy; 0.15 if not given.
    out
        Project folder.
    """
    load.read_config(model)
    rows, heldout, data_id = preferences_of(data, out, heldout_fraction)
    _done(dpo.train(config, model, rows, Workspace(out), heldout=heldout, data_id=data_id, progress=Live()))


@app.command(name="ppo")
def ppo_(
    *,
    model: Path,
    reward: Path,
    data: Path,
    out: Path = Path(),
    config: Annotated[PPOConfig, Flat] = PPOConfig(),  # noqa: B008
) -> None:
    """PPO against a reward model.

    Parameters
    ----------
    model
        Folder of the SFT model: the frozen reference, and where the policy begins.
    reward
        Folder of the reward model.
    data
        A dataset artefact or any file with prompts.
    out
        Project folder.
    """
    load.read_config(model)
    load.read_config(reward)
    rows, data_id = prompts_of(data, out)
    _done(ppo.train(config, model, reward, rows, Workspace(out), data_id=data_id, progress=Live()))


def _done(folder: Path) -> None:
    print(folder)
