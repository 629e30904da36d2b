"""Is the reward being gamed? What the monitor said while the policy learned, and what it says of the one that came out.

The look at the end has the labels of the evaluation's judge where that is not the reward model itself. Without such
labels the monitor says at most `watch` of a habit that has grown; it says `hacking` of a policy that always says the
same, and where people or a model that is not the reward see that what has grown is paid for and not liked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from palate.core.artefacts import identify
from palate.core.ids import content_id, derive_seed
from palate.core.judges import Judge
from palate.core.monitoring import Action, Level
from palate.evaluation.monitor.watch import FOLDER, LINES, MonitorConfig, RewardMonitor
from palate.rounds.measured import Example, Measured
from palate.rounds.meeting import pursued, referee

if TYPE_CHECKING:
    from palate.rounds.step import Context

PROMPTS: Final = 64
"""Of a look, at most."""
_LEVELS: Final = [str(level) for level in Level]


def looked(context: Context) -> Measured:
    """Verdicts of the run, and of a look at the policy that it left."""
    reward = pursued(context)
    policy = context.path("policy")
    found = _of_run(context.workspace.root / "runs" / policy.name / FOLDER / LINES)
    if reward is not None and context.project.evaluate.look:
        found += _now(context, reward)
    if not found:
        why = "no reward model was pursued" if reward is None else "nobody watched, and [evaluate] look is false"
        return Measured(unmeasured={"monitor": why})
    worst = max(found, key=lambda one: _LEVELS.index(one["level"]))
    level = worst["level"]
    said = [one for one in found if one["level"] == level]
    clear = f"none of {len(found)} checks is alarmed"
    says = clear if level == Level.OK else "; ".join(f"{one['check']}: {one['sentence']}" for one in said[:2])
    evidence = [_example(shown, one["check"]) for one in said for shown in one["evidence"]] if level != Level.OK else []
    checks = [{key: value for key, value in one.items() if key != "evidence"} for one in found]
    return Measured(
        says={"monitor": says}, examples={"monitor": evidence}, told={"monitor": {"level": level, "checks": checks}}
    )


def _of_run(path: Path) -> list[dict[str, Any]]:
    """The last look's verdicts; none of a run that left the policy of an earlier look."""
    if not path.is_file():
        return []
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
    last: dict[str, Any] = json.loads(lines[-1]) if lines else {"action": "", "verdicts": []}
    if last["action"] == Action.ROLL_BACK:
        return []
    return [{**one, "when": "while it learned"} for one in last["verdicts"]]


def _now(context: Context, reward: Path) -> list[dict[str, Any]]:
    """A look at the reference, and one at the policy."""
    config = context.project.evaluate
    judge = _labels(context, reward)
    if len(context.material.heldout) < 2:
        return []
    settings = MonitorConfig(
        prompts=min(config.count, len(context.material.heldout), PROMPTS), answers=4,
        labels=config.labels if judge else 0, back=1, max_new_tokens=config.max_new_tokens,
        seed=derive_seed(config.seed, "look"),
    )  # fmt: skip
    policy = context.path("policy")
    key = content_id("looked", [identify(policy), identify(context.reference), judge.name if judge else ""])
    folder = context.workspace.run_folder(f"looked-{key}-{content_id('look', [str(settings)])}")
    watching = RewardMonitor(
        settings, context.reference, reward, context.material.heldout, judge, folder, context.progress
    )
    watching.look(1, policy, 0.0)
    return [{**one.as_dict(), "when": "of the policy as it is"} for one in watching.finding().verdicts]


def _labels(context: Context, reward: Path) -> Judge | None:
    """Who says what is liked: a judge that is neither people, who are not here, nor the reward model."""
    judging = referee(context)
    if judging is None or judging.inputs.get("judge") == identify(reward):
        return None
    return judging.judge


def _example(shown: Mapping[str, Any], check: str) -> Example:
    return Example(str(shown["prompt"]), str(shown["completion"]), note=f"{check}; score {shown['score']:.2f}")
