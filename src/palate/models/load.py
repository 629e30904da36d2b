"""Open a model folder, or say exactly why it cannot be used.

Only local folders are read, remote code is never run, and what comes back is a plain Hugging Face
model in evaluation mode (dropout off), in float32 unless asked otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from palate.core.errors import MissingArtefact, ModelError
from palate.models.heads import PooledRewardModel


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
    if not (folder / "config.json").is_file():
        here = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "an empty folder"
        raise MissingArtefact(f"{folder} is not a model folder", expected="a file config.json", found=here)
    try:
        return AutoConfig.from_pretrained(str(folder), local_files_only=True)
    except (ValueError, OSError, KeyError, json.JSONDecodeError) as error:
        raise ModelError(
            "a model's configuration cannot be read", where=str(folder / "config.json"), found=str(error)
        ) from error


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder, with an end and a pad token that differ.

    Raises:
        ModelError: there is none, or it lacks `eos_token` or `pad_token`, or both are one token.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise ModelError(
            "a tokenizer cannot be read",
            where=str(folder),
            expected="tokenizer.json and tokenizer_config.json beside the model",
            found=str(error).splitlines()[0][:200],
        ) from error
    for name in ("eos_token", "pad_token"):
        if getattr(tokenizer, f"{name}_id") is None:
            raise ModelError(
                f"a tokenizer has no {name}",
                where=str(folder),
                expected="an end token and a pad token, and the two different",
                hint=f'set "{name}" in {Path(folder) / "tokenizer_config.json"} to a token of the vocabulary',
            )
    if tokenizer.eos_token_id == tokenizer.pad_token_id:
        raise ModelError(
            "a tokenizer uses its end token for padding",
            where=str(folder),
            expected="two different tokens: an answer's real end must not look like padding",
            found=f"eos_token = pad_token = {tokenizer.eos_token!r}",
            hint='give "pad_token" in tokenizer_config.json an unused token of the vocabulary',
        )
    return tokenizer


def load_causal(folder: Path | str) -> LoadedModel:
    """A causal language model and its tokenizer, ready to be trained or sampled from.

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
    model = _load_weights(AutoModelForCausalLM, folder)
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            "a tokenizer has more tokens than its model",
            where=str(folder),
            expected=f"at most {rows} tokens",
            found=f"{len(tokenizer)} tokens",
        )
    return LoadedModel(model, tokenizer)


def load_reward(folder: Path | str) -> LoadedModel:
    """A reward model: one scalar for a whole conversation.

    Raises:
        MissingArtefact: there is no model folder.
        ModelError: it does not give one score.
    """
    config = read_config(folder)
    tokenizer = load_tokenizer(folder)
    if config.model_type == PooledRewardModel.config_class.model_type:
        return LoadedModel(_load_weights(PooledRewardModel, folder), tokenizer)
    if getattr(config, "num_labels", None) != 1:
        raise ModelError(
            "a model does not give one score",
            where=str(folder),
            expected="num_labels = 1",
            found=f"num_labels = {getattr(config, 'num_labels', None)}",
            hint="train one with `palate train reward`",
        )
    return LoadedModel(_load_weights(AutoModelForSequenceClassification, folder), tokenizer)


def load_scalar(folder: Path | str) -> PreTrainedModel:
    """A causal model's trunk under a new scalar head, `score`, whose weights are random.

    Raises:
        ModelError: a weight of the trunk is missing, or does not fit.
    """
    return _load_weights(AutoModelForSequenceClassification, folder, new=frozenset({"score.weight"}), num_labels=1)


def _load_weights(
    auto_class: Any, folder: Path | str, *, new: frozenset[str] = frozenset(), **settings: Any
) -> PreTrainedModel:
    try:
        with _no_load_report():
            model, report = auto_class.from_pretrained(
                str(folder),
                local_files_only=True,
                dtype=torch.float32,
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


def save(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write weights (safetensors), configuration and tokenizer, so that transformers opens them."""
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
