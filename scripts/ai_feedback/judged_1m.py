"""What a judge's work costs in a journal of a million judgements, apart from asking: who is left, and the audit.

| name | what it averages |
|---|---|
| `judge/waiting_1M_s` | seconds to find which comparisons a judge has not judged, and to read all their texts |
| `judge/waiting_peak_MB` | the most memory that this process held at once, as the kernel counts it |
| `judge/audit_1M_s` | seconds for `palate judge audit`, of a judge who has judged every comparison in both orders |
| `judge/audit_peak_MB` | the most memory that it held |

`n` is the number of judgements: 700,000 of 40 people and 300,000 of a judge, whose 600,000 opinions stand beside them,
of 300,000 comparisons of 60,000 prompts with answers of 60 words. Each is one run in a process of its own, starting
Python included.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.store import bulk, opinions
from palate.store.journal import Journal
from palate.store.opinions import AIJudge, Said

PROMPTS: Final = 60_000
PER_PROMPT: Final = 5
"""Comparisons of a prompt: each of six answers with the next."""
PEOPLE: Final = 700_000
WORDS: Final = 60
RATERS: Final = 40
JUDGE: Final = AIJudge(name="a judge", model="m")
_AT_ONCE: Final = 4_000
"""Prompts a transaction."""


def figures(seed: int, share: float = 1.0) -> list[dict[str, Any]]:
    """All rows; `share` of the full size, for a trial."""
    with tempfile.TemporaryDirectory() as name:
        made = make(Path(name), seed, share)
        found = {what: timed(what, Path(name)) for what in ("waiting", "audit")}
    rows = []
    for what, told in found.items():
        for figure, value in (("1M_s", told["seconds"]), ("peak_MB", told["peak_MB"])):
            rows.append({"name": f"judge/{what}_{figure}", "value": value, "low": None, "high": None, "n": made})
    return [{**row, "seeds": 1} for row in rows]


def make(folder: Path, seed: int, share: float) -> int:
    """A project of that size in a folder; how many judgements it holds."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(5_000)]
    asked, often = int(PROMPTS * share), PEOPLE / (PROMPTS * PER_PROMPT)
    count = 0
    with Journal.open(folder / "palate.db") as journal:
        judge = opinions.enrol(journal, JUDGE)
        for start in range(0, asked, _AT_ONCE):
            prompts = [
                Prompt.of(f"{number} {' '.join(draw.choices(words, k=12))}?", kind=f"kind {number % 6}")
                for number in range(start, min(start + _AT_ONCE, asked))
            ]
            answers = [
                [
                    Completion(
                        prompt=p.id, text=" ".join(draw.choices(words, k=draw.randint(20, 100))), policy="m", sample=k
                    )
                    for k in range(PER_PROMPT + 1)
                ]
                for p in prompts
            ]
            shown = [
                Comparison(prompt=p.id, first=one.id, second=other.id, source="s")
                for p, some in zip(prompts, answers, strict=True)
                for one, other in pairwise(some)
            ]
            said, told = [], []
            for one in shown:
                p = draw.random()
                told += [
                    Said(
                        comparison=one.id,
                        swapped=s,
                        p_first=min(max(p + draw.gauss(0, 0.1), 0), 1),
                        principle=f"principle {count % 12}",
                    )
                    for s in (False, True)
                ]
                for rater in draw.sample(range(RATERS), int(often) + (draw.random() < often % 1)):
                    verdict = Verdict.FIRST if draw.random() < p else Verdict.SECOND
                    said.append(
                        Judgement(uid=f"u{rater} {one.id}", comparison=one.id, rater=f"r{rater}", verdict=verdict)
                    )
            bulk.add(
                journal, prompts=prompts, completions=[c for some in answers for c in some], comparisons=shown,
                raters=[Rater(f"r{n}") for n in range(RATERS)], judgements=said,
            )  # fmt: skip
            opinions.add(journal, judge, told)
            count += len(said) + len(shown)
    return count


def timed(what: str, folder: Path) -> dict[str, float]:
    """One run in a process of its own."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "scripts.ai_feedback.judged_1m", "--child", what, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = {"seconds": time.monotonic() - begun, **json.loads(done.stdout.splitlines()[-1])}
    print(f"{what}: {found['seconds']:.1f} s, {found['peak_MB']:.0f} MB", file=sys.stderr, flush=True)
    return found


def _child(what: str, folder: Path) -> None:
    if what == "audit":
        from palate.cli.judge import audit

        audit(JUDGE.rater, out=folder)
    else:
        with Journal.open(folder / "palate.db") as journal:
            left = opinions.waiting(journal, opinions.enrol(journal, AIJudge(name="another", model="n")))
            print(sum(len(one.pair.first) for one in left), file=sys.stderr)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"peak_MB": peak_kb / 1024}))


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="of the full size, for a trial")
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(options.child[0], Path(options.child[1]))
        return
    for row in figures(options.seed, options.share):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
