"""Put figures and the running example of a demo into README.md, between its marks."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

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


def main() -> None:
    """Rewrite what stands between the marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of a finished demo")
    folder = parser.parse_args().folder
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    parts = {
        "figures": table(json.loads((folder / "summary.json").read_text(encoding="utf-8"))),
        "example": example(json.loads((folder / "example.json").read_text(encoding="utf-8"))),
    }
    for name, part in parts.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text = pattern.sub(lambda match, part=part: f"{match[1]}{part}\n{match[2]}", text)
    (ROOT / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
