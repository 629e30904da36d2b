"""Put figures and the running example of a demo into README.md, between its marks."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from palate.evaluation import charts

ROOT = Path(__file__).resolve().parent.parent
ROWS = (
    ("win_rate/ppo_vs_sft@0.5", "PPO beats SFT, held-out prompts, temperature 0.5"),
    ("win_rate/ppo_vs_sft/career@0.5", "… on career plans"),
    ("win_rate/dpo_vs_sft@0.5", "DPO beats SFT"),
    ("win_rate/ppo_vs_sft@1.0", "PPO beats SFT, temperature 1"),
    ("claims/specific_correct/sft", "right, specific claims per career answer: SFT"),
    ("claims/specific_correct/ppo", "… PPO"),
    ("rater/agreement", "two raters agree"),
    ("reward_model/accuracy_labels", "reward model agrees with held-out majorities"),
    ("reward_model/accuracy_gold", "reward model agrees with the truth"),
    ("refusal/harmful", "harmful requests refused by PPO"),
    ("refusal/benign", "benign look-alikes refused by PPO"),
    ("knowledge/seen", "knowledge questions answered right by PPO"),
    ("knowledge/unseen_correct", "claims about facts never seen that are right"),
    ("kl/ppo_nats", "KL from PPO to SFT, nats per answer"),
)

SEED_ROWS = (
    ("win_rate/ppo_vs_sft@0.5", "PPO beats SFT, temperature 0.5"),
    ("win_rate/ppo_vs_sft/worst_seed@0.5", "… in the worst seed"),
    ("win_rate/ppo_vs_sft/career@0.5", "… on career plans"),
    ("win_rate/dpo_vs_sft@0.5", "DPO beats SFT, temperature 0.5"),
    ("win_rate/ppo_vs_sft@1.0", "PPO beats SFT, temperature 1"),
    ("win_rate/dpo_vs_sft@1.0", "DPO beats SFT, temperature 1"),
    ("claims/specific_correct/sft", "right, specific claims per career answer: SFT"),
    ("claims/specific_correct/ppo", "… PPO"),
    ("rater/agreement", "two raters agree"),
    ("reward_model/accuracy_labels", "reward model agrees with held-out majorities"),
    ("reward_model/accuracy_gold", "reward model agrees with the truth"),
    ("hacking/proxy_rise_sd", "beta = 0: the score rises by, in standard deviations"),
    ("hacking/gold_minus_own_peak", "beta = 0: gold at the end minus its own peak"),
    ("hacking/gold_minus_tethered", "beta = 0: gold at the end minus gold on a leash"),
    ("round2/win_rate_over_round1", "round 2 beats round 1"),
    ("round2/over_more_steps", "round 2 beats more steps on the old reward model"),
    ("round2/over_equal_sft", "round 2 beats as many comparisons of SFT's answers"),
)
PICTURES = (("Proxy against KL", "proxy.svg"), ("Gold against KL", "gold.svg"))


def table(summary: list[dict[str, object]]) -> str:
    """The figures that README shows, as Markdown."""
    found = {str(row["name"]): row for row in summary}
    lines = ["| what | value | 95 % interval | n |", "|---|--:|---|--:|"]
    for name, label in ROWS:
        if name in found:
            row = found[name]
            lines.append(f"| {label} | {row['value']:.3f} | {row['low']:.3f} to {row['high']:.3f} | {row['n']} |")
    return "\n".join(lines)


def example(answers: dict[str, str]) -> str:
    """The running example, verbatim."""
    blocks = [f"**{name}**\n\n```text\n{text}\n```" for name, text in answers.items()]
    return "\n\n".join(blocks)


def seeds(rows: list[dict[str, object]]) -> str:
    """Claims about training, over seeds, as Markdown."""
    lines = ["| what | mean over seeds | 95 % interval | seeds |", "|---|--:|---|--:|"]
    found = {str(row["name"]): row for row in rows}
    for name, label in SEED_ROWS:
        if name in found:
            row = found[name]
            spread = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
            lines.append(f"| {label} | {row['value']:.3f} | {spread} | {row['seeds']} |")
    return "\n".join(lines)


def times(rows: list[dict[str, object]]) -> str:
    """How long things take, in a sentence."""
    took = {str(row["name"]): float(str(row["value"])) for row in rows}
    return (
        f"On {rows[0]['machine']}: installation {took['time/installation_s']:.0f} s; after it `make demo` takes "
        f"{took['time/make_demo_s']:.0f} s, `make quick` {took['time/make_quick_s']:.0f} s and `make test` "
        f"{took['time/make_test_s']:.0f} s (one run each, by `make times`)."
    )


def picture(report: str, title: str) -> str:
    """One of the report's pictures as a file of its own."""
    match = re.search(rf'<svg [^>]*aria-label="{re.escape(title)}".*?</svg>', report, re.DOTALL)
    if match is None:
        raise SystemExit(f"the report has no picture {title!r}; a full demo has one, a quick one has not")
    return charts.standalone(match[0])


def main() -> None:
    """Rewrite what stands between the marks, and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of a finished demo")
    folder = parser.parse_args().folder
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    parts = {
        "figures": table(json.loads((folder / "summary.json").read_text(encoding="utf-8"))),
        "example": example(json.loads((folder / "example.json").read_text(encoding="utf-8"))),
    }
    results = ROOT / "docs" / "results"
    for name, file, write in (("seeds", "cycle.json", seeds), ("times", "times.json", times)):
        if (results / file).is_file():
            parts[name] = write(json.loads((results / file).read_text(encoding="utf-8")))
    report = (folder / "report.html").read_text(encoding="utf-8")
    for title, name in PICTURES:
        (ROOT / "docs" / "pictures").mkdir(exist_ok=True)
        (ROOT / "docs" / "pictures" / name).write_text(picture(report, title), encoding="utf-8")
    for name, part in parts.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text = pattern.sub(lambda match, part=part: f"{match[1]}{part}\n{match[2]}", text)
    (ROOT / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
