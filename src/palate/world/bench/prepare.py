"""The models that both sides begin with: a policy that has seen some text, and a reward model around it.

run     python -m palate.world.bench.prepare SIZE SEED FOLDER ends|endless CORE
writes  FOLDER/policy and FOLDER/reward, plain Hugging Face folders

The policy is trained for a minute at most, so that it ends completions as data would: a few words after each
other, some never. An `endless` one has seen no end, so its completions are all of the same length.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from palate.core.ids import derive_seed
from palate.world.bench.meter import alone_on
from palate.world.bench.workload import SIZES, SPECIAL, Text

_PAD, _BOS, _EOS, _ = range(len(SPECIAL))
_STEPS = {"tiny": 120, "small": 60}
_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] + ' ' }}"
    "{% if message['role'] == 'assistant' %}{{ '<eos>' }}{% endif %}{% endfor %}"
)


def tokenizer_of(vocabulary: int) -> PreTrainedTokenizerBase:
    """A word is a token, and a conversation is its words."""
    words = [*SPECIAL, *(f"w{number}" for number in range(len(SPECIAL), vocabulary))]
    model = models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")
    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    )
    tokenizer.chat_template = _TEMPLATE
    tokenizer.padding_side = "left"
    return tokenizer


def config_of(size: str, **more: Any) -> LlamaConfig:
    """The architecture of a size."""
    shape = SIZES[size]
    return LlamaConfig(
        hidden_size=shape["hidden"],
        intermediate_size=shape["intermediate"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kv_heads"],
        vocab_size=shape["vocabulary"],
        max_position_embeddings=512,
        tie_word_embeddings=False,
        pad_token_id=_PAD,
        bos_token_id=_BOS,
        eos_token_id=_EOS,
        **more,
    )


def make(size: str, seed: int, folder: Path, *, endless: bool, steps: int | None = None) -> Path:
    """Write policy and reward model, unless they are there."""
    if folder.is_dir():
        return folder
    torch.manual_seed(derive_seed(seed, "bench", "weights", size))
    policy = LlamaForCausalLM(config_of(size))
    _learn(policy, Text(SIZES[size]["vocabulary"], derive_seed(seed, "bench", "text", size)), endless, steps, size)
    reward = LlamaForSequenceClassification(config_of(size, num_labels=1))
    reward.model.load_state_dict(policy.model.state_dict())
    half = folder.with_name(folder.name + ".part")
    for name, model in (("policy", policy), ("reward", reward)):
        tokenizer_of(SIZES[size]["vocabulary"]).save_pretrained(str(half / name))
        model.save_pretrained(str(half / name))
    return half.rename(folder)


def _learn(policy: Any, text: Text, endless: bool, steps: int | None, size: str) -> None:
    optimizer = torch.optim.AdamW(policy.parameters(), lr=2e-3, weight_decay=0.0)
    for _ in range(_STEPS[size] if steps is None else steps):
        pairs = [text.sequence() for _ in range(16)]
        rows = [prompt + completion + [_EOS] * (not endless) for prompt, completion in pairs]
        width = max(map(len, rows))
        tokens = torch.tensor([row + [_PAD] * (width - len(row)) for row in rows])
        labels = tokens.masked_fill(tokens == _PAD, -100)
        policy(input_ids=tokens, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


if __name__ == "__main__":
    name, number, where, kind, core = sys.argv[1:]
    alone_on(int(core))
    make(name, int(number), Path(where), endless=kind == "endless")
