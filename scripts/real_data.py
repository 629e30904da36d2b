"""Real data through the real verbs: pretrain, reward, DPO and PPO; figures into docs/results/real_data.json.

Public files are found by the variable PALATE_DATA. Everything is made in `real-data/`, which is emptied first,
so that the times are those of a whole run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from palate.core.artefacts import read_manifest
from palate.core.records import Preference
from palate.evaluation.statistics import Figure, mean, win_rate
from palate.preferences.dataset import load_preferences

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "real-data"
RESULTS = ROOT / "docs" / "results" / "real_data.json"
PAGE = ROOT / "docs" / "real-data.md"
COMMAND = "PALATE_DATA=… make real-data"
CORPORA = ("alice_pg11.txt", "grimms_fairy_tales_pg2591.txt", "tinyshakespeare.txt")
SETS = {
    "hh_harmless": "hh_harmless_test/split_dev.jsonl",
    "rasbt_pref": "rasbt_pref/instruction-data-with-preference.json",
}
PRETRAIN = "--width 128 --layers 3 --vocab-size 4096 --context 640 --block-tokens 128 --batch-size 16"
REWARD = {
    "hh_harmless": "--heldout-fraction 0.25 --learning-rate 1e-4 --epochs 1",
    "rasbt_pref": "--heldout-fraction 0.25 --learning-rate 1e-3 --epochs 1",
}
DPO = {"hh_harmless": "--learning-rate 1e-4", "rasbt_pref": "--learning-rate 3e-4"}
PPO = (
    "--iterations 20 --rollouts 32 --batch-size 16 --max-new-tokens 48 --learning-rate 3e-4 --critic-learning-rate 3e-4"
)
TOKENS = 10
LOADS = """
import sys
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

folder, kind, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3])
tokenizer = AutoTokenizer.from_pretrained(folder)
inputs = tokenizer("Once upon a time", return_tensors="pt")
family = AutoModelForSequenceClassification if kind == "reward" else AutoModelForCausalLM
model = family.from_pretrained(folder)
with torch.no_grad():
    assert model(input_ids=inputs["input_ids"]).logits.isfinite().all(), "logits are not finite"
if kind == "policy":
    ids = inputs["input_ids"]
    made = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), min_new_tokens=tokens, max_new_tokens=tokens
    )
    assert made.shape[1] == ids.shape[1] + tokens, f"{made.shape[1] - ids.shape[1]} tokens"
assert not [name for name in sys.modules if name.partition(".")[0] == "palate"], "palate was imported"
"""
"""Run in a process of its own, which knows nothing of Palate."""


class Outcome(NamedTuple):
    """What the reward model, or DPO's implicit reward, makes of one held-out pair."""

    prompt: str
    margin: float
    extra_characters: int
    """Of the chosen text."""
    first_turn_is_new: bool
    """No pair that was learned from begins with the same message."""


def main() -> None:
    """Run every verb once, measure, write the figures."""
    data = find_data(os.environ.get("PALATE_DATA", ""))
    began = time.monotonic()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir()
    rows: list[dict[str, Any]] = []
    texts = [data / "tiny_corpora" / name for name in CORPORA]
    base = verb(rows, "time/pretrain", "pretrain", "--text", *texts, *PRETRAIN.split())
    facts = read_manifest(base).facts
    note(rows, "pretrain/loss_nats", facts["loss"], int(facts["tokens"]))
    note(rows, "pretrain/transformers_loads", transformers_loads(base, "policy"))
    for name, file in SETS.items():
        for found in one_set(name, data / file, base):
            rows.append(found)
    note(rows, "time/total_s", time.monotonic() - began)
    write(rows)


def find_data(given: str) -> Path:
    """The folder with the public files, or a sentence and the end."""
    needed = [*(f"tiny_corpora/{name}" for name in CORPORA), *SETS.values()]
    if not given:
        sys.exit(
            "error: PALATE_DATA is not set\n  expected: the folder with the public data\n"
            "  hint: PALATE_DATA=FOLDER make real-data, where FOLDER holds " + ", ".join(needed)
        )
    missing = [name for name in needed if not (Path(given) / name).is_file()]
    if missing:
        sys.exit(f"error: PALATE_DATA lacks files\n  expected: {', '.join(needed)}\n  found: no {', '.join(missing)}")
    return Path(given).resolve()


def one_set(name: str, file: Path, base: Path) -> Iterator[dict[str, Any]]:
    """Reward model, DPO and PPO on one file, and what they are worth."""
    rows: list[dict[str, Any]] = []
    at = f"{name}/"
    reward = verb(rows, at + "time/reward", "reward", "--model", base, "--data", file, *REWARD[name].split())
    dataset = WORK / "artefacts" / read_manifest(reward).inputs["data"]
    train, heldout = load_preferences(dataset), load_preferences(dataset, "heldout")
    shared = prompts_on_both_sides(train, heldout)
    if shared:
        sys.exit(f"error: {len(shared)} prompts of {name} stand on both sides of the split\n  found: {shared[0]}")
    note(rows, at + "prompts_on_both_sides", 0.0, len({p.prompt.id for p in [*train, *heldout]}))
    dpo = verb(rows, at + "time/dpo", "dpo", "--model", base, "--data", dataset, *DPO[name].split())
    for made, what in ((reward, "reward_accuracy"), (dpo, "dpo_accuracy_heldout")):
        found = outcomes(made, train, heldout)
        add(rows, at + what, right(found))
        add(rows, at + what + "/new_first_turn", right([o for o in found if o.first_turn_is_new]))
        if made == reward:
            add(rows, at + "longer_wins", longer_wins(found))
            facts = read_manifest(made).facts
            note(rows, at + "train_pairs", facts["preferences"])
            note(rows, at + "train_pairs_too_long", facts["too_long"], len(train))
            note(rows, at + "heldout_pairs_not_scored", len(heldout) - len(found), len(heldout))
    arguments = ("--model", base, "--reward", reward, "--data", dataset, *PPO.split())
    ppo = verb(rows, at + "time/ppo", "ppo", *arguments)
    note(rows, at + "ppo_steps", len(lines(ppo, "metrics.jsonl")))
    note(rows, at + "ppo_prompts_too_long", read_manifest(ppo).facts["prompts_too_long"])
    samples = lines(ppo, "samples.jsonl")
    for when, part in first_and_last(samples).items():
        prompts = [s["prompt_id"] for s in part]
        add(rows, at + f"ppo_score/{when}", mean([s["score"] for s in part], prompts))
        add(rows, at + f"ppo_finished/{when}", mean([float(s["finished"]) for s in part], prompts))
    note(rows, at + "ppo_kl_nats", read_manifest(ppo).facts["kl/policy_reference_nats"])
    for what, folder, kind in (("reward", reward, "reward"), ("dpo", dpo, "policy"), ("ppo", ppo, "policy")):
        note(rows, at + f"{what}/transformers_loads", transformers_loads(folder, kind))
    yield from rows


def verb(rows: list[dict[str, Any]], name: str, *arguments: object) -> Path:
    """`palate train …` as a person types it; its time goes into the figures. Returns the artefact's folder."""
    command = [str(Path(sys.executable).with_name("palate")), "train", *map(str, arguments), "--out", str(WORK)]
    data = str(Path(os.environ["PALATE_DATA"]).resolve())
    shown = " ".join(command[1:]).replace(data, "$PALATE_DATA").replace(f"{ROOT}/", "")
    print(f"• palate {shown}", flush=True)
    began = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    note(rows, name + "_s", time.monotonic() - began)
    *told, folder = done.stdout.splitlines()
    print("\n".join(f"  {line.strip()}" for line in told), flush=True)
    return Path(folder)


def prompts_on_both_sides(train: Sequence[Preference], heldout: Sequence[Preference]) -> list[str]:
    """Texts of prompts that stand on both sides of a split, compared by what is said and not by id."""
    sides = [{json.dumps(p.prompt.as_dicts(), ensure_ascii=False) for p in rows} for rows in (train, heldout)]
    return sorted(sides[0] & sides[1])


def outcomes(made: Path, train: Sequence[Preference], heldout: Sequence[Preference]) -> list[Outcome]:
    """What a run's `heldout.jsonl` says, with what the dataset knows of each pair."""
    known = {p.comparison: p for p in heldout}
    begun = {p.prompt.messages[0].content for p in train}
    found = []
    for line in lines(made, "heldout.jsonl"):
        pair = known[line["comparison"]]
        extra = len(pair.chosen) - len(pair.rejected)
        found.append(Outcome(pair.prompt.id, line["margin"], extra, pair.prompt.messages[0].content not in begun))
    return found


def right(found: Sequence[Outcome]) -> Figure:
    """How often the chosen side gets the higher score; ties count half; pairs of a prompt stay together."""
    return win_rate([o.margin for o in found], [0.0] * len(found), [o.prompt for o in found])


def longer_wins(found: Sequence[Outcome]) -> Figure:
    """How often the chosen text is the longer one, in characters, on the same pairs; ties count half."""
    return win_rate([float(o.extra_characters) for o in found], [0.0] * len(found), [o.prompt for o in found])


def first_and_last(samples: Sequence[dict[str, Any]], iterations: int = 4) -> dict[str, list[dict[str, Any]]]:
    """The completions of the first and of the last iterations."""
    last = max(s["iteration"] for s in samples)
    return {
        "first": [s for s in samples if s["iteration"] < iterations],
        "last": [s for s in samples if s["iteration"] > last - iterations],
    }


def transformers_loads(folder: Path, kind: str) -> float:
    """1 if a fresh process with nothing but transformers opens a model and uses it, else 0."""
    command = [sys.executable, "-I", "-c", LOADS, str(folder), kind, str(TOKENS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=WORK)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    return float(done.returncode == 0)


def lines(made: Path, name: str) -> list[dict[str, Any]]:
    """A file of JSON lines in the folder of the run that made an artefact."""
    text = (WORK / "runs" / made.name / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def add(rows: list[dict[str, Any]], name: str, figure: Figure) -> None:
    """A figure with its interval."""
    date = datetime.now(UTC).date().isoformat()
    spread = {"value": figure.value, "low": figure.low, "high": figure.high, "n": figure.n}
    rows.append({"name": f"real/{name}", **spread, "seeds": 1, "command": COMMAND, "date": date})
    print(f"  {rows[-1]['name']}: {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}, n {figure.n})", flush=True)


def note(rows: list[dict[str, Any]], name: str, value: float, n: int = 1) -> None:
    """A count, a time, or a yes or no: nothing that has an interval."""
    date = datetime.now(UTC).date().isoformat()
    spread = {"value": round(float(value), 4), "low": None, "high": None, "n": n}
    rows.append({"name": f"real/{name}", **spread, "seeds": 1, "command": COMMAND, "date": date})


def write(rows: Sequence[dict[str, Any]]) -> None:
    """The figures as JSON, and those that the page shows between its marks."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(list(rows), indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    print(f"{len(rows)} figures in {RESULTS.relative_to(ROOT)}")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(quoted(page, rows), encoding="utf-8")


def quoted(page: str, rows: Sequence[dict[str, Any]]) -> str:
    """The page with the table between its marks made anew."""
    told = ["| figure | value | 95 % interval | n |", "|---|--:|---|--:|"]
    for row in rows:
        interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        value = f"{row['value']:.3f}" if interval or row["value"] % 1 else f"{row['value']:.0f}"
        told.append(f"| `{row['name']}` | {value} | {interval} | {row['n']} |")
    pattern = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}{chr(10).join(told)}\n{match[2]}", page)


if __name__ == "__main__":
    main()
