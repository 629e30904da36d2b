"""What both sides are given: small models in folders, and conversations in words."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from palate.core.ids import derive_seed
from palate.core.records import Demonstration, Message, Preference, Prompt
from palate.models import chat, load, tiny

WORDS = (
    "help", "plan", "career", "change", "protect", "password", "sorry", "can", "not", "start", "figma", "practice",
    "user", "research", "do", "write",
)  # fmt: skip
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""Says what the same tokens are in both programs; TRL's `assistant_only_loss` asks for the word `generation`."""
FAMILIES = ("llama", "gpt2")


class Folders(NamedTuple):
    """Models that are not one: at policy = reference half of all formulas are log 2 or 0."""

    reference: Path
    policy: Path
    """The reference, each weight moved a little."""
    later: Path
    """The policy, moved a little further."""


def make_folders(folder: Path, family: str, seed: int) -> Folders:
    """Three models of one family with one tokenizer."""
    tokenizer = tiny.train_tokenizer([" ".join(WORDS)], vocab_size=320, kind="words", lowercase=True)
    tokenizer.chat_template = TEMPLATE
    model = tiny.make_model(tokenizer, family=family, width=32, layers=2, heads=2, context=128, seed=seed)
    folders = Folders(*(folder / name for name in Folders._fields))
    spreads = {"reference": 0.05, "policy": 0.02, "later": 0.002}
    for name, path in zip(Folders._fields, folders, strict=True):
        model = copy.deepcopy(model)
        move(model, spreads[name], derive_seed(seed, name))
        if name == "reference":
            _make_the_end_likely(model, tokenizer, seed)
        path.mkdir(parents=True)
        load.save(path, model, tokenizer)
    return folders


def move(model: nn.Module, spread: float, seed: int) -> None:
    """Every weight by a normal number, biases too, which begin at 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += spread * torch.randn(parameter.shape, generator=generator)


def _make_the_end_likely(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seed: int) -> None:
    """One token in eight, so that sampled completions differ in length; but no answer to `prompts` is empty."""
    head, end = model.get_output_embeddings().weight, tokenizer.eos_token_id
    with torch.no_grad():
        opened = [torch.tensor([chat.encode_prompt(tokenizer, prompt)]) for prompt in prompts(seed)]
        first_BD = torch.stack([model.base_model(row).last_hidden_state[0, -1] for row in opened])
        words = torch.arange(model.config.vocab_size)[:, None].expand(-1, 2)
        states_SD = model.base_model(words).last_hidden_state.flatten(0, 1)
        mean_D = states_SD.mean(dim=0)
        for row_D in (mean_D, head[end]):
            row_D -= row_D @ torch.linalg.pinv(first_BD) @ first_BD
        for _ in range(100):
            if float((states_SD @ head.T).softmax(dim=-1)[:, end].mean()) > 1 / 8:
                break
            head[end] += 0.1 * mean_D / mean_D.square().sum()


def demonstrations(seed: int, count: int = 6) -> list[Demonstration]:
    """Each with two questions and two answers."""
    rng = random.Random(derive_seed(seed, "demonstrations"))
    found = []
    for _ in range(count):
        before = [Message(role, _say(rng)) for role in ("user", "assistant", "user")]
        found.append(Demonstration(prompt=Prompt(tuple(before)), completion=_say(rng)))
    return found


def preferences(seed: int, count: int = 6) -> list[Preference]:
    """Certain ones, of weight 1: all that TRL knows."""
    rng = random.Random(derive_seed(seed, "preferences"))
    return [
        Preference(
            comparison=str(i), prompt=Prompt.of(f"{_say(rng)} {i}"), chosen=_say(rng), rejected=_say(rng), p_chosen=1.0
        )
        for i in range(count)
    ]


def prompts(seed: int, count: int = 3) -> list[Prompt]:
    """Of different lengths."""
    rng = random.Random(derive_seed(seed, "prompts"))
    return [Prompt.of(" ".join(rng.choices(WORDS, k=2 + 3 * i))) for i in range(count)]


def spoken(text: str) -> list[dict[str, str]]:
    """An answer the way that TRL's conversational columns want it."""
    return [{"role": "assistant", "content": text}]


def _say(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(1, 9)))
