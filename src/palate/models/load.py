"""Open a model folder, or say exactly why it cannot be used.

Only local folders are read, remote code is never run, and what comes back is a plain Hugging Face
model in evaluation mode (dropout off), in float32 unless asked otherwise. A folder with an adapter comes
back as its base with the adapter merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from palate.core.errors import ConfigError, MissingArtefact, ModelError
from palate.models import adapters, ensemble
from palate.models.heads import PooledRewardModel
from palate.models.memory import give_back_large_blocks
from palate.models.room import refuse_without_room
from palate.models.tokenizers import load_tokenizer as load_tokenizer


class LoadedModel(NamedTuple):
    """A model with the tokenizer that belongs to it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def read_config(folder: Path | str) -> Any:
    """The configuration of a local model folder.

    Raises:
        MissingArtefact: the folder, or its `config.json`, is not there.
        ModelError: `config.json` is not one that transformers knows.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingArtefact(
            f"there is no model folder {folder}",
            expected="a local folder with config.json, *.safetensors and a tokenizer",
            hint="Palate reads local folders only; `palate train pretrain --text FILES` makes one",
        )
    if adapters.is_adapter(folder):
        return read_config(adapters.read_base(folder).folder)
    if ensemble.is_ensemble(folder):
        return read_config(ensemble.lead(folder))
    if not (folder / "config.json").is_file():
        here = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "an empty folder"
        raise MissingArtefact(f"{folder} is not a model folder", expected="a file config.json", found=here)
    try:
        return AutoConfig.from_pretrained(str(folder), local_files_only=True)
    except (ValueError, OSError, KeyError, json.JSONDecodeError) as error:
        raise ModelError(
            "a model's configuration cannot be read", where=str(folder / "config.json"), found=str(error)
        ) from error


def load_causal(
    folder: Path | str,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    four_bit: bool = False,
) -> LoadedModel:
    """A causal language model and its tokenizer, ready to be trained or sampled from.

    Args:
        folder: A local model folder, or one with an adapter.
        dtype: Of the weights.
        device: Where they go.
        four_bit: Keep them in 4 bits (NF4), for adapters on a base that would not fit otherwise.

    Raises:
        MissingArtefact: there is no model folder.
        ModelError: it is no causal language model, its weights cannot be read, or its tokenizer
            does not fit.
    """
    config = read_config(folder)
    architectures = list(getattr(config, "architectures", None) or [])
    if architectures and not any("CausalLM" in name or "LMHead" in name for name in architectures):
        raise ModelError(
            "a model is no causal language model",
            where=str(folder),
            expected="an architecture that AutoModelForCausalLM knows",
            found=", ".join(architectures),
        )
    tokenizer = load_tokenizer(folder)
    settings = {"quantization_config": _four_bit(folder, dtype)} if four_bit else {}
    model = _load_weights(AutoModelForCausalLM, folder, dtype=dtype, device=device, **settings)
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            "a tokenizer has more tokens than its model",
            where=str(folder),
            expected=f"at most {rows} tokens",
            found=f"{len(tokenizer)} tokens",
        )
    return LoadedModel(model, tokenizer)


def load_reward(
    folder: Path | str, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> LoadedModel:
    """A reward model: one scalar for a whole conversation. An ensemble comes back as one model.

    Raises:
        MissingArtefact: there is no model folder.
        ModelError: it does not give one score.
    """
    if ensemble.is_ensemble(folder):
        found = ensemble.read(folder)
        members = [load_reward(member.folder, dtype=dtype, device=device) for member in found.members]
        whole = ensemble.RewardEnsemble([member.model for member in members], found)
        return LoadedModel(whole.eval().to(device), members[0].tokenizer)
    config = read_config(folder)
    tokenizer = load_tokenizer(folder)
    where: dict[str, Any] = {"dtype": dtype, "device": device}
    if config.model_type == PooledRewardModel.config_class.model_type:
        pooled = _load_weights(PooledRewardModel, folder, device=device)
        if dtype in (torch.float16, torch.bfloat16):  # the head sums up many small numbers
            pooled.trunk.to(dtype)
        return LoadedModel(pooled, tokenizer)
    if adapters.is_adapter(folder):
        return LoadedModel(_load_weights(AutoModelForSequenceClassification, folder, num_labels=1, **where), tokenizer)
    if getattr(config, "num_labels", None) != 1:
        raise ModelError(
            "a model does not give one score",
            where=str(folder),
            expected="num_labels = 1",
            found=f"num_labels = {getattr(config, 'num_labels', None)}",
            hint="train one with `palate train reward`",
        )
    return LoadedModel(_load_weights(AutoModelForSequenceClassification, folder, **where), tokenizer)


def load_scalar(folder: Path | str, *, device: torch.device | str = "cpu") -> PreTrainedModel:
    """A causal model's trunk under a new scalar head, `score`, whose weights are random.

    Raises:
        ModelError: its architecture has no scalar head; a weight of the trunk is missing, or does not fit.
    """
    refuse_without_scalar_head(folder)
    return _load_weights(
        AutoModelForSequenceClassification, folder, new=frozenset({"score.weight"}), num_labels=1, device=device
    )


def refuse_without_scalar_head(folder: Path | str) -> None:
    """Hold a model to what a reward model is on the disk, before any work.

    Raises:
        ModelError: transformers has no `AutoModelForSequenceClassification` for its architecture, or one without
            a linear head called `score`.
    """
    config = read_config(folder)
    known = AutoModelForSequenceClassification._model_mapping
    problem = f"transformers has none for `{config.model_type}`"
    if type(config) in known:
        with torch.device("meta"):
            whole = known[type(config)](config)
        if isinstance(getattr(whole, "score", None), torch.nn.Linear):
            return
        problem = f"that of `{config.model_type}` has its head elsewhere"
    raise ModelError(
        "a model's architecture cannot become a reward model",
        where=str(folder),
        expected="one with an AutoModelForSequenceClassification whose head is `score`, such as Llama or Qwen3",
        found=problem,
        hint="--head pooled works on any causal model",
    )


def _four_bit(folder: Path | str, dtype: torch.dtype) -> Any:
    if adapters.is_adapter(folder):
        raise ConfigError(
            "--tuning qlora needs a whole model to begin with",
            found=f"{folder}, which is an adapter",
            hint="train it with --save merged",
        )
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "--tuning qlora needs a library that is not installed", hint="pip install 'palate[qlora]'"
        ) from error
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def _load_weights(
    auto_class: Any,
    folder: Path | str,
    *,
    new: frozenset[str] = frozenset(),
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    **settings: Any,
) -> PreTrainedModel:
    if adapters.is_adapter(folder):
        base = adapters.read_base(folder).folder
        below = _load_weights(auto_class, base, new=new | {"score.weight"}, dtype=dtype, device=device, **settings)
        return adapters.merge(below, Path(folder)).eval()
    try:
        if "quantization_config" not in settings:
            refuse_without_room(folder, dtype, device)
        with _no_load_report():
            model, report = auto_class.from_pretrained(
                str(folder),
                local_files_only=True,
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
                **settings,
            )
    except (ValueError, OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            "a model's weights cannot be read",
            where=str(folder),
            expected="safetensors that fit config.json",
            found=str(error).splitlines()[0][:200],
        ) from error
    # transformers fills what is missing with random numbers, and goes on.
    missing = sorted(set(report["missing_keys"]) - new)
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ModelError(
            "a model's weights are incomplete",
            where=str(folder),
            expected="every weight that config.json asks for",
            found=f"no {', '.join(missing[:3])}{more}",
            hint="copy the folder again, with all of its *.safetensors",
        )
    give_back_large_blocks(model)
    if "quantization_config" not in settings:  # bitsandbytes has placed it already
        model = model.to(device)
    return model.eval()


@contextmanager
def _no_load_report() -> Iterator[None]:
    """Transformers' table of weights that are new is expected under a new head; what is not is an error here."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def save(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write weights (safetensors), configuration and tokenizer, so that transformers opens them.

    Args:
        folder: Where to.
        model: What to write.
        tokenizer: Its tokenizer.
        weights: Its weights, where the model itself has only a part of them.
    """
    model.save_pretrained(str(folder), state_dict=None if weights is None else dict(weights))
    tokenizer.save_pretrained(str(folder))
