"""`palate assist`: models write help for raters, a share of raters is shown it, and what it does is measured."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from cyclopts import Parameter
from rich.table import Table

from palate.cli.live import Live
from palate.cli.project import opened
from palate.core.errors import ConfigError, DataError
from palate.core.records import Judgement, Verdict
from palate.evaluation import subjects
from palate.evaluation.assistance import Judged, Other
from palate.evaluation.assistance import report as report_
from palate.evaluation.statistics import Figure
from palate.judging.assisting import Assisted, AssistingConfig
from palate.judging.assisting import assist as assist_
from palate.preferences.voices import by_comparison
from palate.store import assistance, attachments, check_items, judgements, rows
from palate.store.assistance import Assistance
from palate.store.attachments import DEBATE
from palate.store.journal import Journal


def assist(
    model: str = "",
    *,
    kind: Literal["critique", "check", "summary"] = "critique",
    source: tuple[str, ...] = (),
    name: str = "",
    share: float | None = None,
    report: bool = False,
    temperature: float = 0.0,
    max_new_tokens: int = 160,
    at_most: int = 0,
    seed: int = 0,
    out: Annotated[Path, Parameter(name="--out")] = Path(),
    database: str = "",
) -> None:
    """Have a model write a critique, a check or a summary of each answer, for the raters who judge them.

    Half of the raters of each comparison are shown it, by chance, until `--share` says otherwise; `--report` says what
    it does. What failed is not attached: the same command asks again, and nothing that was written is asked twice.

    Parameters
    ----------
    model
        A model folder, or an address such as http://localhost:8000/v1#MODEL. A key goes into PALATE_ENDPOINT_KEY.
    kind
        What it writes of each answer.
    source
        Only comparisons of these sources.
    name
        As raters read it; the model's own when not given.
    share
        Of raters who are shown what is attached to these sources. At 0 and at 1 nothing can be measured.
    report
        What the help does: judgements with it beside judgements without.
    temperature
        0 always takes the likeliest token.
    max_new_tokens
        Longest text, in tokens; one that is cut off is not attached.
    at_most
        Comparisons; 0 sets no limit.
    seed
        Of what is said, or of the bootstrap of the report.
    out
        The project.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    if not (model or report or share is not None):
        raise ConfigError(
            "there is nothing to do",
            expected="a model that writes, --share, or --report",
            hint="`palate assist MODEL --source NAME` writes critiques of that source's answers",
        )
    if share is not None and not source:
        raise ConfigError("a share is of a source", where="--share", expected="--source NAME", found="no source")
    with opened(out, database) as journal:
        if share is not None:
            for one in source:
                assistance.set_share(journal, one, share)
                print(f"{share:.0%} of raters are shown what is attached to comparisons of {one}")
        if model:
            helper = subjects.subject(model, temperature=temperature, max_new_tokens=max_new_tokens)
            config = AssistingConfig(kind=kind, sources=source, at_most=at_most, seed=seed)
            _tell(assist_(journal, helper, name or helper.name, config, progress=Live()), kind)
        if report:
            _report(journal, source, seed)


def _tell(told: Assisted, kind: str) -> None:
    print(f"{told.comparisons} comparisons lacked a {kind}: {told.written} written, {told.failed} failed")
    for why, often in told.reasons.most_common(5):
        print(f"  {often} × {why}")
    for one in told.examples:
        print(f"\nof the {one.side} answer of {one.comparison}, by {one.helper}:\n{one.text}")
    if told.failed:
        print("The same command asks again what failed.")


class _Found(NamedTuple):
    judged: list[Judged]
    certain: int
    """Judgements that no coin decided: everybody was shown it, or nobody."""


def _report(journal: Journal, sources: tuple[str, ...], seed: int) -> None:
    found = _found(journal, sources)
    if not found.judged:
        raise DataError(
            "nobody has judged with help or without by chance",
            expected="judgements of comparisons with attachments, at a share between 0 and 1",
            found=f"{found.certain} judgements that no coin decided",
            hint="`palate assist MODEL --source NAME` writes help; raters are shown it on the page Rate",
        )
    table = Table("what", "with (n)", "without (n)", "gain", "95 %", title="Help for raters")
    for what, figure in report_(found.judged, seed=seed).items():
        gain = figure.difference
        interval = f"{gain.low:+.3f} to {gain.high:+.3f}" if gain.n else ""
        table.add_row(what, _cell(figure.helped), _cell(figure.alone), f"{gain.value:+.3f}" if gain.n else "", interval)
    Live().console.print(table)
    print("Who was helped with which comparison was tossed for; intervals are a bootstrap over comparisons.")
    print("as one unhelped: how often a rater says what another, who had no help, says of the same comparison.")
    if found.certain:
        print(f"{found.certain} judgements are left out, since no coin decided who was helped.")


def _found(journal: Journal, sources: tuple[str, ...]) -> _Found:
    """People's judgements, with what they had been dealt when they judged."""
    people = {id for id, one in rows.raters(journal).items() if one.kind != "model"}
    voices = by_comparison([one for one in judgements.judgements(journal, sources) if one.rater in people])
    dealt: dict[tuple[str, str], list[Assistance]] = defaultdict(list)
    for row in assistance.all(journal, sources):
        dealt[row.comparison, row.rater].append(row)
    written = attachments.of(journal, voices).values()
    kinds = {one.id: one.kind for some in written for one in some}
    known = {item.comparison: item.expected for item in check_items.all(journal)}
    judged, certain = [], 0
    for id, some in voices.items():
        arms = [_arm(one, dealt.get((id, one.rater), []), kinds) for one in some]
        for one, arm in zip(some, arms, strict=True):
            if arm is None:
                continue
            helped, share = arm
            if not 0 < share < 1:
                certain += 1
                continue
            others = tuple(
                Other(other.verdict, 1.0 if theirs is None else 1 / (1 - theirs[1]))
                for other, theirs in zip(some, arms, strict=True)
                if other.rater != one.rater and not (theirs and theirs[0])
            )
            judged.append(Judged(id, one.verdict, helped, share, one.seconds, _side(known.get(id)), others))
    return _Found(judged, certain)


def _arm(one: Judgement, dealt: list[Assistance], kinds: dict[str, str]) -> tuple[bool, float] | None:
    """Whether a rater was helped when they judged, and at which share; None where no coin was tossed before."""
    before = [row for row in dealt if row.at <= one.judged_at]
    if not before:
        return None
    last = before[-1]
    if last.withheld:
        return False, last.share
    # What is gone from the journal was no debate, or nothing was left to toss a coin for.
    return (True, last.share) if any(kinds.get(id) != DEBATE for id in last.shown) else None


def _side(expected: Verdict | None) -> Verdict | None:
    return expected if expected in (Verdict.FIRST, Verdict.SECOND, Verdict.TIE) else None


def _cell(figure: Figure) -> str:
    return f"{figure.value:.3f} ({figure.n})" if figure.n else "(0)"
