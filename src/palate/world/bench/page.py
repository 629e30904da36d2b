"""What people read: tables for the terminal, and for the marks of a page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from palate.world.bench.figures import TARGETS, meets
from palate.world.bench.ratios import PHASES, peak_mb, rate, shares, utilisation
from palate.world.bench.workload import Cell

_ALONE = ("stage", "tokens/s", "sequences/s", "MFU", "peak MB", *PHASES)


def alone(cells: Mapping[Cell, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Palate by itself: a row a stage, with the median of its blocks."""
    rows = []
    for cell, found in cells.items():
        blocks = found["palate"]
        rates = sorted(rate(block).raw for block in blocks)
        cpu = sum(sum(block["cpu_s"]) + block["charge_s"] for block in blocks)
        row = {
            "stage": cell.stage,
            "size": cell.size,
            "tokens_per_s": round(rates[len(rates) // 2], 1),
            "sequences_per_s": round(sum(block["sequences"] for block in blocks) / cpu, 2),
            "mfu": round(utilisation(blocks).value, 4),
            "peak_mb": round(peak_mb(blocks)),
            "blocks": len(blocks),
            "shares": {name: round(share, 4) for name, share in shares(blocks).items()},
        }
        rows.append(row)
        if cell.stage == "grpo":
            sampled = sorted(rate(block, sampling=True).raw for block in blocks)
            rows.append(
                {
                    "stage": "rollout",
                    "size": cell.size,
                    "tokens_per_s": round(sampled[len(sampled) // 2], 1),
                    "sequences_per_s": round(
                        sum(b["sequences"] for b in blocks) / sum(sum(b["parts_s"]["rollout"]) for b in blocks), 2
                    ),
                    "mfu": round(utilisation(blocks, sampling=True).value, 4),
                    "peak_mb": round(peak_mb(blocks)),
                    "blocks": len(blocks),
                    "shares": {"rollout": 1.0},
                }
            )
    return rows


def alone_lines(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The same as text, the heading first."""
    lines = [list(_ALONE)]
    for row in rows:
        spent = [f"{row['shares'][name]:.0%}" if row["shares"].get(name, 0) >= 0.005 else "" for name in PHASES]
        figures = [f"{row['tokens_per_s']:.0f}", f"{row['sequences_per_s']:.1f}", f"{row['mfu']:.0%}"]
        lines.append([f"{row['stage']}/{row['size']}", *figures, f"{row['peak_mb']}", *spent])
    return lines


def targets_lines(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Figures against their targets, the heading first."""
    lines = [["figure", "target", "measured", "from", "to", "n", ""]]
    for row in rows:
        target = TARGETS.get(row["name"])
        sign = "at most" if row["name"].startswith("memory") else "at least"
        met = meets(row["name"], row["value"])
        verdict = "" if met is None else "met" if met else "short"
        numbers = [f"{row[key]:.2f}" for key in ("value", "low", "high")]
        lines.append([row["name"], f"{sign} {target:g}" if target else "", *numbers, str(row["n"]), verdict])
    return lines


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Lines as a table."""
    heading, *rest = lines
    rule = ["---", *["--:"] * (len(heading) - 1)]
    return "".join("| " + " | ".join(line) + " |\n" for line in (heading, rule, *rest))


def fill(page: Path, parts: Mapping[str, str]) -> None:
    """Put texts between a page's marks, `<!-- name -->` and `<!-- end of name -->`."""
    text = page.read_text(encoding="utf-8")
    for name, part in parts.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text = pattern.sub(lambda match, part=part: f"{match[1]}{part}{match[2]}", text)  # type: ignore[misc]
    page.write_text(text, encoding="utf-8")
