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
until nothing fails. Stalls are 3 s for a client that waits 2 s.
"""  # noqa: E501

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

from scripts.ai_feedback import flaky_judge
from scripts.evaluation.rows import row

from palate.cli import dataset as dataset_command
from palate.cli.judge import label
from palate.cli.judges import Asking
from palate.cli.revise import constitution, revise
from palate.core.artefacts import Workspace, read_manifest
from palate.core.ids import derive_seed
from palate.core.records import Comparison, Completion, Demonstration, Message, Prompt
from palate.evaluation.red_team.behaviours import BENIGN, HARMFUL
from palate.evaluation.statistics import Figure, proportion
from palate.judging.template import by_principle
from palate.models import load, tiny
from palate.preferences import dataset
from palate.store import opinions, rows
from palate.store.journal import Journal
from palate.training import sft

FILES: Final = {"harmbench": "harmbench_behaviors_text_val.csv", "malicious_instruct": "malicious_instruct.txt"}
_CONTEXT: Final = 4096
_SAID: Final = 48
"""Tokens of an answer, a critique or a revision at most."""


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
        return [*found, *flaky_judge.kept_rows(place / "flaky", seed)]


def speaker(place: Path, seed: int) -> Path:
    """A model folder that comes to an end, whatever it says."""
    ours = constitution("default")
    texts = [one.text for one in ours.principles] + [one.request for one in (*HARMFUL, *BENIGN)]
    texts.append(by_principle(ours).instruction)
    tokenizer = tiny.train_tokenizer(texts, vocab_size=2000, lowercase=True)
    model = tiny.make_model(
        tokenizer, family="gpt2", width=64, layers=2, context=_CONTEXT, seed=derive_seed(seed, "model") % 2**31
    )
    base = place / "base"
    base.mkdir(parents=True)
    load.save(base, model, tokenizer)
    shown = []
    for number, one in enumerate((*HARMFUL, *BENIGN)):
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


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for found in figures(options.seed):
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
