"""`palate guideline`: versions of the text that raters judge by."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from palate.cli.data import JOURNAL
from palate.core.errors import ConfigError
from palate.core.guidelines import Guideline, changed, clauses
from palate.store import audit, guidelines
from palate.store.journal import Journal

app = App(name="guideline", help="Versions of the text that raters judge by.")
Project = Annotated[Path, Parameter(name="--out")]
_SOURCE = "command line"


@app.command
def add(file: Path, *, out: Project = Path(), use_: Annotated[bool, Parameter(name="--use")] = False) -> None:
    """Store a text as a new version; each `## heading` in it begins a clause.

    Parameters
    ----------
    file
        Markdown, in UTF-8.
    out
        The project.
    use_
        Put it in force as well.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the guideline cannot be read", where=str(file), found=str(error)) from error
    with Journal.open(out / JOURNAL) as journal:
        current = guidelines.current(journal)
        made = guidelines.add(journal, text, parent=current.id if current else "", author=_SOURCE)
        print(f"version {made.number}, {made.id}, {len(clauses(text))} clauses")
        if use_:
            _use(journal, made)


@app.command(name="list")
def list_(*, out: Project = Path()) -> None:
    """All versions, the oldest first."""
    with Journal.open(out / JOURNAL) as journal:
        current = guidelines.current(journal)
        for one in guidelines.all(journal):
            mark = "  in force" if current and one.id == current.id else ""
            print(f"{one.number:>4}  {one.id}  {one.created_at[:16]}{mark}")


@app.command
def show(version: str = "", *, out: Project = Path()) -> None:
    """The text of a version; of the one in force, when none is named."""
    with Journal.open(out / JOURNAL) as journal:
        sys.stdout.write(_version(journal, version).text)


@app.command
def diff(old: str, new: str = "", *, out: Project = Path()) -> None:
    """What changed between two versions, by number or id, and in which clauses."""
    from palate.workbench.rules import line_diff

    with Journal.open(out / JOURNAL) as journal:
        before, after = _version(journal, old), _version(journal, new)
    for sign, line in line_diff(before.text, after.text):
        print(f"{sign} {line}".rstrip())
    print(f"\nclauses that changed: {', '.join(changed(before.text, after.text)) or 'none'}")


@app.command
def use(version: str, *, out: Project = Path()) -> None:
    """Put a version in force; judgements from now on carry it."""
    with Journal.open(out / JOURNAL) as journal:
        _use(journal, _version(journal, version))


def _use(journal: Journal, guideline: Guideline) -> None:
    guidelines.put_in_force(journal, guideline.id, actor=_SOURCE)
    audit.write(journal, _SOURCE, "guideline in force", guideline.id, number=guideline.number)
    print(f"version {guideline.number} is in force")


def _version(journal: Journal, named: str) -> Guideline:
    every = guidelines.all(journal)
    current = guidelines.current(journal)
    if not named and current:
        return current
    found = [one for one in every if named and (str(one.number) == named or one.id.startswith(named))]
    if len(found) != 1:
        known = ", ".join(str(one.number) for one in every) or "none yet"
        raise ConfigError(
            "there is no one such version of the guideline",
            expected=f"a number or an id: {known}",
            found=named or "none in force",
            hint="palate guideline list shows them",
        )
    return found[0]
