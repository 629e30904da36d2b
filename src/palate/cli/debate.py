"""`palate debate`: copies of a model argue for two answers before a judge who does not see what it is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from palate.cli.data import JOURNAL
from palate.cli.judges import Chosen, chosen
from palate.cli.live import Live
from palate.core.artefacts import Workspace, identify
from palate.core.errors import ConfigError, DataError
from palate.core.ids import content_id
from palate.evaluation import subjects
from palate.evaluation.statistics import share
from palate.judging import debate_people, debate_verdicts, disputes
from palate.judging.debate import Argued, Arguments, DebateConfig, argue
from palate.judging.debate_verdicts import AfterDebate, Decided
from palate.store.journal import Journal

_WORST = 5
"""Reasons of failures that are shown."""


def debate(
    model: str,
    *,
    questions: Path,
    judge: str = "",
    judge_model: str = "",
    to_people: str = "",
    raters: int = 2,
    protocol: str = "debate",
    turns: int = 4,
    quote_words: int = 60,
    temperature: float = 0.7,
    max_new_tokens: int = 300,
    seed: int = 0,
    out: Path = Path(),
    database: str = "",
) -> None:
    """Have two copies of a model argue for two answers, and a judge who sees only that decide which is right.

    Every quote is looked up in the passage, word for word, and the judge is told what was found. Everything stands in
    `runs/debates-…`, and the same command goes on where it was cut off, and tries again what failed.

    Parameters
    ----------
    model
        Who argues: a model folder, or an address such as http://localhost:8000/v1#MODEL.
    questions
        JSON lines with question, passage, first and second (the answers), and right (first or second) where known.
    judge
        Who decides: the folder of a causal model, or an address. A reward model cannot listen.
    judge_model
        What the judge's server calls the model; the first it lists when not given.
    to_people
        Put the questions into the raters' queue under this source, each with its debate beside it.
    raters
        So many people judge each.
    protocol
        `debate`; or as controls `consultancy` (one copy argues alone, for the answer that a coin gives it) and `naive`
        (nobody argues).
    turns
        Of all who argue together.
    quote_words
        Words of verified quotes in a turn, at most.
    temperature
        Of what is argued.
    max_new_tokens
        Longest turn.
    seed
        Of what is said, of who begins, and of a consultant's side.
    out
        Project folder.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    if not judge and not to_people:
        raise ConfigError("nobody would decide", expected="--judge JUDGE, or --to-people SOURCE, or both")
    config = DebateConfig(protocol=protocol, turns=turns, quote_words=quote_words, seed=seed)
    asked, asks = disputes.read(questions), debate_verdicts.template()
    decides = _who(judge, judge_model, asks) if judge else None
    subject = subjects.subject(model, temperature=temperature, max_new_tokens=max_new_tokens)
    whose = identify(Path(model)) if Path(model).is_dir() else model
    how = [whose, asdict(config), temperature, max_new_tokens, decides.who.model if decides else ""]
    run = Workspace(out).run_folder(f"debates-{content_id('debates', how)}")
    said = argue(subject, asked, config, run / "transcripts.jsonl", progress=Live())
    _quoted(said)
    if not said.rows:
        _failed(said.failed)
        raise DataError("nothing was argued", where=str(run), expected="a debate or more", found="failures alone")
    failed = said.failed
    if decides is not None:
        name, keep = decides.who.model, run / "debates.jsonl"
        found = debate_verdicts.decide(decides.judge, asks, name, said.rows, keep, progress=Live())
        failed |= found.failed
        if not found.rows:
            _failed(failed)
            raise DataError("nothing was decided", where=str(run), expected="a verdict or more", found="failures alone")
        print(f"{len(found.rows)} decided, {len(failed)} failed; every word is in {keep}")
        _accuracy(found.rows)
    if to_people:
        print(f"{_queue(said.rows, out, database, subject.name, to_people, raters)} new in the raters' queue")
    _failed(failed)


def _who(judge: str, model: str, asks: AfterDebate) -> Chosen:
    found = chosen(judge, model, asks)
    if not found.who.template_id:
        raise ConfigError(
            "a reward model cannot listen to a debate", where="--judge", found=judge,
            expected="the folder of a causal model, or an address such as http://localhost:8000/v1",
        )  # fmt: skip
    return found


def _queue(debates: list[Argued], out: Path, database: str, helper: str, source: str, wanted: int) -> int:
    with Journal.open(database or out / JOURNAL) as journal:
        return debate_people.put_into_queue(journal, debates, helper=helper, source=source, wanted=wanted)


def _quoted(said: Arguments) -> None:
    """How many quotes were what they said."""
    quotes = [piece for row in said.rows for turn in row.turns for piece in turn.pieces if piece.quoted]
    true = sum(piece.verified for piece in quotes)
    print(f"{len(said.rows)} argued; of {len(quotes)} quotes {true} are in the passage, word for word")


def _accuracy(rows: list[Decided]) -> None:
    """How often the judge is right, where that is known, and how often it had no opinion."""
    silent = sum(row.p_first is None for row in rows)
    if silent:
        print(f"  no opinion on {silent}: {Counter(r.why for r in rows if r.p_first is None).most_common(1)[0][0]}")
    hits = [row.hit for row in rows if row.hit is not None]
    if hits:
        told = share(hits)
        print(f"right in {told.value:.3f} ({told.low:.3f} to {told.high:.3f}, n = {told.n})")


def _failed(failed: Mapping[str, str]) -> None:
    for why, often in Counter(failed.values()).most_common(_WORST):
        print(f"  failed: {often} × {why}")
