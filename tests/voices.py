"""Tokenizers with the habits of well-known models, and models of their families, made from nothing."""

from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers import models as cores
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

CHATML = (
    "{%- for m in messages -%}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
LLAMA3 = (
    "{{- bos_token -}}{%- for m in messages -%}"
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif -%}"
)
QWEN3 = (
    "{%- set ns = namespace(last=-1) -%}"
    "{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}"
    "{%- for m in messages -%}{%- set text = m.content -%}"
    "{%- if m.role == 'assistant' -%}"
    "{%- set thought = text.split('</think>')[0].split('<think>')[-1] if '</think>' in text else '' -%}"
    "{%- set text = text.split('</think>')[-1].lstrip('\\n') -%}"
    "{%- if loop.index0 > ns.last -%}"
    "{%- set text = '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + text -%}{%- endif -%}"
    "{%- endif -%}"
    "{{ '<|im_start|>' + m.role + '\\n' + text + '<|im_end|>' + '\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
GEMMA = (
    "{{- bos_token -}}{%- for m in messages -%}"
    "{%- if m.role == 'system' -%}{{ raise_exception('System role not supported') }}{%- endif -%}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' + m.content | trim }}"
    "{{ '<end_of_turn>' + '\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}"
)
MISTRAL = (
    "{{- bos_token -}}{%- for m in messages -%}"
    "{%- if m.role == 'user' -%}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{%- elif m.role == 'assistant' -%}{{ ' ' + m.content + eos_token }}{%- endif -%}{%- endfor -%}"
)
TEXTS = [
    "the answer is in the question: how do i protect a password? use a long one.",
    "assistant: thanks! user: plan a career change, start with figma and then practise.",
    "assistant: the user asked; the assistant answered. a\n\nb\n\n\nc the the the",
] * 8

WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""How newer tokenizers cut text: line breaks stay together. GPT-2's takes the last one away from those before."""
VOICES = {
    "chatml": dict(template=CHATML, special=["<|im_start|>", "<|im_end|>"], eos="<|im_end|>", pad="<|pad|>"),
    "llama3": dict(
        template=LLAMA3,
        special=["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"],
        bos="<|begin_of_text|>",
        eos="<|end_of_text|>",
        ends=["<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"],
    ),
    "qwen3": dict(
        template=QWEN3,
        special=["<|im_start|>", "<|im_end|>", "<|endoftext|>"],
        marks=["<think>", "</think>"],
        eos="<|im_end|>",
        pad="<|endoftext|>",
        ends=["<|im_end|>", "<|endoftext|>"],
    ),
    "gemma": dict(
        template=GEMMA,
        special=["<start_of_turn>", "<end_of_turn>"],
        bos="<bos>",
        eos="<eos>",
        pad="<pad>",
        ends=["<eos>", "<end_of_turn>"],
    ),
    "mistral": dict(template=MISTRAL, special=[], marks=["[INST]", "[/INST]"], bos="<s>", eos="</s>"),
    "plain": dict(template=None, special=[], eos="<|endoftext|>", bos="<|endoftext|>", pad="<|endoftext|>"),
}
"""What stands in for the real ones: begin, end and pad as those models have them."""
FAMILY = {
    "chatml": LlamaConfig,
    "llama3": LlamaConfig,
    "qwen3": Qwen3Config,
    "gemma": GemmaConfig,
    "mistral": MistralConfig,
    "plain": GPT2Config,
}


def tokenizer_of(name, **changes):
    """A byte-level BPE tokenizer with one of the `VOICES`; with a begin token, it adds that to any text itself."""
    voice = VOICES[name] | changes
    bos, eos, pad = voice.get("bos"), voice.get("eos"), voice.get("pad")
    special = list(dict.fromkeys([t for t in (bos, eos, pad, *voice["special"]) if t]))
    core = Tokenizer(cores.BPE())
    split = pre_tokenizers.Split(Regex(WORDS), "isolated")
    core.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    if name == "plain":
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(TEXTS, trainer)
    core.add_tokens(voice.get("marks", []))
    if bos and name != "plain":
        core.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))]
        )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token=bos, eos_token=eos, pad_token=pad)
    tokenizer.add_special_tokens({"additional_special_tokens": [t for t in special if t not in (bos, eos, pad)]})
    tokenizer.chat_template = voice["template"]
    return tokenizer


def model_of(name, tokenizer, **changes):
    """A tiny causal model of the family, whose generation config names the end tokens of the voice."""
    voice = VOICES[name] | changes
    ends = [tokenizer.convert_tokens_to_ids(t) for t in voice.get("ends", [voice.get("eos")]) if t]
    kind = FAMILY[name]
    shape = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, head_dim=8)
    if kind is GPT2Config:
        shape = dict(n_embd=16, n_layer=1, n_head=2, n_positions=512)
    elif kind is not GemmaConfig:
        shape["num_key_value_heads"] = 2
    else:
        shape["num_key_value_heads"] = 1
    config = kind(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=ends if len(ends) > 1 else (ends or [None])[0],
        **shape,
    )
    return AutoModelForCausalLM.from_config(config).eval()


def folder_of(path, name, **changes):
    """Model and tokenizer in a folder, as they would be downloaded."""
    tokenizer = tokenizer_of(name, **changes)
    model_of(name, tokenizer, **changes).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
