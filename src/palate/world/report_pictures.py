"""The pictures of the report: from points to charts, each with the sentence that says what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from palate.evaluation import charts, page
from palate.evaluation.charts import Line, smoothed
from palate.evaluation.statistics import Figure
from palate.world.curves import Point
from palate.world.prompts import MIX


def learning(facts: Mapping[str, Any]) -> str:
    """Losses, and PPO's and DPO's progress."""
    ppo: Sequence[Point] = facts["ppo"]
    when = [p["iteration"] for p in ppo]
    middle, spread = ppo[0]["proxy"], ppo[0]["proxy_sd"]

    def of_ppo(name: str, label: str = "") -> Line:
        values = [p[name] for p in ppo]
        return Line(label, when, smoothed(values, 5), faint=values)

    proxy = [(p["proxy"] - middle) / spread for p in ppo]
    return page.pictures(
        page.picture(
            charts.curves([_metric(facts["pretrain"], "loss")], title="Pretraining", x="step", y="loss, nats a token"),
            "The base model learns to go on like a web page.",
        ),
        page.picture(
            charts.curves([_metric(facts["sft"], "loss")], title="SFT", x="step", y="loss, nats a token"),
            "Only the answers of the demonstrations count.",
        ),
        page.picture(
            charts.curves(
                [_metric(facts["reward"], "accuracy")],
                title="Reward model, training",
                x="step",
                y="accuracy in the batch",
                level=0.5,
            ),
            "How often it prefers what the raters preferred. Dotted: chance. Held-out figures stand below.",
        ),
        page.picture(
            charts.curves(
                [Line("proxy", when, smoothed(proxy, 5), faint=proxy)],
                title="PPO: score of the reward model",
                x="iteration",
                y="SFT's standard deviations",
            ),
            "What PPO maximises. Pale: single iterations.",
        ),
        page.picture(
            charts.curves([of_ppo("gold")], title="PPO: gold", x="iteration", y="gold of an answer"),
            "What the answers are worth; computed afterwards from the samples, never seen by the run.",
        ),
        page.picture(
            charts.curves(
                [of_ppo("claims")], title="PPO: right specific claims", x="iteration", y="per career answer, of 4"
            ),
            "A policy that wins by dropping every specific would fall here.",
        ),
        page.picture(
            charts.curves([of_ppo("kl")], title="PPO: distance from SFT", x="iteration", y="KL, nats an answer"),
            "The leash: each nat costs beta.",
        ),
        page.picture(
            charts.curves([of_ppo("tokens")], title="PPO: length", x="iteration", y="tokens an answer"),
            "Length is what reward models are fooled by most.",
        ),
        page.picture(
            charts.curves(
                [_metric(facts["dpo"], "accuracy")], title="DPO", x="step", y="accuracy in the batch", level=0.5
            ),
            "How often the policy has moved towards the preferred answer more than towards the other one.",
        ),
    )


def win_rates(found: Mapping[str, Figure], name: str, temperature: float) -> str:
    """Win rate over SFT, for all questions and by kind."""
    at = f"@{temperature}"
    rows = [("all", found[f"win_rate/{name}_vs_sft{at}"])]
    rows += [(kind, found[f"win_rate/{name}_vs_sft/{kind}{at}"]) for kind in MIX]
    counts = ", ".join(f"{kind} {figure.n}" for kind, figure in rows)
    chart = charts.intervals(
        rows,
        title=f"{name.upper()} against SFT, temperature {temperature:g}",
        x="gold win rate, 95 %",
        level=0.5,
        span=(0, 1),
    )
    return page.picture(
        chart, f"To the right of one half, {name.upper()} is better. Squares lie to the left. n: {counts}."
    )


def accuracy(found: Mapping[str, Figure]) -> str:
    """Held-out accuracy against the number of comparisons, if it was measured."""
    sizes: dict[str, dict[int, Figure]] = {"labels": {}, "gold": {}}
    for name, figure in found.items():
        if match := re.fullmatch(r"reward_model/accuracy_(labels|gold)/n=(\d+)", name):
            sizes[match[1]][int(match[2])] = figure
    if not sizes["gold"]:
        return ""
    names = {"labels": "raters' majority", "gold": "gold"}
    lines = [
        Line(
            names[kind],
            sorted(some),
            [some[n].value for n in sorted(some)],
            low=[some[n].low for n in sorted(some)],
            high=[some[n].high for n in sorted(some)],
        )
        for kind, some in sizes.items()
    ]
    n = next(iter(sizes["gold"].values())).n
    return page.pictures(
        page.picture(
            charts.curves(
                lines,
                title="Accuracy against number of comparisons",
                x="comparisons trained on",
                y="held-out accuracy",
                log_x=True,
                dots=True,
            ),
            f"What more judgements are worth. Bars: 95 %, n about {n} held-out comparisons.",
        )
    )


def overoptimisation(sweep: Mapping[str, Sequence[Point]]) -> str:
    """Proxy and gold against KL and against iterations, for each beta."""
    first = next(iter(sweep.values()))[0]

    def proxy(points: Sequence[Point]) -> list[float]:
        return [(p["proxy"] - first["proxy"]) / first["proxy_sd"] for p in points]

    def lines(along: str, values: Any) -> list[Line]:
        return [
            Line(name, smoothed([p[along] for p in points], 5), smoothed(values(points), 5))
            for name, points in sweep.items()
        ]

    def gold(points: Sequence[Point]) -> list[float]:
        return [p["gold"] for p in points]

    score, nats = "score, SFT's standard deviations", "KL from SFT, nats an answer"
    return page.pictures(
        page.picture(
            charts.curves(lines("kl", proxy), title="Proxy against KL", x=nats, y=score),
            "What the score pays for each step away from SFT.",
        ),
        page.picture(
            charts.curves(lines("kl", gold), title="Gold against KL", x=nats, y="gold of an answer"),
            "The same steps at their true price. Where gold turns down, the policy games the reward model.",
        ),
        page.picture(
            charts.curves(lines("iteration", proxy), title="Proxy, by iteration", x="iteration", y=score),
            "All runs use the same reward model and as many steps.",
        ),
        page.picture(
            charts.curves(lines("iteration", gold), title="Gold, by iteration", x="iteration", y="gold of an answer"),
            "Running means over five iterations of 96 answers each.",
        ),
    )


def rounds(found: Mapping[str, Figure]) -> str:
    """Round 2 against round 1, its controls and SFT."""
    rows = [
        ("round 1 over SFT", found["round2/round1_vs_sft"]),
        ("round 2 over SFT", found["round2/round2_vs_sft"]),
        ("round 2 over round 1", found["round2/win_rate_over_round1"]),
        ("… over more steps", found["round2/over_more_steps"]),
        ("… over equal SFT data", found["round2/over_equal_sft"]),
    ]
    chart = charts.intervals(rows, title="What a second round adds", x="gold win rate, 95 %", level=0.5, span=(0, 1))
    return page.pictures(
        page.picture(
            chart,
            "To the right of one half, the first named is better. "
            f"n = {rows[0][1].n} answers to held-out questions for each row, one seed.",
        )
    )


def _metric(points: Sequence[Point], name: str) -> Line:
    """One metric of a run, thinned to what a picture can show, and smoothed."""
    values = [p[name] for p in points if name in p]
    where = [p["step"] for p in points if name in p]
    every = max(len(values) // 150, 1)
    width = max(len(values) // 25, 1)
    return Line("", where[::every], smoothed(values, width)[::every], faint=values[::every])
