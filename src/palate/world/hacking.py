"""Reward hacking, on purpose: the same reward model with a leash and without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from palate.core.artefacts import Workspace
from palate.evaluation.statistics import Figure
from palate.world import stages
from palate.world.figures import Named
from palate.world.gold import gold
from palate.world.prompts import split
from palate.world.settings import Size


def run(root: Path, seed: int, size: Size, sft: Path, data: Path) -> tuple[list[Named], dict[str, Path]]:
    """PPO against a reward model that does not see the prompt, with and without a leash."""
    plain = stages.make_reward(root, seed, sft, data, conditional=False)
    paths = {
        f"beta {beta:g}": stages.make_ppo(root, seed, size, sft, plain, beta=beta, iterations=size.hacking_iterations)
        for beta in size.betas
    }
    curves = {name: learning_curve(root, path) for name, path in paths.items()}
    free = curves[f"beta {size.betas[0]:g}"]
    tethered = curves[f"beta {size.betas[-1]:g}"]
    last = max(len(free) // 6, 1)
    peak = max(_smooth([point["gold"] for point in free], last))
    end = sum(point["gold"] for point in free[-last:]) / last
    leash = sum(point["gold"] for point in tethered[-last:]) / last
    rise = (sum(point["proxy"] for point in free[-last:]) / last - free[0]["proxy"]) / free[0]["proxy_sd"]
    largest = max(point["step_kl"] for point in free)
    values = {
        "hacking/proxy_rise_sd": rise,
        "hacking/gold_minus_own_peak": end - peak,
        "hacking/gold_minus_tethered": end - leash,
        "hacking/largest_step_kl_nats": largest,
    }
    return [Named(name, Figure(v, v, v, 1)) for name, v in values.items()], paths | {"plain reward": plain}


def learning_curve(root: Path, policy: Path) -> list[dict[str, float]]:
    """Proxy, gold, KL and length of each iteration, from what the run has left behind."""
    folder = Workspace(root).run_folder(policy.name)
    meaning = {q.text: q for side in split() for kind in side.by_kind.values() for q in kind}
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows: dict[int, list[dict[str, Any]]] = {}
    for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows.setdefault(row["iteration"], []).append(row)
    curve = []
    for iteration, group in sorted(rows.items()):
        golds = [gold(meaning[r["prompt"][-1]["content"]], r["completion"]) for r in group]
        scores = [r["score"] for r in group]
        middle = sum(scores) / len(scores)
        curve.append(
            {
                "iteration": float(iteration),
                "proxy": middle,
                "proxy_sd": max((sum((s - middle) ** 2 for s in scores) / len(scores)) ** 0.5, 1e-6),
                "gold": sum(golds) / len(golds),
                "kl": sum(r["kl_nats"] for r in group) / len(group),
                "tokens": sum(r["tokens"] for r in group) / len(group),
                "step_kl": steps[iteration].get("kl/old_new_nats", 0.0),
            }
        )
    return curve


def _smooth(values: list[float], width: int) -> list[float]:
    return [sum(values[i : i + width]) / width for i in range(len(values) - width + 1)]
