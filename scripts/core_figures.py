"""Measure what the training core promises, cell by cell, into docs/results/core.json.

Each cell is a process of its own and is kept in build/core/seed-N, so that a run that was cut off goes on where
it stood. A cell that cannot be measured here says why, and its figures are left out; nothing is made up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
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
"""A module with `figures(seed)` each; what a name averages stands in its rows' `about`."""
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
    for name in options.only:
        target = folder / f"{name}.json"
        if options.fresh or not target.exists():
            _measure(name, options.seed, target)
    command = f"make core-figures SEED={options.seed}"
    rows = []
    for name in CELLS:
        target = folder / f"{name}.json"
        if target.exists():
            cell = json.loads(target.read_text(encoding="utf-8"))
            rows += [{**row, "command": command, "date": cell["date"]} for row in cell["rows"]]
    out = ROOT / "docs" / "results" / "core.json"
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} figures in {out.relative_to(ROOT)}")


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
    print(f"  {len(rows)} figures in {time.monotonic() - begun:.0f} s", flush=True)
    for row in rows:
        print(f"    {row['name']}: {row['value']:.6g}", flush=True)


def _whole(row: dict[str, object]) -> dict[str, object]:
    """A row with every field that others expect."""
    return {"low": None, "high": None, "n": None, "seeds": 1} | row


if __name__ == "__main__":
    main()
