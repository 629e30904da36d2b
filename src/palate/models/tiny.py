"""A tokenizer and a small causal model from nothing but text and a configuration, offline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from palate.core.errors import ConfigError

PAD, EOS, USER, ASSISTANT, SYSTEM, UNK = (
    "<|pad|>",
    "<|end|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
    "<|unk|>",
)
SPECIAL = (PAD, EOS, USER, ASSISTANT, SYSTEM, UNK)
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
FAMILIES = ("llama", "gpt2", "qwen3")


def train_tokenizer(
    texts: Iterable[str], *, vocab_size: int, kind: str = "bpe", lowercase: bool = False
) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer that can spell any text.

    Args:
        texts: What to learn from.
        vocab_size: Upper limit of the vocabulary, special tokens and 256 bytes included.
        kind: `bpe` merges frequent neighbours; `words` makes each of the most frequent words one
            token and spells all others in bytes, which suits tiny worlds.
        lowercase: Fold case before anything else.

    Returns:
        A tokenizer with pad, end, unknown and role tokens and a chat template.
    """
    if vocab_size < 256 + len(SPECIAL):
        raise ConfigError(
            "a vocabulary is too small for the 256 bytes",
            expected=f"at least {256 + len(SPECIAL)}",
            found=str(vocab_size),
        )
    if kind not in ("bpe", "words"):
        raise ConfigError("there is no such tokenizer", expected="bpe or words", found=kind)
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    normalizer = normalizers.Lowercase() if lowercase else None
    if kind == "bpe":
        core = Tokenizer(models.BPE(unk_token=UNK))
    else:
        core = Tokenizer(models.WordPiece(_words(texts, vocab_size, split, normalizer), unk_token=UNK))
        core.model.continuing_subword_prefix = ""
    core.pre_tokenizer, core.decoder = split, decoders.ByteLevel()
    if normalizer is not None:
        core.normalizer = normalizer
    if kind == "bpe":
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIAL),
            initial_alphabet=alphabet,
            show_progress=False,
        )
        core.train_from_iterator(texts, trainer)
    else:
        core.add_special_tokens(list(SPECIAL))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=PAD, eos_token=EOS, unk_token=UNK, padding_side="right"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _words(
    texts: Iterable[str],
    vocab_size: int,
    split: pre_tokenizers.PreTokenizer,
    normalizer: normalizers.Normalizer | None,
) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for text in texts:
        text = normalizer.normalize_str(text) if normalizer is not None else text
        counts.update(word for word, _ in split.pre_tokenize_str(text))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    room = vocab_size - len(SPECIAL) - len(alphabet)
    frequent = [w for w, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if len(w) > 1]
    names: Iterator[str] = iter((*SPECIAL, *alphabet, *frequent[:room]))
    return {name: index for index, name in enumerate(names)}


def make_model(
    tokenizer: PreTrainedTokenizerFast,
    *,
    family: str = "llama",
    width: int = 128,
    layers: int = 3,
    heads: int = 4,
    context: int = 192,
    seed: int = 0,
) -> PreTrainedModel:
    """A fresh causal model of about `layers * 10 * width**2` parameters plus its embeddings.

    Args:
        tokenizer: Fixes the vocabulary and the special tokens.
        family: `llama`, `gpt2` or `qwen3`.
        width: Size of the hidden states.
        layers: Blocks.
        heads: Attention heads; `width` is a multiple of it.
        context: Longest sequence, in tokens.
        seed: Of the initial weights.
    """
    if family not in FAMILIES:
        raise ConfigError("there is no such model family", expected=", ".join(FAMILIES), found=family)
    if width % heads:
        raise ConfigError("--width is not a multiple of --heads", found=f"{width} and {heads}", hint="try --heads 4")
    tokens = {
        "vocab_size": len(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
    }
    if family == "gpt2":
        config = GPT2Config(
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            n_positions=context,
            activation_function="relu",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            **tokens,
        )
    else:
        shape = {
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "head_dim": width // heads,
            "max_position_embeddings": context,
            "tie_word_embeddings": True,
            "initializer_range": width**-0.5 * 0.5,
        }
        config = (LlamaConfig if family == "llama" else Qwen3Config)(**shape, **tokens)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model.eval()
