"""`palate release`: which policies may be served, which of them has which name, and back again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from palate.cli.data import JOURNAL
from palate.cli.project import opened
from palate.core.artefacts import Workspace
from palate.rounds import model_card, releasing
from palate.store import releases
from palate.store.journal import Journal

app = App(name="release", help="Releases: register a policy, give it a name such as stable, go back, read its card.")
Project = Annotated[Path, Parameter(name="--out")]
_SOURCE = "command line"


@app.command
def add(
    policy: Path,
    *,
    guardrails: Path | None = None,
    gate: str = "",
    why: str = "",
    out: Project = Path(),
    database: str = "",
) -> None:
    """Register a policy, and write its model card. Nothing serves it before it has a name.

    A model folder from elsewhere is copied into the project, so that a release never changes.

    Parameters
    ----------
    policy
        A policy artefact or its id, or a model folder.
    guardrails
        A file of guardrails, or the folder of a version: what it is to be served under.
    gate
        Id of the artefact that says what it passed.
    why
        Reason for releasing it without a gate; it stands in the audit log.
    out
        The project.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) if database else Journal.open(out / JOURNAL) as journal:
        known = {one.id for one in releases.every(journal)}
        workspace = Workspace(out)
        place = workspace.path(policy.name) if not policy.exists() and workspace.has(str(policy)) else policy
        made = releasing.add(journal, workspace, place, guardrails=guardrails, gate=gate, why=why, actor=_SOURCE)
        print(f"release {made.id}: {made.policy}" + (f" under {made.guardrails}" if made.guardrails else ""))
        if made.id in known:
            print("It was registered before, and stays as it was.")
        print(f"`palate release name stable {made.id}` has it served; `palate release card {made.id}` prints its card.")


@app.command
def name(alias: str, release: str, *, why: str = "", out: Project = Path(), database: str = "") -> None:
    """Give a name to a release. A server that serves the name swaps within seconds, and cuts no answer off.

    Parameters
    ----------
    alias
        stable and canary are served; candidate is one that waits. Any other word will do too.
    release
        Its id, another name that it has, or its policy.
    why
        Reason; it stands in the audit log.
    out
        The project.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) as journal:
        before = releases.aliases(journal).get(alias, "")
        found = releasing.name(journal, alias, release, why=why, actor=_SOURCE)
        print(f"{alias} is {found.id} now, {found.policy}" + (f"; it was {before}" if before else ""))
        _warn(journal, out, found)


@app.command
def unname(alias: str, *, why: str = "", out: Project = Path(), database: str = "") -> None:
    """Take a name away, so that nothing answers to it any more.

    Parameters
    ----------
    alias
        The name.
    why
        Reason; it stands in the audit log.
    out
        The project.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) as journal:
        had = releasing.take_away(journal, alias, why=why, actor=_SOURCE)
        print(f"{alias} names nothing now; it was {had}")


@app.command
def rollback(alias: str = releases.STABLE, *, why: str = "", out: Project = Path(), database: str = "") -> None:
    """Give a name back to the release that had it before. Twice in a row goes two releases back.

    Parameters
    ----------
    alias
        The name.
    why
        Reason; it stands in the audit log.
    out
        The project.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) as journal:
        done = releasing.back(journal, Workspace(out), alias, why=why, actor=_SOURCE)
        print(f"{alias} is {done.now.id} again, {done.now.policy}; it was {done.before or 'taken away'}")
        print(f"{done.further} more could be gone back." if done.further else "There is nothing before it.")
        _warn(journal, out, done.now)


@app.command(name="list")
def list_(*, out: Project = Path(), database: str = "") -> None:
    """All releases, the first one first: their names and since when, round, gate, and whether an erasure taints them.

    Parameters
    ----------
    out
        The project.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) as journal:
        found = releasing.lines(journal, Workspace(out))
    if not found:
        print("There is no release. `palate release add POLICY` registers one.")
        return
    rows = [("release", "names", "policy", "guardrails", "round", "gate", "at", ""), *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command
def card(release: str, *, into: Path | None = None, out: Project = Path(), database: str = "") -> None:
    """The model card of a release, with what is known of it today.

    Parameters
    ----------
    release
        Its id, a name that it has, or its policy.
    into
        A folder, such as an export of the model: the card is written there as README.md.
    out
        The project.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    workspace = Workspace(out)
    with opened(out, database) as journal:
        id = model_card.keep(journal, workspace, releasing.described(releases.get(journal, release)))
    text = (workspace.path(id) / model_card.CARD).read_text(encoding="utf-8")
    if into is None:
        print(text, end="")
        return
    into.mkdir(parents=True, exist_ok=True)
    (into / model_card.CARD).write_text(text, encoding="utf-8")
    print(into / model_card.CARD)


def _warn(journal: Journal, out: Path, named: releases.Release) -> None:
    found = next(line for line in releasing.lines(journal, Workspace(out)) if line.release.id == named.id)
    if found.taints:
        print(f"Careful: an erasure has tainted what it was made from: {', '.join(found.taints)}")


def _row(line: releasing.Line) -> tuple[str, ...]:
    one = line.release
    names = ", ".join(f"{alias} since {at[:16].replace('T', ' ')}" for alias, at in line.aliases)
    said = [] if line.there else ["its policy is gone"]
    said += [f"tainted: {', '.join(line.taints)}"] if line.taints else []
    gate = one.gate or f"none: {one.why}"
    return one.id, names, one.policy, one.guardrails, one.round, gate, one.at[:16].replace("T", " "), "; ".join(said)
