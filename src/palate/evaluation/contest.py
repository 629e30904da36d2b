"""A win rate from beginning to end: sides answer, pairs are made, what was judged becomes rates and an artefact."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from palate.core.artefacts import Manifest, Workspace, identify
from palate.core.errors import ConfigError
from palate.core.ids import content_id
from palate.core.judges import Judge
from palate.core.progress import SILENT, Progress
from palate.core.records import EVALUATION, Prompt
from palate.core.subjects import Subject
from palate.evaluation import people
from palate.evaluation.answers import References, answers
from palate.evaluation.league import Standing, league
from palate.evaluation.people import Writer
from palate.evaluation.subjects import Folder, Served
from palate.evaluation.win_rates import Judged, Match, WinRate, judge_matches, matches, win_rate
from palate.preferences.dataset import write_lines
from palate.store.journal import Journal

Two = tuple[str, str]
"""Names of ours and theirs."""
ROWS = "rows.jsonl"
"""A line a pair: the prompt, both answers, and what was said of them."""
RATES = "winrate.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestConfig:
    """How sides answer."""

    samples: int = 1
    """Answers a prompt, of each side."""
    temperature: float = 0.5
    max_new_tokens: int = 256
    seed: int = 0
    """Of answers and of sides."""

    def __post_init__(self) -> None:
        if self.samples < 1 or self.max_new_tokens < 1 or self.temperature < 0:
            raise ConfigError(
                "sides cannot answer like this",
                expected="--samples and --max-new-tokens of 1 or more, and --temperature of 0 or more",
                found=f"{self.samples}, {self.max_new_tokens} and {self.temperature:g}",
            )


class Side(NamedTuple):
    """Somebody who is compared."""

    name: str
    """Unlike the others'."""
    subject: Subject
    id: str
    """Of an artefact, of a folder's or a file's bytes, or of an address and a model's name."""


class Contest(NamedTuple):
    """What came of it."""

    judged: Mapping[Two, list[Judged]]
    rates: list[WinRate]
    table: list[Standing]
    """Of three sides or more."""
    open: int | None = None
    """Comparisons that people have still to judge; None where no people were asked."""


def side(name: str, subject: Subject, data_id: str) -> Side:
    """Somebody with the id by which lineage knows them.

    Args:
        name: As reports call them.
        subject: Who answers.
        data_id: Of the prompt file, whose answers `References` are.
    """
    if isinstance(subject, Folder):
        return Side(name, subject, identify(subject.path))
    if isinstance(subject, Served):
        return Side(name, subject, f"endpoint-{content_id('endpoint', [subject.endpoint.url, subject.endpoint.model])}")
    return Side(name, subject, data_id)


def check(sides: Sequence[Side]) -> None:
    """Refuse a contest with nobody, or with somebody who meets themselves.

    Raises:
        ConfigError: there are fewer than two, or two are one.
    """
    if len(sides) < 2:
        raise ConfigError("a win rate needs two sides", expected="two or more", found=str(len(sides)))
    for one, other in combinations(sides, 2):
        if one.id == other.id:
            raise ConfigError("two sides are one and the same", found=f"{one.name} and {other.name}, both {one.id}")


def meet(
    sides: Sequence[Side],
    prompts: Sequence[Prompt],
    config: ContestConfig,
    workspace: Workspace,
    progress: Progress = SILENT,
) -> dict[Two, list[Match]]:
    """All sides answer all prompts, and each two of them meet.

    Answers are kept in `runs/answers-…/`, so that a command that was cut off, or that people have yet to judge, asks
    nobody twice; another seed asks anew.
    """
    said = {}
    for one in sides:
        # References need no keeping: they are read from the prompts' file.
        key = content_id("answers", [one.id, [p.id for p in prompts], asdict(config)])
        keep = None if isinstance(one.subject, References) else workspace.run_folder(f"answers-{key}") / "answers.jsonl"
        told: dict[str, Any] = {"samples": config.samples, "seed": config.seed, "keep": keep, "progress": progress}
        said[one.name] = answers(one.subject, prompts, **told)
    return {
        (one.name, other.name): matches(prompts, said[one.name], said[other.name])
        for one, other in combinations(sides, 2)
    }


def by_judge(
    met: Mapping[Two, Sequence[Match]], judge: Judge, judge_id: str, workspace: Workspace, progress: Progress = SILENT
) -> Contest:
    """What a judge makes of all pairs, each seen in both orders.

    Opinions are kept in `runs/opinions-…/`; who abstained or failed is asked again by the next command.
    """
    keep = workspace.run_folder(f"opinions-{content_id('judge', judge_id)}") / "opinions.jsonl"
    judged = {two: judge_matches(judge, some, keep=keep, progress=progress) for two, some in met.items()}
    return _contest(judged, twice=True)


def by_people(
    met: Mapping[Two, Sequence[Match]],
    sides: Sequence[Side],
    config: ContestConfig,
    journal: Journal,
    *,
    wanted: int = 2,
    priority: float = 0.0,
) -> tuple[Contest, int]:
    """What people have said so far, and how many comparisons are new in their queue.

    Doing it again asks nothing twice.
    """
    writers = {one.name: _writer(one, config) for one in sides}
    by_name = {one.name: one for one in sides}
    shown = {}
    for (ours, theirs), some in met.items():
        from_ = source([by_name[ours], by_name[theirs]], config, some)
        shown[ours, theirs] = people.lay_out(some, writers[ours], writers[theirs], source=from_, seed=config.seed)
    new = sum(people.put_into_queue(journal, some, wanted=wanted, priority=priority) for some in shown.values())
    heard = {two: people.hear(journal, some) for two, some in shown.items()}
    found = _contest({two: one.judged for two, one in heard.items()}, twice=False)
    return found._replace(open=sum(one.open for one in heard.values())), new


def source(two: Sequence[Side], config: ContestConfig, some: Sequence[Match]) -> str:
    """Of the comparisons that people are shown of two sides' matches, as the journal has it."""
    writers = [_writer(one, config).id for one in two]
    asked = [*writers, asdict(config), [match.prompt.id for match in some]]
    return f"{EVALUATION}{content_id('winrate', asked)}"


def keep(
    contest: Contest,
    sides: Sequence[Side],
    config: ContestConfig,
    workspace: Workspace,
    *,
    judge: Mapping[str, Any],
    inputs: Mapping[str, str],
) -> Path:
    """The artefact: rates, and a line a pair. What was judged is part of its id: the same again is the same folder.

    Args:
        contest: What came of it.
        sides: Who met.
        config: How they answered.
        workspace: Where it goes.
        judge: Who judged, as settings.
        inputs: Ids of prompts, and of a judge that is an artefact.
    """
    rows = [_row(two, one) for two, some in contest.judged.items() for one in some]
    manifest = Manifest(
        kind="winrate",
        made_by="eval winrate",
        config={**asdict(config), "sides": [one.name for one in sides], "judge": dict(judge)},
        inputs={
            **{f"side {number}": one.id for number, one in enumerate(sides, start=1)},
            **inputs,
            "judged": f"records-{content_id('judged', rows)}",
        },
        facts={f"{rate.ours} over {rate.theirs}": _plain(rate.rate) for rate in contest.rates},
    )

    def write(folder: Path) -> None:
        write_lines(folder / ROWS, rows)
        told = {"rates": contest.rates, "table": contest.table, "open": contest.open}
        (folder / RATES).write_text(json.dumps(_plain(told), indent=1) + "\n", encoding="utf-8")

    return workspace.put(manifest, write)


def _contest(judged: Mapping[Two, list[Judged]], *, twice: bool) -> Contest:
    rates = [win_rate(some, ours=ours, theirs=theirs, twice=twice) for (ours, theirs), some in judged.items()]
    enough = len(rates) > 1 and any(rate.rate.n for rate in rates)
    return Contest(judged, rates, league(judged) if enough else [])


def _writer(one: Side, config: ContestConfig) -> Writer:
    """As completions name who wrote them."""
    if isinstance(one.subject, References):
        return Writer(f"import:{one.id.removeprefix('file-')}", None)
    return Writer(one.id, config.temperature)


def _row(two: Two, one: Judged) -> dict[str, Any]:
    both = (one.match.ours, one.match.theirs)
    return {
        "prompt": one.match.prompt.as_dicts(),
        "kind": one.match.prompt.kind,
        "sample": one.match.sample,
        "sides": list(two),
        "answers": [said.text for said in both],
        "finished": [said.finished for said in both],
        "errors": [said.error for said in both],
        "win": one.win,
        "why": one.why,
        "shown": [{"first": two[0 if s.ours_first else 1], "p_first": s.p_first} for s in one.showings],
    }


def _plain(value: Any) -> Any:
    """As JSON has it: figures and named tuples as objects, and what is not known as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    elif is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
