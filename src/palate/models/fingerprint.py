"""What a reward model's text went through: hashes of tokenizer and chat template, kept beside its weights.

A reward model reads token ids. Ids from another tokenizer, or a conversation from another template, give scores
that look like scores and mean nothing. So what a model was trained with is written down, and compared when the
model is used. Nothing here depends on the model, nor on padding, which means nothing and may be added later.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from palate.core.errors import MissingArtefact, ModelError
from palate.core.ids import content_id
from palate.models.template import PLAIN_TEMPLATE
from palate.models.tokenizers import PAD, load_tokenizer

FILE = "fingerprint.json"
_NAMES = {
    "vocabulary": "which number each token has",
    "rules": "how text is cut into tokens",
    "special": "its special tokens",
    "template": "its chat template",
}


def fingerprint(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """Hashes of all that decides which tokens a conversation becomes, by what each is of."""
    vocabulary = {token: number for token, number in tokenizer.get_vocab().items() if token != PAD}
    added = {
        str(number): str(token)
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special and str(token) != PAD
    }
    special = {"added": added, "begin": tokenizer.bos_token, "unknown": tokenizer.unk_token}
    parts = {
        "vocabulary": vocabulary,
        "rules": _rules(tokenizer),
        "special": special,
        "template": tokenizer.chat_template or PLAIN_TEMPLATE,
    }
    return {name: content_id(name, part) for name, part in parts.items()}


def write(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Keep a tokenizer's fingerprint in a model's folder."""
    (folder / FILE).write_text(json.dumps(fingerprint(tokenizer), indent=2) + "\n", encoding="utf-8")


def refuse_another(folder: Path | str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Hold a reward model to the tokenizer and template that it was trained with.

    Args:
        folder: Of the reward model. One from elsewhere has no fingerprint; then its own tokenizer is asked.
        tokenizer: Of those whose completions it is to score.

    Raises:
        ModelError: they differ; it says in what.
    """
    folder = Path(folder)
    theirs, ours = _of(folder), fingerprint(tokenizer)
    other = [told for name, told in _NAMES.items() if theirs[name] != ours[name]]
    if other:
        raise ModelError(
            "a reward model reads text in another way than the policy writes it",
            where=str(folder),
            expected="the tokenizer and the chat template that it was trained with",
            found=f"the policy's tokenizer differs in {' and '.join(other)}",
            hint="train the reward model on a model of the policy's family: `palate train reward --model POLICY`",
        )


def _of(folder: Path) -> dict[str, str]:
    path = folder / FILE
    if not path.is_file():
        return fingerprint(load_tokenizer(folder))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(found[name]) for name in _NAMES}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingArtefact(
            "a fingerprint cannot be read", where=str(path), expected=", ".join(_NAMES), found=str(error)[:160]
        ) from error


def _rules(tokenizer: PreTrainedTokenizerBase) -> Any:
    """Merges, normalisation and the like, of a tokenizer that can tell them; else its class."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return type(tokenizer).__name__
    told = json.loads(backend.to_str())
    model = {name: value for name, value in told["model"].items() if name != "vocab" or isinstance(value, list)}
    return [model, told.get("normalizer"), told.get("pre_tokenizer"), told.get("post_processor")]
