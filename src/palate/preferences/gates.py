"""Gates before a dataset is frozen: what should not be learned from, named row by row.

A gate warns, or drops the rows that it names. It says what it found either way, and a row that is dropped stays in
the lossless file of judgements beside the dataset.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

from palate.core.errors import ConfigError
from palate.core.records import Judgement, Preference

MODES: Final = ("off", "warn", "drop")
RUN: Final = 13
"""Words in a row that two prompts share only if one was copied from the other (Brown et al. 2020, appendix C)."""
IDENTITY: Final = (
    r"as an? (?:ai|artificial intelligence)(?: language)? (?:model|assistant)",
    r"i(?: am|'m) (?:chatgpt|gpt-?\d\w*|claude|gemini|bard|llama|mistral|qwen|deepseek|grok|copilot|vicuna|alpaca)",
    r"(?:developed|created|trained|made|built) by "
    r"(?:openai|anthropic|google|meta|microsoft|mistral|alibaba|deepseek|xai)",
    r"my (?:knowledge|training) (?:cut-?off|data (?:ends|goes))",
)
"""Words by which an answer tells which model wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """For each gate `off`, `warn` or `drop`."""

    duplicates: str = "off"
    """The same two answers to the same prompt again."""
    identity: str = "off"
    """An answer that tells which model it is: a rater can see whose side is whose."""
    unfinished: str = "off"
    """An answer that was cut off, or is empty."""
    contradictions: str = "off"
    """Opposite verdicts on the same two answers, or A over B over C over A."""
    one_rater: str = "off"
    """One rater has more than `one_rater_share` of all judgements."""
    evaluation: str = "off"
    """The prompt is one of those that models are evaluated on, or shares 13 words in a row with one."""
    one_rater_share: float = 0.3

    def __post_init__(self) -> None:
        for gate in (f.name for f in fields(self) if f.type == "str"):
            mode = getattr(self, gate)
            if mode not in MODES:
                raise ConfigError(f"the gate {gate} has no such mode", expected=", ".join(MODES), found=mode)
        if not 0 < self.one_rater_share <= 1:
            raise ConfigError(
                "one_rater_share is out of range", expected="above 0, to 1", found=str(self.one_rater_share)
            )

    @classmethod
    def all(cls, mode: str, one_rater_share: float = 0.3) -> GateConfig:
        """Every gate in one mode."""
        return cls(**dict.fromkeys(GATES, mode), one_rater_share=one_rater_share)

    @property
    def any(self) -> bool:
        """Whether a gate is on."""
        return any(getattr(self, gate) != "off" for gate in GATES)


OPEN: Final = GateConfig()
"""All gates are off."""
GATES: Final = tuple(f.name for f in fields(GateConfig) if f.type == "str")


class Material(NamedTuple):
    """What gates look at."""

    preferences: Sequence[Preference]
    unfinished: Collection[str]
    """Comparisons with an answer that was cut off."""
    judgements: Sequence[Judgement]
    """Those that count."""
    evaluation: Collection[str]
    """Texts of prompts that models are evaluated on."""
    one_rater_share: float


class Finding(NamedTuple):
    """What one gate found."""

    gate: str
    rows: tuple[str, ...]
    """Comparisons, in the order of the dataset."""
    detail: str
    """In words, with an example."""
    dropped: bool


def pass_gates(config: GateConfig, material: Material) -> tuple[set[str], list[Finding]]:
    """Let rows through gate after gate; what one drops the next does not see.

    Returns:
        `(comparisons that stay, findings)`; a gate that is off, or that found nothing, has no finding.
    """
    findings = []
    left = material
    for gate, look in _LOOKS.items():
        mode = getattr(config, gate)
        if mode == "off":
            continue
        found = look(left)
        rows = tuple(p.comparison for p in left.preferences if p.comparison in found)
        if not rows:
            continue
        findings.append(Finding(gate, rows, _DETAILS[gate](left, rows, found), mode == "drop"))
        if mode == "drop":
            gone = set(rows)
            left = left._replace(
                preferences=[p for p in left.preferences if p.comparison not in gone],
                judgements=[j for j in left.judgements if j.comparison not in gone],
            )
    return {p.comparison for p in left.preferences}, findings


def sentence(finding: Finding) -> str:
    """What a page says."""
    done = "dropped" if finding.dropped else "kept, look at them"
    return f"{finding.gate}: {len(finding.rows):,} rows {done}. {finding.detail}"


def duplicates(material: Material) -> dict[str, str]:
    """Later rows with the prompt and the two answers of an earlier one, and which; space and case do not tell apart."""
    seen: dict[tuple[str, ...], str] = {}
    found = {}
    for p in material.preferences:
        first = seen.setdefault(_shown(p), p.comparison)
        if first != p.comparison:
            found[p.comparison] = first
    return found


def identity(material: Material) -> dict[str, str]:
    """Rows with an answer that names its model, and the words."""
    pattern = re.compile("|".join(IDENTITY), re.IGNORECASE)
    found = {}
    for p in material.preferences:
        for text in (p.chosen, p.rejected):
            if match := pattern.search(text):
                found[p.comparison] = match.group()
                break
    return found


def unfinished(material: Material) -> dict[str, str]:
    """Rows with an answer that was cut off or is empty."""
    found = {}
    for p in material.preferences:
        if not p.chosen.strip() or not p.rejected.strip():
            found[p.comparison] = "an empty answer"
        elif p.comparison in material.unfinished:
            found[p.comparison] = "an answer that was cut off"
    return found


def contradictions(material: Material) -> dict[str, str]:
    """Rows of which no ranking of the answers can be true: all that lie on a circle of "better than"."""
    edges: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for p in material.preferences:
        if p.p_chosen > 0.5:
            edges[p.prompt.id].append((_plain(p.chosen), _plain(p.rejected), p.comparison))
    found = {}
    for of_prompt in edges.values():
        circle = _circles([(better, worse) for better, worse, _ in of_prompt])
        for better, worse, comparison in of_prompt:
            if better != worse and circle.get(better) is not None and circle.get(better) == circle.get(worse):
                found[comparison] = "a circle of verdicts"
    return found


def one_rater(material: Material) -> dict[str, str]:
    """Rows that rest on one rater alone, when this rater has more than the allowed share; as many as are too many."""
    judged = Counter(j.rater for j in material.judgements)
    total = sum(judged.values())
    by_comparison: dict[str, set[str]] = defaultdict(set)
    for j in material.judgements:
        by_comparison[j.comparison].add(j.rater)
    found = {}
    for rater, count in judged.items():
        limit = material.one_rater_share
        if count <= limit * total or limit >= 1:
            continue
        # Dropping d rows of this rater alone leaves (count - d) / (total - d).
        too_many = -int(-(count - limit * total) // (1 - limit))
        alone = [p.comparison for p in material.preferences if by_comparison[p.comparison] == {rater}]
        found.update(dict.fromkeys(alone[:too_many], f"{rater} with {count / total:.0%} of all judgements"))
    return found


def evaluation(material: Material) -> dict[str, str]:
    """Rows whose prompt models are evaluated on."""
    texts = {_plain(text) for text in material.evaluation}
    runs = {run for text in texts for run in _runs(text)}
    found = {}
    for p in material.preferences:
        text = _plain(p.prompt.text)
        if text in texts:
            found[p.comparison] = "the same prompt"
        elif any(run in runs for run in _runs(text)):
            found[p.comparison] = f"{RUN} words in a row"
    return found


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _shown(p: Preference) -> tuple[str, ...]:
    return (*(_plain(m.content) for m in p.prompt.messages), *sorted((_plain(p.chosen), _plain(p.rejected))))


def _runs(text: str) -> Iterable[str]:
    words = text.split(" ")
    return (" ".join(words[k : k + RUN]) for k in range(len(words) - RUN + 1))


def _circles(edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """For each node that lies on a circle, the number of its circle: strongly connected parts (Tarjan 1972)."""
    after: dict[str, list[str]] = defaultdict(list)
    for better, worse in edges:
        after[better].append(worse)
    reach = {node: _reached(after, node) for node in list(after)}
    number: dict[str, int] = {}
    for node, beyond in reach.items():
        if node in beyond and node not in number:
            mark = len(number)
            number.update({other: mark for other in beyond if node in reach.get(other, ())})
    return number


def _reached(after: Mapping[str, Sequence[str]], start: str) -> set[str]:
    seen: set[str] = set()
    front = list(after[start])
    while front:
        node = front.pop()
        if node not in seen:
            seen.add(node)
            front += after.get(node, ())
    return seen


def _example(material: Material, rows: Sequence[str], found: Mapping[str, str]) -> str:
    return f"Such as {rows[0]}: {found[rows[0]]}."


def _of_raters(material: Material, rows: Sequence[str], found: Mapping[str, str]) -> str:
    return f"They rest on {', '.join(sorted(set(found.values())))} alone."


_LOOKS: Final[dict[str, Callable[[Material], dict[str, str]]]] = {
    "unfinished": unfinished,
    "identity": identity,
    "evaluation": evaluation,
    "contradictions": contradictions,
    "duplicates": duplicates,
    "one_rater": one_rater,
}
"""In the order in which they look: a duplicate that contradicts must be seen before it is dropped."""
_DETAILS: Final[dict[str, Callable[[Material, Sequence[str], Mapping[str, str]], str]]] = {
    **dict.fromkeys(_LOOKS, _example),
    "one_rater": _of_raters,
}
