"""Labels of reward models in place of people's, in the practice world, where a transformer is trained with DPO.

| name | what it averages |
|---|---|
| `rlaif/practice/win_rate/people` | gold win rate over the SFT model of DPO on some 200 verdicts of people |
| `rlaif/practice/win_rate/judge=<verdicts>` | the same on 2,000 verdicts of a judge that learned from so many of people's |
| `rlaif/practice/accuracy/people` | how often one verdict of a person takes the better by gold |
| `rlaif/practice/accuracy/judge=<verdicts>` | how often the judge does, of two answers of the SFT model to held-out questions |
| `rlaif/practice/kl/people` | nats from the SFT model |
| `rlaif/practice/kl/judge=<verdicts>` | the same for a judge's arm |
| `rlaif/practice/lead/judge=<verdicts>` | win rate of the judge's arm less that of people's, of one seed |
| `rlaif/practice/break_even_accuracy` | judge accuracy at which 2,000 of its verdicts bring the win rate of 200 of people's; the row has `bound` where it was not met |
| `rlaif/practice/break_even_open` | share of the bootstrap's draws in which it was not |

Five seeds; base and SFT model are made anew for each and shared by its arms. All arms take as many steps of DPO from
the SFT model; people's see their labels three times, so that a batch of a judge's is as much larger. Answers to 432
held-out questions at temperature 1. Settings were chosen on another seed. Intervals: Student's 95 % over seeds; of the
break-even, a bootstrap over seeds.
"""  # noqa: E501

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two processes share two cores

from collections.abc import Sequence
from typing import Any

from scripts.ai_feedback import practice
from scripts.evaluation.rows import row

from palate.evaluation.statistics import Figure, over_seeds
from palate.world.ai_feedback.break_even import break_even
from palate.world.ai_feedback.rlaif import Arm


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows."""
    ran = practice.of_seeds("rlaif", seed)
    return rows([[Arm(*told) for told in arms] for arms in ran])


def rows(ran: Sequence[Sequence[Arm]]) -> list[dict[str, Any]]:
    """Figures of all seeds; each has people's arm first."""
    out: list[dict[str, Any]] = []

    def note(what: str, arm: str, values: Sequence[float]) -> None:
        out.append(row(f"rlaif/practice/{what}/{arm.replace(' ', '=')}", over_seeds(values), seeds=len(ran)))

    for arms in zip(*ran, strict=True):
        name = arms[0].name
        note("win_rate", name, [one.win_rate for one in arms])
        note("accuracy", name, [one.accuracy for one in arms])
        note("kl", name, [one.kl_nats for one in arms])
        if name != "people":
            note("lead", name, [one.win_rate - people.win_rate for one, (people, *_) in zip(arms, ran, strict=True)])
    told = [(one, people, number) for number, (people, *judges) in enumerate(ran) for one in judges]
    leads = [one.win_rate - people.win_rate for one, people, _ in told]
    found = break_even([one.accuracy for one, _, _ in told], leads, [at for *_, at in told], groups=len(ran[0]) - 1)
    main = row("rlaif/practice/break_even_accuracy", found.figure, seeds=len(ran))
    open_ = Figure(found.open, found.open, found.open, len(told))
    return [
        *out,
        {**main, "bound": found.side} if found.side else main,
        row("rlaif/practice/break_even_open", open_, seeds=len(ran)),
    ]
