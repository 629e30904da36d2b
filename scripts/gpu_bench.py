"""Measure SFT, DPO, GRPO and PPO steps on a GPU in bfloat16 against TRL on the same card, into docs/results/gpu.json.

The model is Qwen3-like, has 0.5 billion random weights, and is made here; see `scripts/gpu/work.py`. Sides take turns,
each a process of its own. TRL runs in an interpreter that has it (--trl-python; for PPO one with TRL 1.12,
--trl-ppo-python); without it Palate is measured alone. On a machine without a GPU nothing is measured and nothing is
written; --dry-run goes the same way there with a tiny model, and prints what it saw, which means nothing.

| name | what it is |
|---|---|
| `gpu/<stage>/step_s/palate`, `…/trl` | median seconds of a step over all turns; low and high are quartiles |
| `gpu/<stage>/speedup` | TRL's median of a turn over Palate's beside it: median of the turns, least and largest |
| `gpu/<stage>/mfu` | useful operations a second of Palate's median step, over what the probe reached |
| `gpu/<stage>/peak_gib/palate`, `…/trl` | most memory that torch had allocated |
| `gpu/<stage>/sampler_gap_nats` | largest difference of a token's log-prob between sampler and trainer, iteration 1 |
| `gpu/probe_tflops` | a bfloat16 product of 8192 x 8192 matrices, the best of some |
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from scripts.gpu.work import DRY, GPU, STAGES, make_models, task_of

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "results" / "gpu.json"
Turn = dict[str, Any]


def main(words: list[str] | None = None) -> list[dict[str, Any]]:
    """Measure, and write if there is a GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", type=Path, help="an interpreter with TRL 1.13 or later")
    parser.add_argument("--trl-ppo-python", type=Path, help="one with TRL 1.12")
    parser.add_argument("--turns", type=int, default=5, help="of each side")
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=list(STAGES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--dry-run", action="store_true", help="the same way with a tiny model, on whatever there is")
    options = parser.parse_args(words)
    if not torch.cuda.is_available() and not options.dry_run:
        print("there is no GPU here: nothing is measured, and no figure is written")
        return []
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = [] if options.dry_run and device == "cpu" else [row("gpu/probe_tflops", probe_flops() / 1e12)]
    scale = DRY if options.dry_run else GPU
    with tempfile.TemporaryDirectory() as folder:
        models = make_models(Path(folder) / "models", scale, options.seed)
        for stage in options.stages:
            task = task_of(stage, models, device, scale, options.seed).write(Path(folder) / f"{stage}.json")
            sides = {"palate": [sys.executable, "-m", "scripts.gpu.ours", str(task)]}
            python = options.trl_ppo_python if stage == "ppo" else options.trl_python
            if python is not None:
                sides["trl"] = [str(python), str(ROOT / "scripts" / "gpu" / "theirs.py"), str(task)]
            turns = take_turns(sides, options.turns, Path(folder) / stage)
            rows += figures(stage, turns, rows[0]["value"] * 1e12 if rows and "probe" in rows[0]["name"] else None)
    for found in rows:
        print(json.dumps(found))
    if options.dry_run:
        print("a dry run: nothing is written")
        return rows
    command = "python -m scripts.gpu_bench " + " ".join(words if words is not None else sys.argv[1:])
    where = {
        "command": command.strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "device": torch.cuda.get_device_name(),
    }
    options.out.write_text(json.dumps([found | where for found in rows], indent=1) + "\n", encoding="utf-8")
    return rows


def take_turns(sides: dict[str, list[str]], turns: int, folder: Path) -> dict[str, list[Turn]]:
    """Each side in its turn, so that a card that grows warm is warm for both. A TRL that fails says why, and is out."""
    found: dict[str, list[Turn]] = {name: [] for name in sides}
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    for turn in range(turns):
        for name, command in sides.items():
            if turn and len(found[name]) < turn:
                continue
            place = folder / f"{name}-{turn}"
            done = subprocess.run(
                [*command, str(place)],
                capture_output=True,
                text=True,
                check=False,
                cwd=ROOT,
                env={**os.environ, **quiet},
            )
            told = [line for line in done.stdout.splitlines() if line.startswith("GPU ")]
            if done.returncode or not told:
                last = (done.stderr.strip() or "nothing").splitlines()[-1]
                if name == "palate":
                    raise SystemExit(f"Palate's side failed: {last}\n{done.stderr}")
                print(f"{name} is left out: {last}", file=sys.stderr)
                continue
            found[name].append(json.loads(told[-1].removeprefix("GPU ")))
    return {name: turns_of for name, turns_of in found.items() if turns_of}


def figures(stage: str, turns: dict[str, list[Turn]], peak_flops: float | None) -> list[dict[str, Any]]:
    """Rows of one stage.

    Args:
        stage: Which.
        turns: Of each side that was measured.
        peak_flops: What the probe reached a second; None where there is none.
    """
    rows = []
    for name, found in turns.items():
        times = [seconds for turn in found for seconds in turn["steps_s"]]
        low, median, high = statistics.quantiles(times, n=4)
        rows.append(row(f"gpu/{stage}/step_s/{name}", median, low, high, len(times)))
        peaks = [turn["peak_bytes"] for turn in found if turn["peak_bytes"] is not None]
        if peaks:
            rows.append(row(f"gpu/{stage}/peak_gib/{name}", max(peaks) / 2**30, n=len(peaks)))
    ours = turns["palate"]
    if peak_flops is not None:
        share = ours[0]["flops"] / rows[0]["value"] / peak_flops
        rows.append(row(f"gpu/{stage}/mfu", share, n=rows[0]["n"]))
    gaps = [turn["sampler_gap_nats"] for turn in ours if "sampler_gap_nats" in turn]
    if gaps:
        rows.append(row(f"gpu/{stage}/sampler_gap_nats", max(gaps), min(gaps), max(gaps), len(gaps)))
    if "trl" in turns:
        pairs = zip(ours, turns["trl"], strict=False)
        ratios = [statistics.median(b["steps_s"]) / statistics.median(a["steps_s"]) for a, b in pairs]
        rows.append(row(f"gpu/{stage}/speedup", statistics.median(ratios), min(ratios), max(ratios), len(ratios)))
    return rows


def row(name: str, value: float, low: float | None = None, high: float | None = None, n: int = 1) -> dict[str, Any]:
    """A figure."""
    return {"name": name, "value": value, "low": low, "high": high, "n": n, "seeds": 1}


def probe_flops(size: int = 8192, repeats: int = 20) -> float:
    """Operations a second of a bfloat16 product, the best of some: what the card can do, not what its sheet says."""
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(repeats):
        torch.cuda.synchronize()
        began = time.perf_counter()
        a @ b
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


if __name__ == "__main__":
    main()
