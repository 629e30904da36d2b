"""What the new policy is worth beside the one before it, and what it cost: a win rate, a red team, skills that were kept.

The reward model that it was trained to please is the judge where no other is named; that is said with the figure.
Each part leaves its own artefact or keeps what it found, so a step that was cut off asks nobody twice; the evaluation
names them all.
"""  # noqa: E501

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from palate.core.artefacts import Manifest, identify
from palate.core.errors import ConfigError
from palate.core.ids import content_id

if TYPE_CHECKING:
    from palate.rounds.measured import Measured
    from palate.rounds.step import Context, Outcome

FILE: Final = "evaluation.json"
ASKED: Final = ("behaviours", "benign", "questions")
"""Settings that name a file."""
_RED_TEAMS: Final = ("off", "direct", "small", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """`[evaluate]`: how the new policy is held against the one before it."""

    judge: str = ""
    """people, practice (the raters of the practice world), or a model that judges: a folder or an address. "" takes the
    reward model that the policy was trained to please, which is no independent judge; a round without one asks
    people."""
    count: int = 64
    """Held-out prompts."""
    samples: int = 1
    """Answers to each, of either policy."""
    judgements: int = 2
    """With people: wanted of each pair."""
    enough: float = 1.0
    """With people: share of the pairs that must be judged before the round goes on."""
    temperature: float = 0.5
    max_new_tokens: int = 256
    red_team: str = "small"
    """Attacks on the new policy and on the one before: off; direct, the bare requests; small, some families; full, all
    of them, and searches."""
    behaviours: str = ""
    """A file of harmful requests of your own; "" takes a few that name no detail."""
    over_refusal: bool = True
    """Whether harmless requests that look harmful are asked too."""
    benign: str = ""
    """A file of such requests."""
    knowledge: bool = True
    """Whether questions with known answers are asked of the new policy and of the reference."""
    questions: str = ""
    """A file of such questions."""
    one_turn: bool = False
    """Attacks of several turns as one text, for models that know no turns."""
    look: bool = True
    """Whether the reward-hacking monitor looks at the policy that came out, where it pursued a reward model."""
    labels: int = 100
    """Opinions of the judge in that look, where the judge is a model and not the reward."""
    demonstrations: int = 256
    """Held-out demonstrations that fluency is measured on."""
    seed: int = 0

    def __post_init__(self) -> None:
        least = {
            "count": 2, "samples": 1, "judgements": 1, "max_new_tokens": 1, "labels": 0, "demonstrations": 0,
        }  # fmt: skip
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ConfigError(f"[evaluate] {name} is too small", expected=f"{smallest} or more",
                                  found=str(getattr(self, name)))  # fmt: skip
        if self.red_team not in _RED_TEAMS:
            raise ConfigError("there is no such red team", where="[evaluate] red_team",
                              expected=", ".join(_RED_TEAMS), found=repr(self.red_team))  # fmt: skip
        if not 0 < self.enough <= 1 or self.temperature < 0:
            raise ConfigError("[evaluate] cannot work", expected="enough above 0 and up to 1, temperature 0 or more",
                              found=f"{self.enough:g} and {self.temperature:g}")  # fmt: skip


def evaluate(context: Context) -> Outcome:
    """Hold the new policy against the one before.

    Where people judge, their pairs are queued first and everything else is measured meanwhile; the step waits until
    enough of them are judged.
    """
    from palate.rounds import examining, kept_skills, meeting, suspicion
    from palate.rounds.step import Done, Waiting

    met = meeting.held(context)
    found = examining.examined(context)
    for name, measure in (("fluency", kept_skills.fluency), ("distance", kept_skills.distance)):
        found = found.with_(_kept(context, name, measure))
    found = found.with_(suspicion.looked(context))
    if met.open:
        waiting = f"{met.open} of {met.pairs} pairs of answers wait for people to compare them"
        return Waiting(waiting, {"open": met.open, "pairs": met.pairs})
    found = met.measured.with_(found)
    made = context.workspace.put(_manifest(context, found), lambda folder: _write(folder / FILE, found))
    return Done(made, {name: figure.value for name, figure in found.figures.items() if figure.n})


def _manifest(context: Context, found: Measured) -> Manifest:
    policy, last, reference = context.path("policy"), context.last, context.reference
    inputs = {"policy": identify(policy), "before": identify(last), "reference": identify(reference), **found.inputs}
    inputs["heldout"] = f"prompts-{content_id('prompts', [prompt.id for prompt in context.material.heldout])}"
    if context.material.demonstrations is not None:
        inputs["demonstrations"] = identify(context.material.demonstrations)
    facts = {name: figure.value for name, figure in found.figures.items() if figure.n}
    told = {"found": content_id("found", found.as_dict())}
    config = {**asdict(context.project.evaluate), **told}
    return Manifest(kind="evaluation", made_by="round evaluate", config=config, inputs=inputs, facts=facts)


def _kept(context: Context, name: str, measure: Callable[[Context], Measured]) -> Measured:
    """A measurement, or what it came to before the step was cut off or people had to be waited for."""
    from palate.evaluation.pieces import Kept
    from palate.rounds import measured

    config = context.project.evaluate
    asked = [identify(context.path("policy")), identify(context.reference), asdict(config)]
    asked.append([prompt.id for prompt in context.material.heldout])
    asked.append(identify(context.material.demonstrations) if context.material.demonstrations else "")
    keep = Kept(context.workspace.run_folder(f"evaluated-{content_id('evaluated', asked)}") / "measured.jsonl")
    if name not in keep.rows:
        keep.add({name: measure(context).as_dict()})
    return measured.of(keep.rows[name])


def _write(path: Path, found: Measured) -> None:
    text = json.dumps(found.as_dict(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
