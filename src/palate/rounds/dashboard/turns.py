"""Rounds as leads see them: how far the one that is under way has come, what its training says, and what was before."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from palate.core.artefacts import Workspace
from palate.core.errors import DataError
from palate.pages import charts
from palate.pages.app import LEADERS, NavItem
from palate.pages.errors import Refusal
from palate.pages.templates import duration, render, when
from palate.rounds.turn import abort, holding, look
from palate.store import audit, rounds
from palate.store.journal import Journal
from palate.store.rounds import Round
from palate.workbench.who import Leading, Open

router = APIRouter(include_in_schema=False)
NAV: Final = NavItem("Rounds", "/rounds", LEADERS)
WORDS: Final = {
    "done": "done", "began": "at work", "waiting": "waits", "failed": "failed", "stopped": "ended",
    "overridden": "overridden", "": "to come",
}  # fmt: skip
SENTENCES: Final = {
    "sft": "The model learns from demonstrations.",
    "collect": "Answers are sampled and compared.",
    "judge": "A model judges what people have not.",
    "dataset": "Judgements are frozen into a dataset.",
    "reward": "A reward model learns what people prefer.",
    "policy": "The policy learns.",
    "evaluate": "It is held against the one before.",
    "gate": "What was found is held against the bounds.",
    "release": "It becomes a release.",
}
CURVES: Final = ("reward/score_mean", "reward/score", "accuracy", "loss")
"""The first of these that a run writes is drawn."""
SHOWN: Final = ("win_rate", "heldout_accuracy", "accuracy", "judgements", "comparisons", "train", "score", "release")
"""Figures of a step that stand on the page; `palate round show` has them all."""
_POINTS: Final = 200


class Step(NamedTuple):
    """One step of a round on the page."""

    name: str
    means: str
    state: str
    word: str
    artefact: str
    told: str
    took: str


@router.get("/rounds")
def page(request: Request, journal: Open, account: Leading) -> Response:
    """The page; its figures are there before any script runs."""
    return render(request, "turns.html", **_all(request, journal))


@router.get("/rounds/live")
def live(request: Request, journal: Open, account: Leading) -> HTMLResponse:
    """The figures alone, for the script that keeps them fresh."""
    return render(request, "turns_live.html", **_all(request, journal))


@router.get("/rounds/{number}")
def one_page(request: Request, journal: Open, account: Leading, number: int) -> Response:
    """One round, from its beginning to its end."""
    return render(request, "turn.html", **_one(_workspace(request), journal, _named(journal, number)))


@router.post("/rounds/{number}/abort")
def end(
    request: Request, journal: Open, account: Leading, number: int, why: Annotated[str, Form(max_length=2000)] = ""
) -> Response:
    """End a round; a process at work on it on this machine is told to stop."""
    made = _named(journal, number)
    try:
        abort(journal, _workspace(request), made, why=why)
    except DataError as error:
        raise Refusal(409, f"{error.what[0].upper()}{error.what[1:]}.", code="over") from error
    audit.write(journal, account.id, "ended a round", made.id, why=why)
    return RedirectResponse("/rounds", 303)


def _workspace(request: Request) -> Workspace:
    found: Workspace = request.app.state.workspace
    return found


def _named(journal: Journal, number: int) -> Round:
    found = next((one for one in rounds.every(journal) if one.number == number), None)
    if found is None:
        raise Refusal(404, f"There is no round {number}.", code="unknown")
    return found


def _all(request: Request, journal: Journal) -> dict[str, Any]:
    every = rounds.every(journal)
    if not every:
        return {"now": None, "past": []}
    workspace = _workspace(request)
    past = [_line(workspace, journal, one) for one in reversed(every)]
    return {"now": _one(workspace, journal, every[-1]), "past": past}


def _line(workspace: Workspace, journal: Journal, one: Round) -> tuple[str, ...]:
    turn = look(journal, workspace, one)
    released = [step.details for step in rounds.steps(journal, one.id) if step.step == "release" and step.details]
    where = released[-1].get("release", "") if released else ""
    return (f"{one.number}", when(one.at), WORDS[turn.state], turn.made.get("policy", ""), str(where))


def _one(workspace: Workspace, journal: Journal, one: Round) -> dict[str, Any]:
    turn, told = look(journal, workspace, one), rounds.steps(journal, one.id)
    busy = bool(holding(workspace)) and turn.state == "began"
    names = list(one.recipe.get("steps", ()))
    steps = [_step(name, [step for step in told if step.step == name]) for name in names]
    return {
        "round": one,
        "began": when(one.at),
        "state": turn.state,
        "why": turn.why,
        "step": turn.step,
        "busy": busy,
        "cut_off": turn.state == "began" and not busy,
        "over": turn.state in rounds.OVER,
        "shape": one.recipe.get("project", {}).get("shape", ""),
        "steps": steps,
        "curve": _curve(workspace) if busy else None,
    }


def _step(name: str, told: list[rounds.Step]) -> Step:
    last = told[-1] if told else None
    state = last.state if last else ""
    figures = {key: last.details[key] for key in SHOWN if last and key in last.details} if last else {}
    words = ", ".join(f"{key.replace('_', ' ')} {_short(value)}" for key, value in figures.items())
    if last and last.details.get("unchanged"):
        words = f"{words}; the same as in the round before".lstrip("; ")
    if last and last.details.get("why"):
        words = str(last.details["why"])
    took = _seconds(told[0].at, last.at) if last and state == "done" else ""
    return Step(name, SENTENCES.get(name, ""), state, WORDS[state], last.artefact if last else "", words, took)


def _seconds(first: str, last: str) -> str:
    return duration((datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds())


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _curve(workspace: Workspace) -> dict[str, Any] | None:
    """What the run at work wrote last, as a picture."""
    runs = [path for path in (workspace.root / "runs").glob("*/metrics.jsonl") if path.stat().st_size]
    if not runs:
        return None
    newest = max(runs, key=lambda path: path.stat().st_mtime)
    rows = _rows(newest)
    name = next((key for key in CURVES if rows and key in rows[-1]), "")
    if not name:
        return None
    some = [row for row in rows if name in row][:: max(1, len(rows) // _POINTS)]
    picture = charts.lines(
        f"{name} of {newest.parent.name}, step by step", [str(row["step"]) for row in some],
        [charts.Series(name, [float(row[name]) for row in some])],
    )  # fmt: skip
    return {"picture": picture, "run": newest.parent.name, "name": name, "last": _short(rows[-1][name]), "n": len(rows)}


def _rows(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:  # it is being written
            continue
    return found
