"""Measure figures cell by cell, into a file of results and a page that quotes it.

Each cell is a process of its own and is kept in build/, so that a run that was cut off goes on where it stood. A cell
that cannot be measured here says why, and its figures are left out; nothing is made up. What each name averages is
told by the table in the docstring of its cell's module, and stands in `about`.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
_CALL = """
import importlib, inspect, json, sys
figures = importlib.import_module(sys.argv[1]).figures
rows = figures(int(sys.argv[2])) if "seed" in inspect.signature(figures).parameters else figures()
print("ROWS " + json.dumps(rows))
"""


class Sheet(NamedTuple):
    """What is measured, and where it goes."""

    name: str
    """Of the folder in build/, of docs/results/NAME.json, and of the target NAME-figures."""
    cells: Mapping[str, str]
    """Name to a module with `figures(seed)` or `figures()`."""
    one_core: Sequence[str]
    """Cells that use one core: two of them are measured at a time."""
    page: Path
    """Has `<!-- CELL -->` and `<!-- end of CELL -->`, between which the tables go."""


def main(sheet: Sheet, about_it: str) -> None:
    """Measure what is missing, then write all that is there."""
    parser = argparse.ArgumentParser(description=about_it)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=sheet.cells, default=list(sheet.cells), help="some cells alone")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    options = parser.parse_args()
    folder = ROOT / "build" / sheet.name / f"seed-{options.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    targets = {name: folder / f"{name}.json" for name in options.only}
    todo = {name: target for name, target in targets.items() if options.fresh or not target.exists()}
    together = [name for name in todo if name in sheet.one_core]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: _measure(sheet, name, options.seed, todo[name]), together))
    for name in todo:
        if name not in together:
            _measure(sheet, name, options.seed, todo[name])
    rows = _write(sheet, folder, f"make {sheet.name.replace('_', '-')}-figures SEED={options.seed}")
    out = ROOT / "docs" / "results" / f"{sheet.name}.json"
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} figures in {out.relative_to(ROOT)}; {len(todo)} cells took {time.monotonic() - begun:.0f} s")


def table(rows: list[dict[str, object]]) -> str:
    """Figures as Markdown."""
    lines = ["| figure | value | from | to | n | what it averages |", "|---|--:|--:|--:|--:|---|"]
    for row in rows:
        value, low, high = ("" if row[key] is None else f"{row[key]:.4g}" for key in ("value", "low", "high"))
        number = "" if row["n"] is None else row["n"]
        value = f"{row['bound']} {value}" if row.get("bound") else value
        lines.append(f"| `{row['name']}` | {value} | {low} | {high} | {number} | {row['about']} |")
    return "\n".join(lines) + "\n"


def abouts(module: str) -> dict[str, str]:
    """What the names of a cell average, from the table in its docstring; a name may hold a `<placeholder>`."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    found: dict[str, str] = {}
    keys: list[str] = []
    for names, what in re.findall(r"^\|\s*(.*?)\s*\|\s*(.*?)\s*\|$", text, flags=re.MULTILINE):
        keys = re.findall(r"`(.+?)`", names) or keys
        for key in keys:
            found[key] = what if names else f"{found[key]} {what}"
    return found


def about(name: str, told: dict[str, str]) -> str:
    """What a name averages; of several patterns one with fewest placeholders, and of these the longest."""
    fits = [key for key in told if re.fullmatch(re.sub(r"<[^>]+>", "[^/]+", key), name)]
    if not fits:
        raise LookupError(f"{name} is not in the table of its module: {', '.join(told)}")
    return told[max(fits, key=lambda key: (-key.count("<"), len(key)))]


def _write(sheet: Sheet, folder: Path, command: str) -> list[dict[str, object]]:
    """Fill the page with the cells that are there; their rows."""
    rows: list[dict[str, object]] = []
    text = sheet.page.read_text(encoding="utf-8")
    for name, module in sheet.cells.items():
        target = folder / f"{name}.json"
        if target.exists():
            cell = json.loads(target.read_text(encoding="utf-8"))
            told = abouts(module)
            found = [
                {**known(row), "about": about(row["name"], told), "command": command, "date": cell["date"]}
                for row in cell["rows"]
            ]
            rows += found
            pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
            text = pattern.sub(lambda match, found=found: f"{match[1]}{table(found)}{match[2]}", text)
    sheet.page.write_text(text, encoding="utf-8")
    return rows


def known(row: Mapping[str, object]) -> dict[str, object]:
    """A row in which what is no number is null, as JSON has it."""
    return {key: None if value != value else value for key, value in row.items()}


def _measure(sheet: Sheet, name: str, seed: int, target: Path) -> None:
    print(f"{name} …", flush=True)
    begun = time.monotonic()
    command = [sys.executable, "-c", _CALL, sheet.cells[name], str(seed)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("ROWS ")]
    if done.returncode or not found:
        print(f"  {name} could not be measured:\n{done.stdout[-2000:]}", flush=True)
        return
    rows = [_whole(row) for row in json.loads(found[-1].removeprefix("ROWS "))]
    date = datetime.now(UTC).date().isoformat()
    target.write_text(json.dumps({"date": date, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: {len(rows)} figures in {time.monotonic() - begun:.0f} s", flush=True)
    for row in rows:
        print(f"    {row['name']}: {row['value']:.6g}", flush=True)


def _whole(row: dict[str, object]) -> dict[str, object]:
    """A row with every field that others expect."""
    return {"low": None, "high": None, "n": None, "seeds": 1} | row
