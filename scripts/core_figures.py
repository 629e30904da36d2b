"""Measure what the training core promises, cell by cell, into docs/results/core.json and docs/training-core.md.

Each cell is a process of its own and is kept in build/core/seed-N, so that a run that was cut off goes on where
it stood. A cell that cannot be measured here says why, and its figures are left out; nothing is made up.
What each name averages is told by the table in the docstring of its cell's module, and stands in `about`.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CELLS = {
    "exact": "scripts.core.exact",
    "frontier": "scripts.core.frontier",
    "parity": "scripts.core.parity",
    "invariance": "scripts.core.invariance",
    "resume": "scripts.core.resume",
    "mutants": "tests.bug_bench.bench",
    "bradley-terry": "scripts.core.bradley_terry",
    "reward-models": "scripts.core.reward_models",
    "memory": "scripts.core.memory",
    "real-data": "scripts.core.real_data",
}
"""A module with `figures(seed)` each."""
ONE_CORE = ("exact", "frontier", "parity", "invariance", "resume", "mutants", "bradley-terry")
"""They use one core, so two are measured at a time."""
_CALL = """
import importlib, inspect, json, sys
figures = importlib.import_module(sys.argv[1]).figures
rows = figures(int(sys.argv[2])) if "seed" in inspect.signature(figures).parameters else figures()
print("ROWS " + json.dumps(rows))
"""


def main() -> None:
    """Measure what is missing, then write all that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=CELLS, default=list(CELLS), help="some cells alone")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    options = parser.parse_args()
    folder = ROOT / "build" / "core" / f"seed-{options.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    targets = {name: folder / f"{name}.json" for name in options.only}
    todo = {name: target for name, target in targets.items() if options.fresh or not target.exists()}
    together = [name for name in todo if name in ONE_CORE]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: _measure(name, options.seed, todo[name]), together))
    for name in todo:
        if name not in together:
            _measure(name, options.seed, todo[name])
    command = f"make core-figures SEED={options.seed}"
    rows = []
    page = ROOT / "docs" / "training-core.md"
    text = page.read_text(encoding="utf-8")
    for name in CELLS:
        target = folder / f"{name}.json"
        if target.exists():
            cell = json.loads(target.read_text(encoding="utf-8"))
            told = abouts(CELLS[name])
            found = [
                {**row, "about": about(row["name"], told), "command": command, "date": cell["date"]}
                for row in cell["rows"]
            ]
            rows += found
            pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
            text = pattern.sub(lambda match, found=found: f"{match[1]}{table(found)}{match[2]}", text)
    page.write_text(text, encoding="utf-8")
    out = ROOT / "docs" / "results" / "core.json"
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} figures in {out.relative_to(ROOT)}; {len(todo)} cells took {time.monotonic() - begun:.0f} s")


def table(rows: list[dict[str, object]]) -> str:
    """Figures as Markdown."""
    lines = ["| figure | value | from | to | n | what it averages |", "|---|--:|--:|--:|--:|---|"]
    for row in rows:
        value, low, high = ("" if row[key] is None else f"{row[key]:.4g}" for key in ("value", "low", "high"))
        number = "" if row["n"] is None else row["n"]
        lines.append(f"| `{row['name']}` | {value} | {low} | {high} | {number} | {row['about']} |")
    return "\n".join(lines) + "\n"


def _measure(name: str, seed: int, target: Path) -> None:
    print(f"{name} …", flush=True)
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _CALL, CELLS[name], str(seed)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
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
    """What a name averages; of several patterns the longest."""
    fits = [key for key in told if re.fullmatch(re.sub(r"<\w+>", "[^/]+", key), name)]
    if not fits:
        raise LookupError(f"{name} is not in the table of its module: {', '.join(told)}")
    return told[max(fits, key=len)]


def _whole(row: dict[str, object]) -> dict[str, object]:
    """A row with every field that others expect."""
    return {"low": None, "high": None, "n": None, "seeds": 1} | row


if __name__ == "__main__":
    main()
