"""`palate import`: foreign files into the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from palate.cli.data import import_pairs, load_file
from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError
from palate.preferences import dataset


def import_(
    file: Path,
    *,
    out: Path = Path(),
    columns: Annotated[list[str] | None, Parameter(name="--map", consume_multiple=True)] = None,
) -> None:
    """Read a file of any known shape into the project.

    Parameters
    ----------
    file
        JSONL, JSON or CSV, also gzipped, Parquet, or `hub:owner/name[split]`: every dataset type of TRL,
        Anthropic HH, Alpaca, OpenAI, UltraFeedback, HelpSteer2, Chatbot Arena, OASST, NeMo-RL, or any columns.
    out
        Project folder; pairs go into its journal.
    columns
        Which column holds what, such as `--map first=a1 second=a2 verdict=label`.
    """
    mapping = {}
    for entry in columns or []:
        key, equals, column = entry.partition("=")
        if not equals:
            raise ConfigError("--map cannot be read", expected="key=column", found=entry)
        mapping[key] = column
    imported = load_file(file, mapping or None)
    if imported.pairs:
        source, new = import_pairs(imported, file, out)
        print(f"{new} new comparisons in {out / 'palate.db'}, source {source}")
    if imported.demonstrations:
        print(dataset.freeze_demonstrations(imported.demonstrations, Workspace(out)))
    if imported.approvals:
        print(dataset.freeze_approvals(imported.approvals, Workspace(out)))
