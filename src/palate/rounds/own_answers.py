"""A policy's own answers to prompts: sampled, put into the journal as comparisons, judged, and ranked.

What a judge said stands in the journal before the next questions are asked, so whoever starts again asks only what was
not said. Of the answers to a prompt the one that wins most often stands against the one that wins least often.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Final, NamedTuple

from palate.core.artefacts import identify
from palate.core.ids import derive_seed
from palate.core.judges import Judge, Pair
from palate.core.progress import SILENT, Progress
from palate.core.records import Comparison, Completion, Demonstration, Prompt
from palate.evaluation.subjects import Folder
from palate.judging.collapse import Signs
from palate.judging.labelling import BOTH, label
from palate.judging.local_judge import LocalJudge
from palate.models import chat, load
from palate.models.batch import completion_logprobs
from palate.models.layout import longest_row
from palate.models.tokenizers import pad_id_of
from palate.store import opinions, rows
from palate.store.journal import Journal
from palate.store.opinions import TIE, AIJudge, Said

_ANY_LENGTH: Final = 1 << 30
_LOOKED_AT: Final = 256
"""Answers whose probability is measured, and pairs that the first round's judge is asked about too."""
DEMONSTRATED: Final = 0.95
"""With SPIN nobody judges: a demonstration is taken to be better than the model's own answer, as surely as this."""


class Asked(NamedTuple):
    """Somebody who judges."""

    judge: Judge
    who: AIJudge
    """As the journal knows them."""
    orders: tuple[bool, ...] = BOTH
    """In which sides are shown."""


class Drawn(NamedTuple):
    """A policy's answers."""

    groups: list[list[Completion]]
    """By prompt, in their order: those that came to an end, each text once."""
    unfinished: int
    duplicates: float
    """Share of answers that are the same as an earlier one to their prompt."""
    length: float
    """Mean, in characters."""


class Ranked(NamedTuple):
    """A prompt whose answers were told apart."""

    prompt: Prompt
    comparison: str
    """Id of the comparison of the two."""
    first: str
    second: str
    """Texts, in the comparison's order."""
    p_first: float
    """The judge's, mean over orders."""

    @property
    def takes_first(self) -> bool:
        """The judge takes the first."""
        return self.p_first > 0.5


def itself(policy: Path) -> Asked:
    """A policy as the judge of its own answers."""
    judge, id = LocalJudge(policy), identify(policy)
    template = judge.template
    return Asked(judge, AIJudge(name=judge.name, model=id, template=template.name, template_id=template.id))


def draw(
    policy: Path, prompts: Sequence[Prompt], each: int, *, temperature: float, max_new_tokens: int, seed: int,
    progress: Progress = SILENT,
) -> Drawn:  # fmt: skip
    """`each` answers of a policy to every prompt."""
    subject = Folder(policy, temperature=temperature, max_new_tokens=max_new_tokens)
    told = subject.answer([prompt for prompt in prompts for _ in range(each)], seed=seed, progress=progress)
    name, groups, unfinished, same, characters = identify(policy), [], 0, 0, 0
    for number, prompt in enumerate(prompts):
        group: dict[str, Completion] = {}
        for sample, answer in enumerate(told[number * each : (number + 1) * each]):
            if answer.error or not answer.finished:
                unfinished += 1
                continue
            same += answer.text in group
            characters += len(answer.text)
            one = Completion(prompt=prompt.id, text=answer.text, policy=name, temperature=temperature, sample=sample)
            group.setdefault(answer.text, one)
        groups.append(list(group.values()))
    finished = len(told) - unfinished
    return Drawn(groups, unfinished, same / max(finished, 1), characters / max(finished, 1))


def compare(
    journal: Journal, prompts: Sequence[Prompt], groups: Sequence[Sequence[Completion]], source: str, seed: int
) -> list[Comparison]:
    """Put every pair of answers to a prompt into the journal, sides drawn; doing it again adds nothing."""
    rng = random.Random(derive_seed(seed, "sides"))
    pairs = []
    for group in groups:
        for one, other in combinations(group, 2):
            first, second = (one, other) if rng.random() < 0.5 else (other, one)
            pairs.append(Comparison(prompt=one.prompt, first=first.id, second=second.id, source=source))
    rows.add_prompts(journal, prompts)
    rows.add_completions(journal, [completion for group in groups for completion in group])
    rows.add_comparisons(journal, pairs)
    return pairs


def judged(
    journal: Journal, asked: Asked, source: str, progress: Progress = SILENT
) -> tuple[dict[str, list[Said]], int]:
    """What the judge says of all comparisons of a source, by comparison; and how many questions failed."""
    ledger = label(journal, asked.judge, asked.who, sources=[source], orders=asked.orders, progress=progress)
    return opinions.opinions(journal, asked.who.rater), ledger.failed


def ranked(
    prompts: Sequence[Prompt],
    groups: Sequence[Sequence[Completion]],
    pairs: Sequence[Comparison],
    said: Mapping[str, Sequence[Said]],
) -> Iterator[Ranked]:
    """Best against worst of each prompt that has a best and a worst.

    An answer's rank is its mean probability of winning, over the comparisons of which the judge has an opinion. A
    prompt whose two extremes are a tie face to face, or were not compared, is left out.
    """
    of_prompt: dict[str, list[Comparison]] = defaultdict(list)
    for pair in pairs:
        of_prompt[pair.prompt].append(pair)
    for prompt, group in zip(prompts, groups, strict=True):
        texts = {one.id: one.text for one in group}
        p = {c: found for c in of_prompt[prompt.id] if (found := opinions.p_first(said.get(c.id, ()))) is not None}
        wins: dict[str, list[float]] = defaultdict(list)
        for pair, p_first in p.items():
            wins[pair.first].append(p_first)
            wins[pair.second].append(1 - p_first)
        if not wins:
            continue
        mean = {id: sum(some) / len(some) for id, some in wins.items()}
        extremes = {max(mean, key=lambda id: mean[id]), min(mean, key=lambda id: mean[id])}
        for pair, p_first in p.items():
            if {pair.first, pair.second} == extremes and abs(p_first - 0.5) > TIE:
                yield Ranked(prompt, pair.id, texts[pair.first], texts[pair.second], p_first)


def against(
    journal: Journal,
    demonstrations: Sequence[Demonstration],
    groups: Sequence[Sequence[Completion]],
    source: str,
    seed: int,
) -> list[Ranked]:
    """Demonstrations against the policy's own answers to the same prompts, where the two differ."""
    both = []
    for shown, group in zip(demonstrations, groups, strict=True):
        if group and group[0].text != shown.completion:
            ideal = Completion(prompt=shown.prompt.id, text=shown.completion, policy="demonstrations")
            both.append([ideal, group[0]])
    prompts = {one.prompt.id: one.prompt for one in demonstrations}
    pairs = compare(journal, list(prompts.values()), both, source, seed)
    texts = {one.id: one for group in both for one in group}
    return [
        Ranked(
            prompts[pair.prompt], pair.id, texts[pair.first].text, texts[pair.second].text,
            DEMONSTRATED if texts[pair.first].policy == "demonstrations" else 1 - DEMONSTRATED,
        )
        for pair in pairs
    ]  # fmt: skip


def signs(
    drawn: Drawn,
    prompts: Sequence[Prompt],
    policy: Path,
    first: Path,
    found: Sequence[Ranked],
    said: Mapping[str, Sequence[Said]] | None = None,
    first_judge: Asked | None = None,
) -> Signs:
    """What a round shows without a person.

    Args:
        drawn: The policy's answers.
        prompts: To which.
        policy: Who gave them.
        first: The policy of the first round.
        found: The pairs that are learned from.
        said: What the judge said; None where nobody judged.
        first_judge: The judge of the first round, where the one of this round is another.
    """
    entropy, kl_nats = _surprise(drawn, prompts, policy, first)
    return Signs(
        margin=sum(abs(one.p_first - 0.5) for one in found) / len(found) if found and said is not None else None,
        length=drawn.length,
        entropy=entropy,
        duplicates=drawn.duplicates,
        kl_nats=kl_nats,
        orders_agree=_orders(found, said) if said is not None else None,
        first_judge_doubts=_doubts(found[:_LOOKED_AT], first_judge) if first_judge is not None else None,
    )


def _surprise(drawn: Drawn, prompts: Sequence[Prompt], policy: Path, first: Path) -> tuple[float | None, float | None]:
    """Nats a token, and KL to the first policy an answer, over some of the answers."""
    some = [(prompt, one) for prompt, group in zip(prompts, drawn.groups, strict=True) for one in group][:_LOOKED_AT]
    if not some:
        return None, None
    model, tokenizer = load.load_causal(policy)
    encoded = [(chat.encode_prompt(tokenizer, p), chat.encode_completion(tokenizer, one.text)) for p, one in some]
    room = longest_row(model, _ANY_LENGTH)  # a text can be more tokens than it was when it was sampled
    fit = [(start, rest) for start, rest in encoded if len(start) + len(rest) <= room]
    if not fit:
        return None, None
    asked, told = [start for start, _ in fit], [rest for _, rest in fit]
    own = completion_logprobs(model, asked, told, pad_id=pad_id_of(tokenizer))
    entropy = -float(sum(row.double().sum() for row in own)) / sum(map(len, told))
    if identify(policy) == identify(first):
        return entropy, 0.0
    was = completion_logprobs(load.load_causal(first).model, asked, told, pad_id=pad_id_of(tokenizer))
    gaps = [float(a.double().sum() - b.double().sum()) for a, b in zip(own, was, strict=True)]
    return entropy, sum(gaps) / len(gaps)


def _orders(found: Sequence[Ranked], said: Mapping[str, Sequence[Said]]) -> float | None:
    """Share of the pairs of which the judge takes the same side in both orders; None where it sees no order."""
    both = [[one.p_first for one in said.get(row.comparison, ()) if one.p_first is not None] for row in found]
    told = [(a > 0.5) == (b > 0.5) for a, b in (some for some in both if len(some) == 2)]
    return sum(told) / len(told) if told else None


def _doubts(found: Sequence[Ranked], first: Asked) -> float | None:
    """How much less the first round's judge gives the sides that were taken."""
    pairs = [Pair(row.prompt, row.first, row.second) for row in found]
    shown = [(pair.swapped if swapped else pair, swapped) for swapped in first.orders for pair in pairs]
    told = first.judge.judge([pair for pair, _ in shown])
    sums: dict[int, list[float]] = defaultdict(list)
    for place, (one, (_, swapped)) in enumerate(zip(told, shown, strict=True)):
        if one.p_first is not None:
            sums[place % len(pairs)].append(1 - one.p_first if swapped else one.p_first)
    gaps = []
    for place, some in sums.items():
        gap = found[place].p_first - sum(some) / len(some)
        gaps.append(gap if found[place].takes_first else -gap)
    return sum(gaps) / len(gaps) if gaps else None
