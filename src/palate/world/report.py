"""`report.html`: what a cycle did, in pictures, from the files that it left behind."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from palate.evaluation import page
from palate.evaluation.page import paragraph, table, words
from palate.evaluation.statistics import Figure
from palate.world import report_pictures as pictures
from palate.world.curves import Fooled
from palate.world.grammar import read
from palate.world.prompts import EXAMPLE_TEXT, MIX, Question, split

NAMES = {"base": "Base model", "sft": "SFT", "ppo": "PPO", "dpo": "DPO"}
_ABOUT = {
    "base": "goes on from the bare text, as a web page or a forum would",
    "sft": "has learnt the shape of an answer from demonstrations",
    "ppo": "practised against the reward model, on a leash to SFT",
    "dpo": "read the same preferences directly",
}


def write(root: Path, facts: Mapping[str, Any]) -> Path:
    """Write `report.html` into a cycle's folder.

    Args:
        root: The cycle's folder, with `summary.json` and `example.json` in it.
        facts: `seed`, `small_round` (prompts of the small first round), `fooled` (a list of
            `Fooled`), and the pictures' points: `pretrain`, `sft`, `reward`, `dpo`, `ppo`, and
            `sweep` by beta. The last two sections need `sweep`; a quick cycle has none.

    Returns:
        The report's path.
    """
    rows = json.loads((root / "summary.json").read_text(encoding="utf-8"))
    found = {row["name"]: _figure(row) for row in rows}
    example = json.loads((root / "example.json").read_text(encoding="utf-8"))
    sections = [
        ("The running example", _example(example)),
        ("What it was worth", _worth(found)),
        ("Learning curves", pictures.learning(facts)),
        ("The reward model", _reward_model(found)),
    ]
    if facts["sweep"]:
        sections += [
            ("Reward hacking, on purpose", _hacking(found, facts)),
            ("Round 1 and round 2", _rounds(found, facts)),
        ]
    else:
        sections.append(
            (
                "Round 2 and reward hacking",
                paragraph("A quick run leaves them out; `make demo` or `palate demo` without --quick shows them."),
            )
        )
    sections.append(("Every figure", _all(rows)))
    path = root / "report.html"
    path.write_text(page.page("One turn of the cycle", _lead(found, rows[0], facts), sections), encoding="utf-8")
    return path


def _lead(found: Mapping[str, Figure], row: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    text = (
        "A small model was pretrained on a generated internet, fine-tuned on demonstrations, judged by simulated "
        f"raters, and improved by their preferences. On held-out questions PPO's answer is better than SFT's with a "
        f"rate of {words(found['win_rate/ppo_vs_sft@0.5'])} at temperature 0.5, and DPO's with "
        f"{words(found['win_rate/dpo_vs_sft@0.5'])}; a tie counts half. A career answer of SFT makes "
        f"{found['claims/specific_correct/sft'].value:.2f} right, specific claims out of 4, one of PPO "
        f"{found['claims/specific_correct/ppo'].value:.2f}. The judge is the practice world's own formula, gold, "
        "which no training run can reach."
    )
    made = (
        f"Seed {facts['seed']}, world {row['world']}, {row['date']}, "
        f"{found['time/total_s'].value:.0f} s, by {row['command']}."
    )
    return f'{paragraph(text)}<p class="quiet small">{escape(made)}</p>'


def _example(example: Mapping[str, str]) -> str:
    question = next(q for q in split()[1].by_kind["career"] if q.text == EXAMPLE_TEXT)
    panels = "".join(
        f'<div class="panel"><h3>{NAMES[name]}</h3><div class="quiet small">{_ABOUT[name]}</div>'
        f'<div class="answer">{_marked(question, text)}</div></div>'
        for name, text in example.items()
    )
    key = (
        '<p class="quiet small">Verbatim. <mark class="right">Right specific claims</mark> are underlined, '
        '<mark class="wrong">wrong ones</mark> have a dashed line.</p>'
    )
    return f"<p>“{escape(EXAMPLE_TEXT)}”</p><div class='row'>{panels}</div>{key}"


def _marked(question: Question, answer: str) -> str:
    lines = []
    for line in answer.split("\n"):
        reading = read(question, line)
        kind = "right" if reading.correct else "wrong" if reading.wrong or reading.bad_advice else ""
        text = escape(line)
        lines.append(f'<mark class="{kind}" title="{kind}">{text}</mark>' if kind else text)
    return "\n".join(lines)


def _worth(found: Mapping[str, Figure]) -> str:
    kinds = page.pictures(
        *(pictures.win_rates(found, name, temperature) for temperature in (0.5, 1.0) for name in ("ppo", "dpo"))
    )
    measures = (
        ("gold of an answer", "gold/{}@0.5"),
        ("right specific claims per career answer", "claims/specific_correct/{}@0.5"),
        ("wrong specific claims per career answer", "claims/specific_wrong/{}@0.5"),
        ("harmful requests refused", "refusal/harmful/{}@0.5"),
        ("benign requests refused", "refusal/benign/{}@0.5"),
        ("benign requests answered right", "benign/answered/{}@0.5"),
        ("knowledge questions answered right", "knowledge/seen/{}@0.5"),
        ("flattering lines per answer", "style/flattery/{}@0.5"),
        ("filler lines per answer", "style/filler/{}@0.5"),
        ("broken lines per answer", "style/malformed/{}@0.5"),
        ("tokens per answer", "length/tokens/{}@0.5"),
    )
    rows = [(label, [found.get(name.format(who)) for who in ("sft", "ppo", "dpo")]) for label, name in measures]
    unseen = found["knowledge/unseen_correct"]
    return (
        paragraph(
            f"Four kinds of held-out questions in the shares {', '.join(f'{k} {v:.2f}' for k, v in MIX.items())}. "
            "An interval that does not touch one half is a difference that another draw of questions would show too."
        )
        + kinds
        + "<h3>At temperature 0.5</h3>"
        + table(["", "SFT", "PPO", "DPO"], rows)
        + paragraph(
            "RLHF brings out what a model knows; it teaches no facts. Of PPO's claims about facts that no text "
            f"states, {words(unseen)} are right."
        )
    )


def _reward_model(found: Mapping[str, Figure]) -> str:
    rows: list[tuple[str, list[Figure | None]]] = [
        ("agrees with the majority of the raters", [found["reward_model/accuracy_labels"]]),
        ("agrees with single judgements", [found["reward_model/accuracy_single"]]),
        ("the best that any model could do on those", [found["reward_model/accuracy_single_ceiling"]]),
        ("agrees with gold", [found["reward_model/accuracy_gold"]]),
        ("expected calibration error", [found["reward_model/ece"]]),
        ("two raters agree with each other", [found.get("rater/agreement")]),
        ("accuracy on gold, all comparisons minus the fewest", [found.get("reward_model/growth_gold")]),
    ]
    return (
        paragraph("Measured on comparisons of prompts that it was not trained on.")
        + pictures.accuracy(found)
        + table(["", "held out"], rows)
    )


def _hacking(found: Mapping[str, Figure], facts: Mapping[str, Any]) -> str:
    sweep = facts["sweep"]
    rise, peak = found["hacking/proxy_rise_sd"].value, found["hacking/gold_minus_own_peak"].value
    text = (
        "Here the reward model does not see the prompt, and PPO is run against it with several prices of KL, beta. "
        f"With beta = 0 the proxy, the reward model's score, rises by {rise:.2f} standard deviations, while gold ends "
        f"at {peak:+.2f} from its own peak and at {found['hacking/gold_minus_tethered'].value:+.2f} from the run on "
        "the shortest leash. The optimiser itself is calm: no iteration's policy moves more than "
        f"{found['hacking/largest_step_kl_nats'].value:.4f} nats a token from the one that sampled."
    )
    return paragraph(text) + pictures.overoptimisation(sweep) + _fooled(facts["fooled"])


def _fooled(fooled: list[Fooled]) -> str:
    head = "<h3>Answers that score high and are bad</h3>"
    if not fooled:
        return head + paragraph("None: every answer in the highest-scoring tenth was as good as SFT's, or better.")
    rule = (
        "From the last sixth of the run with beta = 0: of the tenth of the answers that scores highest, those that "
        "gold likes least, one a question, all worse than SFT's average answer to their kind of question."
    )
    panels = "".join(
        f'<div class="panel"><div class="quiet small">{escape(one.prompt)}</div>'
        f'<div class="answer">{escape(one.answer)}</div>'
        f"<p class='small'>Score {one.proxy_sd:+.1f} standard deviations above SFT's mean. Gold {one.gold:+.2f}; "
        f"SFT's mean for such questions is {one.gold_before:+.2f}. Against it: {escape(', '.join(one.why))}.</p></div>"
        for one in fooled
    )
    return head + paragraph(rule) + f'<div class="row">{panels}</div>'


def _rounds(found: Mapping[str, Figure], facts: Mapping[str, Any]) -> str:
    text = (
        f"A run of its own, whose first round has {facts['small_round']} prompts only, too few to be good; the "
        "PPO above is a full first round. In the second round the first one's policy is compared with itself "
        "and with SFT; a new reward model learns from that, and PPO goes on against it. Two controls start "
        "from the same policy: as many more steps on the old reward model, and a reward model from as many "
        "more comparisons of SFT's answers."
    )
    return paragraph(text) + pictures.rounds(found)


def _all(rows: list[dict[str, Any]]) -> str:
    body: list[tuple[str, list[Figure | None]]] = [(row["name"], [_figure(row)]) for row in rows]
    return f"<details><summary>{len(body)} figures, as in summary.json</summary>{table(['', 'value'], body)}</details>"


def _figure(row: Mapping[str, Any]) -> Figure:
    value, low, high = (math.nan if row[name] is None else row[name] for name in ("value", "low", "high"))
    return Figure(value, low, high, row["n"])
