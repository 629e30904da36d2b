"""Figures from cells: their names, what each averages, and what was promised."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from palate.world.bench.cells import STAGES
from palate.world.bench.ratios import Ratio, Spread, peak_mb, ratio, spread, utilisation
from palate.world.bench.workload import SIZES, TRAINED, Cell

Found = Mapping[str, Any]
"""A cell as it was kept."""
TARGETS = {
    "sft/tiny": 1.8, "sft/small": 1.6, "sft_grouped/tiny": 1.2, "sft_grouped/small": 1.1,
    "reward/tiny": 2.0, "reward/small": 1.8, "dpo/tiny": 2.5, "dpo/small": 2.2, "ppo/tiny": 1.7, "ppo/small": 1.5,
    "grpo/tiny": 3.0, "grpo/small": 3.0, "rloo/tiny": 3.5, "rloo/small": 3.0, "rollout/tiny": 3.0, "rollout/small": 2.7,
    "memory/tiny": 0.6, "memory/small": 0.6, "memory_worst/tiny": 0.65, "memory_worst/small": 0.65,
}  # fmt: skip
"""At least; of memory at most."""
_OPPONENT = {
    "sft": "TRL's SFT on padded batches in random order",
    "sft_grouped": "TRL's SFT on batches of like length",
    "ppo": "TRL 1.12's PPO, 4 epochs",
    "grpo": "TRL's GRPO without a reference, 8 completions a prompt",
    "rloo": "TRL's RLOO, 8 completions a prompt",
    "dpo": "TRL's DPO with the reference asked in every step",
    "reward": "TRL's reward model",
    "rollout": "the generation inside TRL's GRPO",
}
_MEMORY = tuple(stage for stage in TRAINED if stage != "sft_grouped")
_OWNED = re.compile(rf"((plain/|mfu/)?({'|'.join(STAGES)})|memory|memory_worst)/({'|'.join(SIZES)})")


def figures(cells: Mapping[Cell, Found], *, command: str) -> list[dict[str, Any]]:
    """Rows for everything that the cells tell."""
    rows = [row for cell, found in cells.items() if "trl" in found for row in _ratios(cell, found)]
    for size in SIZES:
        rows += _memory({cell: found for cell, found in cells.items() if cell.size == size and "trl" in found}, size)
    rows += [row for cell, found in cells.items() if not cell.plain for row in _utilisation(cell, found)]
    newest = max((found["date"] for found in cells.values()), default="")
    for row in rows:
        row |= {"seeds": 1, "command": command, "date": newest}
    order = [name for name in TARGETS]
    return sorted(rows, key=lambda row: (order.index(row["name"]) if row["name"] in order else len(order), row["name"]))


def _ratios(cell: Cell, found: Found) -> list[dict[str, Any]]:
    rows = []
    for stage in (cell.stage, "rollout") if cell.stage == "grpo" else (cell.stage,):
        measured = ratio(found["palate"], found["trl"], sampling=stage == "rollout")
        named = cell._replace(stage=stage)
        rows.append(_row(named.name, measured.counts, _about(named, measured)))
    return rows


def _about(cell: Cell, measured: Ratio) -> str:
    what = "sampled tokens a CPU second of sampling" if cell.stage == "rollout" else "trained tokens a CPU second"
    where = ", all sequences equally long and prompts of different texts" if cell.plain else ""
    return (
        f"{what}{where}, Palate over {_OPPONENT[cell.stage]}; median over rounds on one core, the lower of raw "
        f"({measured.raw.value:.2f}) and probe-normalised ({measured.norm.value:.2f}); low and high are the extremes"
    )


def _memory(cells: Mapping[Cell, Found], size: str) -> list[dict[str, Any]]:
    found = {
        cell.stage: peak_mb(cell_found["palate"]) / peak_mb(cell_found["trl"])
        for cell, cell_found in cells.items()
        if not cell.plain and cell.stage in _MEMORY
    }
    if not found:
        return []
    all_of_them = spread(found.values())
    worst = max(found, key=lambda stage: found[stage])
    told = ", ".join(f"{stage} {value:.2f}" for stage, value in found.items())
    about = f"peak resident memory, Palate over TRL, both processes whole; median over the stages ({told})"
    top = Spread(found[worst], found[worst], found[worst], len(found))
    return [
        _row(f"memory/{size}", all_of_them, about),
        _row(f"memory_worst/{size}", top, f"the same in the stage where it is largest, {worst}"),
    ]


def _utilisation(cell: Cell, found: Found) -> list[dict[str, Any]]:
    about = (
        "operations that the stage needs, by its formula, over what the core would have delivered on a matrix product "
        "in the same CPU time; median over Palate's blocks; a shared prompt counts once a completion"
    )
    stages = {"grpo": ("grpo", "rollout"), "sft_grouped": ()}.get(cell.stage, (cell.stage,))
    return [
        _row(f"mfu/{stage}/{cell.size}", utilisation(found["palate"], sampling=stage == "rollout"), about)
        for stage in stages
    ]


def _row(name: str, value: Spread, about: str) -> dict[str, Any]:
    numbers = {key: round(getattr(value, key), 4) for key in ("value", "low", "high")}
    return {"name": name, **numbers, "n": value.n, "about": about}


def write(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Put rows into a file, where those that other commands have written stay; how many stand there then."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    all_rows = [*rows, *(row for row in kept if not _OWNED.fullmatch(row["name"]))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(all_rows, indent=1) + "\n", encoding="utf-8")
    return len(all_rows)


def meets(name: str, value: float) -> bool | None:
    """Whether a figure meets its target; None where there is none."""
    target = TARGETS.get(name)
    if target is None:
        return None
    return value <= target if name.startswith("memory") else value >= target
