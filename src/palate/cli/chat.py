"""`palate chat`: talk to a model folder."""

from __future__ import annotations

import sys
from pathlib import Path

from palate.core.records import Message, Prompt
from palate.models import chat as template
from palate.models import load, sampling
from palate.models.tokenizers import ends_of


def chat(model: Path, *, temperature: float = 0.5, max_new_tokens: int = 128, seed: int = 0) -> None:
    """Talk to a model. An empty line or Ctrl-D ends it; `/new` forgets what was said.

    Parameters
    ----------
    model
        Folder of a causal model.
    temperature
        0 always takes the likeliest token.
    max_new_tokens
        Longest answer.
    seed
        Of the answers.
    """
    policy, tokenizer = load.load_causal(model)
    said: list[Message] = []
    turn = 0
    while True:
        print("you> " if sys.stdin.isatty() else "", end="", flush=True)
        line = sys.stdin.readline().strip()
        if not line:
            return
        if line == "/new":
            said = []
            continue
        said.append(Message("user", line))
        ids = template.encode_prompt(tokenizer, Prompt(tuple(said)))
        (row,) = sampling.sample(
            policy,
            [ids],
            eos_id=ends_of(tokenizer).ids,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed + turn,
        )
        answer = template.decode(tokenizer, row.tokens)
        print(answer, flush=True)
        said.append(Message("assistant", answer))
        turn += 1
