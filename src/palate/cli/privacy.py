"""`palate forget`, and what else a person may ask for: see docs/privacy.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from palate.cli.data import JOURNAL
from palate.cli.project import opened
from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError, DataError, MissingArtefact
from palate.rounds import absence, forgetting, retraining
from palate.store import audit, erasure
from palate.store.journal import Journal


def forget(
    person: str = "",
    *,
    out: Path = Path(),
    database: str = "",
    yes: Annotated[bool, Parameter(negative=())] = False,
    purge: Annotated[bool, Parameter(negative=())] = False,
    plan: Annotated[bool, Parameter(negative=())] = False,
    prove: str = "",
    receipt: str = "",
) -> None:
    """Erase a person: from the journal and its backups, from artefacts, runs and logs; say what must be made anew.

    Without --yes it only says what would go.

    Parameters
    ----------
    person
        A pseudonym, or the id or e-mail address of an account.
    out
        Project folder: its artefacts and files are cleaned, and the receipt goes to `receipts/` in it.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    yes
        Do it. There is no way back.
    purge
        Also take away the content of models and reports that only learned from it; else they stay until made anew.
    plan
        Say what an erasure asks to be made anew, and complete one that was cut off.
    prove
        An artefact or a round that was made since: show that nothing that was erased is in it.
    receipt
        Of which erasure, with --plan and --prove; by itself the last one for the plan, and all of them for the proof.
    """
    workspace = Workspace(out)
    with opened(out, database) as journal:
        if prove:
            told = absence.prove(journal, workspace, prove, receipt=receipt)
            for one in told.looked:
                print(f"  {one.id}: {one.rows} lines{f', sha256 {one.content}' if one.content else ''}")
            if told.problems:
                raise DataError("the absence is not proven", found="; ".join(told.problems))
            print(absence.sentence(told))
        elif plan:
            forgetting.finish(journal, workspace)
            last = forgetting.receipt(workspace, receipt)
            _plan(forgetting.steps(journal, workspace, last))
            print(forgetting.path(workspace, last["id"]))
        elif not yes:
            _would(journal, workspace, person, purge)
        else:
            done = forgetting.forget(journal, workspace, person, actor="command line", purge=purge)
            _did(done)
            print(forgetting.path(workspace, done["id"]))


def expire(days: float, *, out: Path = Path(), database: str = "") -> None:
    """Erase chats older than some days whose people did not agree that they are kept. Backups still hold them.

    Parameters
    ----------
    days
        Older than so many.
    out
        Project folder.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) as journal:
        receipt = erasure.expire(journal, days, actor="command line")
    deleted = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in receipt.deleted.items())
    print(f"Erased: {deleted or 'nothing was that old'}.")
    _left(receipt.left)


def of_person(person: str, data: Path, out: Path) -> None:
    """All that a journal holds about a person, as one JSON file that only its owner can read."""
    journal = data if data.suffix == ".db" else data / JOURNAL
    if not journal.is_file():
        raise MissingArtefact(f"there is no journal at {data}", expected=f"a project folder or a file {JOURNAL}")
    if out.exists():
        raise ConfigError("the file is there already", where=f"--out {out}", expected="a new file")
    with Journal.open(journal) as opened:
        found = erasure.export_person(opened, person)
        # Who of it is not written down: after `forget` the line would name them still.
        audit.write(opened, "command line", "exported a person", "", rows=sum(map(len, found.values())))
    out.touch(mode=0o600, exist_ok=False)
    with out.open("w", encoding="utf-8") as handle:
        json.dump(found, handle, indent=1, ensure_ascii=False, default=str)
    print(f"{sum(map(len, found.values()))} rows about {person} in {out}")


def _would(journal: Journal, workspace: Workspace, person: str, purge: bool) -> None:
    """What would go; it ends with an error, for nothing was done."""
    theirs = erasure.export_person(journal, person)
    found = forgetting.look(journal, workspace, person)
    for one in found.tainted:
        what = "content goes, manifest stays" if one.holds or purge else "to be made anew"
        print(f"  {one.id} ({one.because}): {what}")
    for leftover in found.leftovers:
        what = "yours: not touched" if leftover.what == "outside" else leftover.what
        print(f"  {leftover.path.relative_to(workspace.root)}: {leftover.lines} {what}")
    for path in found.copies:
        print(f"  {path}: erased there too")
    rows = ", ".join(f"{len(rows)} {name.replace('_', ' ')}" for name, rows in theirs.items())
    raise ConfigError(
        "nothing was erased yet", found=rows, hint="look at it with `palate export --person`, then add --yes"
    )


def _did(told: dict[str, Any]) -> None:
    """A receipt in words."""
    deleted = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in told["deleted"].items())
    print(
        f"Erased: {deleted or 'nothing but the name'}. {told['tombstones']} tombstones keep an import from undoing it."
    )
    for copy in told["copies"]:
        why = f" ({copy['why']})" if copy["why"] else ""
        print(f"  copy {copy['path']}: {copy['state']}{why}")
    for file in told["files"]:
        what = "holds it and is yours: not touched" if file["what"] == "outside" else f"{file['count']} {file['what']}"
        print(f"  file {file['path']}: {what}")
    _left(told["left"])
    if told["tainted"]:
        print("Tainted:")
        for one in told["tainted"]:
            gone = ", its content is gone" if one["id"] in told["emptied"] else ""
            print(f"  {one['id']} ({one['because']}{gone})")
    for one in told["recut"]:
        print(f"Cut again: {one['old']} -> {one['new'] or one['why']}")
    _plan([retraining.Step(**one) for one in told["plan"]])


def _plan(steps: Sequence[retraining.Step]) -> None:
    if steps:
        print("To be made anew, in this order:")
    for number, step in enumerate(steps, start=1):
        instead = "".join(f", {new or '…'} for {old}" for old, new in step.instead.items())
        print(f"  {number}. {step.artefact}: {step.do}{instead}")


def _left(left: Sequence[str]) -> None:
    for one in left:
        print(f"Not overwritten yet: {one}. The same bytes go with the next `palate forget` or `palate expire`.")
