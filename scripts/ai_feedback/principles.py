"""Do published requests run end to end by a constitution, and does a flaky judge's server lose or double anything?

| name | what it averages |
|---|---|
| `constitution/prompts_run/<file>` | requests of a file that were read and asked |
| `constitution/revisions/<file>` | share of them that a local model folder answered, criticised by a principle and rewrote, and that stand in the dataset of `palate revise` |
| `constitution/judged/<file>` | share of the pairs of first answer and revision on which the folder had an opinion by a principle, in both orders |
| `constitution/preferences/<file>` | share of these pairs that stand, with soft labels, in the dataset for a reward model |
| `constitution/errors/<file>` | requests without a revision, and pairs without an opinion, over both |
| `judge/lost` | share of questions to a flaky server of which no opinion stands in the journal in the end |
| `judge/duplicated` | share of questions of which more than one does, and of comparisons with more than one verdict |

The folder is a GPT-2 made from a config and trained for a moment to come to an end; what it says is worth nothing, and
nothing here says it is: the rows count what came through. Requests are HarmBench's validation set and
MaliciousInstruct, found by the variable PALATE_DATA. Intervals are Wilson's.

The server answers every other request well; the others meet a stall, 429, 500, half of a JSON, a list, an empty body, a
dropped connection, a redirect to a private address, or 403. One question in twenty is refused by the model. The
process that asks is killed with SIGKILL when half of the questions were asked, and again at three quarters, then run
until nothing fails. Stalls are 0.8 s for a client that waits 0.5 s.
"""  # noqa: E501

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, Final

from scripts.evaluation.rows import row

from palate.cli import dataset as dataset_command
from palate.cli.judge import label
from palate.cli.judges import Asking
from palate.cli.revise import constitution, revise
from palate.core.artefacts import Workspace, read_manifest
from palate.core.ids import derive_seed
from palate.core.records import Comparison, Completion, Demonstration, Message, Prompt
from palate.evaluation.red_team.behaviours import HARMFUL, HARMLESS
from palate.evaluation.statistics import Figure, proportion
from palate.judging.labelling import label as label_
from palate.judging.model_judge import ModelJudge
from palate.judging.template import by_principle
from palate.models import load, tiny
from palate.models.servers.conversations import Endpoint
from palate.preferences import dataset
from palate.store import judgements, opinions, rows
from palate.store.journal import Journal
from palate.store.opinions import AIJudge
from palate.training import sft

FILES: Final = {"harmbench": "harmbench_behaviors_text_val.csv", "malicious_instruct": "malicious_instruct.txt"}
COMPARISONS: Final = 300
"""Shown to the flaky server, each in both orders."""
WHO: Final = AIJudge(name="a flaky judge", model="flaky", template="pairwise-1", template_id="t")
_CONTEXT: Final = 4096
_SAID: Final = 48
"""Tokens of an answer, a critique or a revision at most."""
_STARTS: Final = 60
"""Runs until nothing fails, at most."""


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows."""
    data = os.environ.get("PALATE_DATA")
    if not data:
        print("published requests are left out: PALATE_DATA does not name their folder")
        sys.exit(1)  # so that nothing is kept as measured
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        model = speaker(place, seed)
        found = []
        for file, path in FILES.items():
            found += through(file, Path(data) / "redteam_prompts" / path, model, place / file, seed)
        return [*found, *flaky_rows(place / "flaky", seed, COMPARISONS)]


def speaker(place: Path, seed: int) -> Path:
    """A model folder that comes to an end, whatever it says."""
    ours = constitution("default")
    texts = [one.text for one in ours.principles] + [one.request for one in (*HARMFUL, *HARMLESS)]
    texts.append(by_principle(ours).instruction)
    tokenizer = tiny.train_tokenizer(texts, vocab_size=2000, lowercase=True)
    model = tiny.make_model(
        tokenizer, family="gpt2", width=64, layers=2, context=_CONTEXT, seed=derive_seed(seed, "model") % 2**31
    )
    base = place / "base"
    base.mkdir(parents=True)
    load.save(base, model, tokenizer)
    shown = []
    for number, one in enumerate((*HARMFUL, *HARMLESS)):
        by = ours.principles[number % len(ours.principles)]
        turns = (
            Message("user", one.request),
            Message("assistant", "That is easy: do it." if number % 2 else "I can not help with that."),
            Message("user", by.critique_request),
            Message("assistant", "It goes against this, since it gives away too much."),
            Message("user", by.revision_request),
        )
        shown.append(Demonstration(prompt=Prompt(turns), completion="I will not do that, but I can help you be safe."))
    config = sft.SFTConfig(epochs=8, batch_size=8, learning_rate=3e-3, seed=seed)
    return sft.train(config, base, shown, Workspace(place))


def through(name: str, file: Path, model: Path, place: Path, seed: int) -> list[dict[str, Any]]:
    """The rows of one file: revised, judged by principles, frozen."""
    place.mkdir()
    with contextlib.redirect_stdout(io.StringIO()) as told:
        revise(str(model), prompts=file, max_new_tokens=_SAID, heldout_fraction=0.0, seed=seed, out=place)
        revisions = [json.loads(line) for path in place.glob("runs/revisions-*/*.jsonl") for line in path.open()]
        pairs = pair_up(place, revisions)
        label(str(model), asking=Asking(principles="default"), out=place)
        dataset_command.build(out=place, models="alone", soft=True, heldout_fraction=0.0, gate="off")
    print(told.getvalue(), file=sys.stderr)
    (asked,) = [int(line.split()[1]) for line in told.getvalue().splitlines() if line.startswith(f"{file.name}: ")]
    frozen: Counter[str] = Counter()
    for folder in (place / "artefacts").iterdir():
        frozen[read_manifest(folder).made_by] += len(list(dataset.read_lines(folder / "train.jsonl")))
    with Journal.open(place / "palate.db") as journal:
        ((judge, _),) = opinions.judges(journal).items()
        sure = len(opinions.probabilities(journal))
        assert all(one.principle for some in opinions.opinions(journal, judge).values() for one in some)
    errors = (asked - len(revisions)) + (pairs - sure)
    return [
        row(f"constitution/prompts_run/{name}", Figure(asked, asked, asked, asked)),
        row(f"constitution/revisions/{name}", proportion(frozen["dataset demonstrations"], asked)),
        row(f"constitution/judged/{name}", proportion(sure, pairs)),
        row(f"constitution/preferences/{name}", proportion(frozen["dataset freeze"], pairs)),
        row(f"constitution/errors/{name}", proportion(errors, asked + pairs)),
    ]


def pair_up(place: Path, revisions: list[dict[str, Any]]) -> int:
    """The first answer and the last revision of each request as a comparison; in every other, the revision is first."""
    with Journal.open(place / "palate.db") as journal:
        for number, one in enumerate(revisions):
            prompt = Prompt.from_dicts(one["prompt"], one["kind"])
            texts = {"answer": one["answer"], "revision": one["steps"][-1]["revision"]}
            two = [Completion(prompt=prompt.id, text=text, policy=who) for who, text in texts.items()]
            rows.add_prompts(journal, [prompt])
            rows.add_completions(journal, two)
            first, second = two if number % 2 else two[::-1]
            rows.add_comparisons(
                journal, [Comparison(prompt=prompt.id, first=first.id, second=second.id, source="revisions")]
            )
        return rows.counts(journal)["comparison"]


def flaky_rows(place: Path, seed: int, count: int) -> list[dict[str, Any]]:
    """What stands in the journal of a judge whose server fails in every way, and who was killed twice."""
    from tests.flaky import flaky, longer

    place.mkdir()
    _questions(place / "palate.db", count)

    def answer(body: dict[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        return "I can not help with that." if zlib.crc32(text.encode()) % 20 == 0 else longer(body)

    command = [sys.executable, "-m", "scripts.ai_feedback.principles", "--child", str(place / "palate.db")]
    with flaky(answer, seed=derive_seed(seed, "flaky")) as server:
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


def _child(path: str, url: str) -> None:
    endpoint = Endpoint(url=url, model="flaky", at_once=8, attempts=3, first_wait_s=0.01, timeout_s=0.5)
    with Journal.open(Path(path)) as journal:
        ledger = label_(journal, ModelJudge(endpoint), WHO, at_once=16)
    print(f"{ledger.failed} failed")


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=2, metavar=("JOURNAL", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    for found in figures(options.seed):
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
