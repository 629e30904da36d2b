"""Repeat the cycle over seeds, everything reseeded, and write docs/results/cycle.json."""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads sleep

from palate.evaluation.statistics import over_seeds
from palate.world import demo
from palate.world.version import world_version

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run the seeds one after another; finished work in the folder is used again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--quick", action="store_true", help="without round 2 and the hacking runs")
    parser.add_argument("--out", type=Path, default=ROOT / "demo-seeds")
    options = parser.parse_args()
    values: dict[str, list[float]] = {}
    counts: dict[str, int] = {}
    for seed in range(options.first, options.first + options.seeds):
        print(f"seed {seed}", flush=True)
        folder = options.out / f"seed-{seed}"
        cycle = demo.run(folder, seed=seed, quick=options.quick, say=lambda text: print(" ", text, flush=True))
        demo.summarise(cycle, f"palate demo --seed {seed}")
        for name, figure in {named.name: named.figure for named in cycle.figures}.items():
            values.setdefault(name, []).append(figure.value)
            counts[name] = counts.get(name, 0) + figure.n
    command = f"make demo-seeds SEEDS={options.seeds}"
    date = datetime.now(UTC).date().isoformat()
    shared = {"seeds": options.seeds, "command": command, "date": date, "world": world_version()}
    rows = []
    for name, found in values.items():
        figure = over_seeds(found)
        spread = {"value": figure.value, "low": figure.low, "high": figure.high, "n": counts[name]}
        rows.append({"name": name, **spread, "by_seed": found, **shared})
    for name in ("ppo", "dpo"):
        found = values[f"win_rate/{name}_vs_sft@0.5"]
        worst = {"value": min(found), "low": None, "high": None, "n": len(found), "by_seed": found}
        label = "win_rate/ppo_vs_sft/worst_seed@0.5" if name == "ppo" else "win_rate/dpo_vs_sft/worst_seed@0.5"
        rows.append({"name": label, **worst, **shared})
    target = ROOT / "docs" / "results" / "cycle.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(rows, indent=1).replace("NaN", "null") + "\n", encoding="utf-8")
    print(f"{len(rows)} figures in {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
