"""`palate store …`: what keeps the journal safe, and takes it elsewhere. A journal is a path or a URL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from palate.cli.live import Live
from palate.core.errors import MissingArtefact, StoreError
from palate.store import backup as backups
from palate.store import copying, engines, opening, schema
from palate.store.backup import Verified
from palate.store.journal import Journal

app = App(name="store", help="Back up, restore, copy, migrate and check the journal.")


@app.command
def backup(journal: str, target: Path) -> None:
    """Write a copy of the journal to a new file, while others go on working, and check it.

    Parameters
    ----------
    journal
        Path or URL of the journal.
    target
        A file that is not there yet.
    """
    live = Live()
    with Journal.open(_there(journal)) as opened:
        found = backups.backup(opened, target, progress=live)
    live.say(f"{target}: {_said(found)}, checked.")


@app.command
def restore(source: Path, target: str) -> None:
    """Make a journal from a backup, and check it.

    Parameters
    ----------
    source
        What `palate store backup` wrote.
    target
        A path where nothing is yet, or the URL of an empty database.
    """
    live = Live()
    found = backups.restore(source, _where(target), progress=live)
    live.say(f"{engines.name_of(_where(target))}: {_said(found)}, checked.")


@app.command
def copy(source: str, target: str) -> None:
    """Copy a journal into an empty one, from SQLite to PostgreSQL or back, and compare every row.

    Parameters
    ----------
    source
        Path or URL of a journal. What is written into it meanwhile is not copied.
    target
        Path or URL of an empty journal, or where there is none yet.
    """
    live = Live()
    counts = copying.copy(_there(source), _where(target), progress=live)
    live.say(f"{sum(counts.values())} rows copied and compared.")


@app.command
def migrate(journal: str) -> None:
    """Bring the tables of an older journal up to date. A file is copied beside itself before.

    Parameters
    ----------
    journal
        Path or URL of the journal.
    """
    live = Live()
    where = _there(journal)
    before = opening.version(where) if isinstance(where, Path) else None
    with Journal.open(where) as opened:
        name = opened.name
    if before is not None and before < schema.VERSION:
        kept = sorted(where.parent.glob(f"{where.name}.before-version-*")) if isinstance(where, Path) else []
        live.say(f"{name}: from version {before} to {schema.VERSION}. The old file is kept as {kept[-1].name}.")
    else:
        live.say(f"{name} is of version {schema.VERSION}.")


@app.command
def check(journal: str) -> None:
    """Look at every page and every row of the journal.

    Parameters
    ----------
    journal
        Path or URL of the journal.
    """
    with Journal.open(_there(journal)) as opened:
        found = backups.verify(opened)
        name = opened.name
    if found.problems:
        raise StoreError(
            f"{name} is not sound",
            expected="no problem",
            found="; ".join(found.problems),
            hint="restore a backup with `palate store restore`",
        )
    Live().say(f"{name}: {_said(found)}, no problem.")


def _where(text: str) -> Path | str:
    return text if engines.is_url(text) else Path(text)


def _there(text: str) -> Path | str:
    where = _where(text)
    if isinstance(where, Path) and not where.is_file():
        raise MissingArtefact("there is no journal", where=str(where), hint="name the file, such as palate.db")
    return where


def _said(found: Verified) -> str:
    shown = ", ".join(f"{found.rows[name]} {name}s" for name in ("prompt", "completion", "comparison", "judgement"))
    return f"{sum(found.rows.values())} rows ({shown})"


@app.command
def prune(
    *, days: float = 30.0, out: Path = Path(), database: str = "", yes: Annotated[bool, Parameter(negative=())] = False
) -> None:
    """Take away what nothing needs: models that no release and no open round goes back to, checkpoints, leftovers.

    Manifests stay, so that lineage does; what is wanted again is made again. Without --yes it only says what would go.

    Parameters
    ----------
    days
        Whatever is younger stays.
    out
        Project folder.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    yes
        Do it.
    """
    from palate.cli.project import opened
    from palate.core.artefacts import Workspace
    from palate.rounds import pruning

    with opened(out, database) as journal:
        work = pruning.prune if yes else pruning.plan
        items = work(journal, Workspace(out), days=days)
    for item in items:
        print(f"{item.bytes / 1e6:10.1f} MB  {item.what:11} {item.path.name if item.what == 'artefact' else item.path}")
    total = sum(item.bytes for item in items) / 1e6
    print(f"{total:10.1f} MB {'are gone' if yes else 'would go; --yes does it'}.")
