"""A judge behind a server that fails in every way, killed twice: what stands in the journal in the end.

What the rows are is told in `scripts.ai_feedback.principles`, whose cell they belong to.
"""

from __future__ import annotations

import subprocess
import sys
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, Final

from scripts.evaluation.rows import row

from palate.core.ids import derive_seed
from palate.core.records import Comparison, Completion, Prompt
from palate.evaluation.statistics import proportion
from palate.judging.labelling import label
from palate.judging.model_judge import ModelJudge
from palate.models.servers.conversations import Endpoint
from palate.store import judgements, opinions, rows
from palate.store.journal import Journal
from palate.store.opinions import AIJudge

COMPARISONS: Final = 300
"""Shown to the flaky server, each in both orders."""
WHO: Final = AIJudge(name="a flaky judge", model="flaky", template="pairwise-1", template_id="t")
STALL_S: Final = 3.0
WAITS_S: Final = 2.0
"""Before the client gives up."""
_STARTS: Final = 60
"""Runs until nothing fails, at most."""


def kept_rows(place: Path, seed: int, count: int = COMPARISONS) -> list[dict[str, Any]]:
    """What stands in the journal of a judge whose server fails in every way, and who was killed twice."""
    from tests.flaky import flaky, longer

    place.mkdir()
    _questions(place / "palate.db", count)

    def answer(body: dict[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        return "I can not help with that." if zlib.crc32(text.encode()) % 20 == 0 else longer(body)

    command = [sys.executable, "-m", "scripts.ai_feedback.flaky_judge", str(place / "palate.db")]
    with flaky(answer, seed=derive_seed(seed, "flaky"), stall_s=STALL_S) as server:
        for share in (0.5, 0.75):
            with subprocess.Popen([*command, server.url]) as process:
                while len(server.questions) < share * 2 * count and process.poll() is None:
                    time.sleep(0.02)
                process.kill()
        for _ in range(_STARTS):
            done = subprocess.run([*command, server.url], check=True, stdout=subprocess.PIPE, text=True)
            if done.stdout.splitlines()[-1] == "0 failed":
                break
        print(f"{dict(server.met)}; redirects followed: {server.private.is_set()}", file=sys.stderr)
        assert not server.private.is_set()
    return _kept(place / "palate.db", count)


def _kept(path: Path, count: int) -> list[dict[str, Any]]:
    with Journal.open(path) as journal:
        found = Counter((id, one.swapped) for id, some in opinions.opinions(journal, WHO.rater).items() for one in some)
        verdicts = Counter(j.comparison for j in judgements.judgements(journal, current=False))
        every = [one.id for one in rows.comparisons(journal)]
    lost = sum(not found[id, swapped] for id in every for swapped in (False, True))
    lost += sum(not verdicts[id] for id in every if found[id, False] and found[id, True])
    double = sum(often > 1 for often in found.values()) + sum(often > 1 for often in verdicts.values())
    return [row("judge/lost", proportion(lost, 2 * count)), row("judge/duplicated", proportion(double, 3 * count))]


def _questions(path: Path, count: int) -> None:
    """Comparisons of a longer answer with a shorter one, which comes first in every other."""
    with Journal.open(path) as journal:
        for number in range(count):
            prompt = Prompt.of(f"question {number}?")
            texts = ("a longer answer", "short")[:: 1 if number % 2 else -1]
            two = [Completion(prompt=prompt.id, text=text, policy=f"p{k}") for k, text in enumerate(texts)]
            rows.add_prompts(journal, [prompt])
            rows.add_completions(journal, two)
            rows.add_comparisons(journal, [Comparison(prompt=prompt.id, first=two[0].id, second=two[1].id, source="s")])


def main() -> None:
    """Judge what is left to judge; the process that is killed."""
    path, url = sys.argv[1:]
    endpoint = Endpoint(url=url, model="flaky", at_once=8, attempts=3, first_wait_s=0.01, timeout_s=WAITS_S)
    with Journal.open(Path(path)) as journal:
        ledger = label(journal, ModelJudge(endpoint), WHO, at_once=16)
    print(f"{ledger.failed} failed")


if __name__ == "__main__":
    main()
