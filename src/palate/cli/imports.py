"""`palate import`: foreign files into the journal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from palate.cli.data import JOURNAL
from palate.cli.importing import Summary, import_file
from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError
from palate.core.pseudonyms import pseudonym
from palate.formats.scrub import Scrubber
from palate.preferences import dataset
from palate.store import settings
from palate.store.journal import Journal

_EVERY_S = 10.0
_ADVICE = "texts of people may hold e-mail addresses, numbers and keys: --scrub takes them out as they come in"


def import_(
    file: Path,
    *,
    out: Path = Path(),
    columns: Annotated[list[str] | None, Parameter(name="--map", consume_multiple=True)] = None,
    shape: str | None = None,
    scrub: bool | None = None,
) -> None:
    """Read a file of any known shape into the project.

    Rows that cannot be read are set aside in `quarantine/` with their line and the reason, and stop nothing.

    Parameters
    ----------
    file
        JSONL, JSON or CSV, also gzipped, Parquet, `hub:owner/name[split]`, or a data export of ChatGPT: Palate's own
        judgements, every dataset type of TRL, Anthropic HH, Alpaca, AlpacaEval, OpenAI, UltraFeedback, HelpSteer2,
        Chatbot Arena, OASST, NeMo-RL, PandaLM, Argilla, Label Studio, Potato, Langfuse, Open WebUI, or any columns.
    out
        Project folder; pairs, rankings and feedback go into its journal.
    columns
        Which column holds what, such as `--map first=a1 second=a2 verdict=label`.
    shape
        Which of the shapes it is, where the columns do not tell.
    scrub
        Take e-mail addresses, telephone, card, account and social security numbers, IP addresses and keys out of all
        texts. They are gone then: only a placeholder such as `<EMAIL_1>` stays, and raters get pseudonyms.
    """
    mapping = {}
    for entry in columns or []:
        key, equals, column = entry.partition("=")
        if not equals:
            raise ConfigError("--map cannot be read", expected="key=column", found=entry)
        mapping[key] = column
    scrubber = Scrubber() if _wants_scrubbing(scrub) else None
    with Journal.open(out / JOURNAL) as journal:
        # Names of people go with what they wrote: who is scrubbed gets a pseudonym of the project.
        name = str if scrubber is None else partial(pseudonym, settings.key(journal))
        summary = import_file(
            file,
            journal,
            out,
            shape=shape,
            columns=mapping or None,
            scrubber=scrubber,
            pseudonym=name,
            told=_progress(),
        )
    tell(summary, file)
    if summary.counts["pairs"] or summary.counts["facts"]:
        print(f"{summary.new_comparisons} new comparisons in {out / JOURNAL}, source {summary.source}")
    if summary.demonstrations:
        print(dataset.freeze_demonstrations(summary.demonstrations, Workspace(out)))
    if summary.approvals:
        print(dataset.freeze_approvals(summary.approvals, Workspace(out)))


def tell(summary: Summary, file: Path) -> None:
    """Say what was carried, refused, lost and scrubbed."""
    parts = [f"{count} {_NAMES.get(name, name)}" for name, count in summary.counts.items() if count]
    parts += [f"{summary.refused} refused"] if summary.refused else []
    print(f"{file.name}: {summary.rows} rows read as {summary.shape}: " + ", ".join(parts))
    for refusal in summary.first_refused:
        print(f"  refused {refusal.where}: {refusal.reason}")
    if summary.refused:
        print(f"  all refused rows: {summary.quarantine}")
    for column, count in summary.lost.items():
        print(f"  not carried: column {column!r} of {count} rows")
    if summary.scrubbed:
        print("  scrubbed: " + ", ".join(f"{count} {kind}" for kind, count in sorted(summary.scrubbed.items())))


_NAMES = {"facts": "records", "signals": "feedback"}


def _wants_scrubbing(said: bool | None) -> bool:
    """What was said; a person at a terminal is asked, and a script that says nothing is told how."""
    if said is not None:
        return said
    if sys.stdin.isatty() and sys.stdout.isatty():
        return input(f"{_ADVICE}. Do it? [y/N] ").strip().lower() in ("y", "yes")
    print(f"not scrubbed: {_ADVICE}")
    return False


def _progress() -> Callable[[Summary], None]:
    last_s = time.monotonic()

    def told(summary: Summary) -> None:
        nonlocal last_s
        if time.monotonic() - last_s > _EVERY_S:
            last_s = time.monotonic()
            print(f"{summary.rows} rows so far, {summary.refused} refused", file=sys.stderr, flush=True)

    return told
