"""The monitor at work: it looks at a policy, keeps what it saw, gives its verdicts, and says what a run shall do.

A look samples answers of the policy to the audit's prompts, scores them, asks how probable they are to the policy of
some looks ago and to the reference, and has pairs of them judged. The same serves a live run, which saves its policy
now and then, and a row of released models. What was seen stands in a folder, so that a run that was killed finds it
again, and no label is asked for twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from palate.core.artefacts import identify
from palate.core.errors import ConfigError, DataError
from palate.core.ids import content_id, derive_seed
from palate.core.judges import Judge, Pair
from palate.core.monitoring import Action, Level, Order
from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt
from palate.evaluation.features import Axes, axes_of
from palate.evaluation.monitor import audit
from palate.evaluation.monitor.audit import Look, Slope
from palate.evaluation.monitor.checks import Seen, Verdict, verdicts
from palate.evaluation.monitor.habits import counted
from palate.evaluation.monitor.readings import Reading, read

FOLDER: Final = "monitor"
LINES: Final = "monitor.jsonl"
"""In the monitor's folder: a line a look, with its verdicts."""
AXES: Final = 16
"""Directions of the reference's hidden states that describe an answer, besides its habits and scores."""
OnAlarm = Literal["note", "stop", "raise-beta", "roll-back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorConfig:
    """Settings of a monitor."""

    every: int = 4
    """Iterations from look to look."""
    prompts: int = 64
    """Of the audit, the same at every look."""
    answers: int = 4
    """To each prompt; 8 or more allow a forecast of the peak."""
    labels: int = 100
    """Pairs of a look that are judged; 0 asks nobody, and then habits are watched and no more."""
    back: int = 2
    """Looks over which the policy's movement is measured."""
    budget_nats: float = 0.0
    """KL that the run may spend; 0 sets no limit."""
    on_alarm: OnAlarm = "note"
    """note: say it, and go on. stop: end the run. raise-beta: double the price of KL. roll-back: go on until the peak
    is surely past, and leave the policy that was kept."""
    max_new_tokens: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.every, self.prompts, self.answers - 1, self.back) < 1 or self.labels < 0:
            raise ConfigError(
                "a monitor cannot look like this",
                expected="every, prompts and back of 1 or more, 2 answers or more, labels of 0 or more",
                found=str(self),
            )


class Finding(NamedTuple):
    """What a look came to."""

    iteration: int
    verdicts: list[Verdict]
    level: Level
    order: Order


class RewardMonitor:
    """Looks at policies, one after another.

    Args:
        config: Settings.
        reference: Model folder that the run began with.
        reward: Folder of the reward model, or ensemble, that the run pursues.
        prompts: Of the audit; ones that the run does not train on tell more.
        judge: Who says which of two answers is better; None asks nobody.
        folder: Where what was seen is kept; None takes `monitor/` in the run's folder, two above the first policy.
        progress: Who listens.
    """

    def __init__(
        self, config: MonitorConfig, reference: Path, reward: Path, prompts: Sequence[Prompt],
        judge: Judge | None, folder: Path | None = None, progress: Progress = SILENT,
    ) -> None:  # fmt: skip
        if len(prompts) < 2:
            raise DataError("a monitor needs prompts to look at", expected="2 or more", found=str(len(prompts)))
        self.config, self.reference, self.reward, self.judge = config, reference, reward, judge
        self.prompts = list(prompts)[: config.prompts]
        self.folder, self.progress = folder, progress
        self._seen: list[tuple[int, Seen]] = []
        self._policies: list[Path] = []
        self._axes: Axes | None = None

    @property
    def id(self) -> str:
        """Of settings, models, prompts and judge."""
        inputs = [identify(self.reference), identify(self.reward), [p.id for p in self.prompts]]
        return content_id("monitor", [asdict(self.config), *inputs, self.judge.name if self.judge else ""])

    @property
    def _folder(self) -> Path:
        if self.folder is None:
            raise AssertionError("a monitor has no folder before its first look")
        return self.folder

    @property
    def every(self) -> int:
        """Iterations from look to look."""
        return self.config.every

    def look(self, iteration: int, policy: Path, beta: float) -> Order:
        """One look, and what the run shall do. See `core.monitoring.Monitor`."""
        self.folder = self.folder or policy.resolve().parent.parent / FOLDER
        if not self._seen:
            self._take(0, self.reference)
            for path in sorted(self.folder.glob("look-*.npz")):  # of a run that was killed and goes on
                earlier = int(path.stem.removeprefix("look-"))
                if 0 < earlier < iteration:
                    self._take(earlier, Path(Reading.load(path).policy))
        if iteration not in (at for at, _ in self._seen):
            self._take(iteration, policy)
        return self.finding(beta).order

    def finding(self, beta: float = 0.0) -> Finding:
        """What all looks so far come to."""
        iteration, now = self._seen[-1]
        slopes = self.slopes()
        looks = [seen.look for _, seen in self._seen]
        names, _ = counted([""])
        found = verdicts(
            self._seen[0][1], now, names, slopes, looks,
            budget_nats=self.config.budget_nats, beta=beta, seed=derive_seed(self.config.seed, "verdicts", iteration),
        )  # fmt: skip
        level = max((v.level for v in found), key=list(Level).index)
        order = self._order([v for v in found if v.level == Level.HACKING], slopes)
        told = Finding(iteration, found, level, order)
        self._write(told, slopes)
        return told

    def slopes(self) -> list[Slope]:
        """Of the audit, look by look; empty where nobody was asked, or nobody has answered."""
        looks = [seen.look for _, seen in self._seen]
        return audit.slopes(looks) if len(looks[0].labels_P) else []

    def kept(self) -> int:
        """The look whose policy is to be kept; 0 is the reference."""
        return audit.kept([seen.look for _, seen in self._seen])

    def _order(self, alarms: Sequence[Verdict], slopes: Sequence[Slope]) -> Order:
        """What the run shall do about it."""
        what = self.config.on_alarm
        why = "; ".join(f"{one.check}: {one.sentence}" for one in alarms)
        if what == "roll-back":
            past = audit.past_peak(slopes) if slopes else None
            if past is None and not any(one.check != "movement" for one in alarms):
                return Order(Action.GO_ON, why)
            kept = self.kept() if slopes else 0
            return Order(Action.ROLL_BACK, why or "the peak is past", self._policies[kept])
        if not alarms or what == "note":
            return Order(Action.GO_ON, why)
        return Order(Action.STOP if what == "stop" else Action.RAISE_BETA, why)

    def _take(self, iteration: int, policy: Path) -> None:
        """Look, or find what was seen before."""
        config, path = self.config, self._folder / f"look-{iteration:06d}.npz"
        before = [self._policies[-config.back]] if len(self._policies) >= config.back else self._policies[:1]
        reading = Reading.load(path) if path.is_file() else None
        if reading is None:
            reading = read(
                policy, before[0] if before else None, self.reference, self.reward, self.prompts,
                answers=config.answers, max_new_tokens=config.max_new_tokens,
                seed=derive_seed(config.seed, "look", iteration), progress=self.progress,
            )  # fmt: skip
            first_P, second_P, labels_P = self._labels(reading, iteration)
            reading = reading.labelled(first_P, second_P, labels_P)
            reading.save(path)
        self._axes = self._axes or axes_of(reading.states_ND)
        self._seen.append((iteration, _seen(reading, self._axes, self.prompts)))
        self._policies.append(policy)

    def _labels(self, reading: Reading, iteration: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of answers to one prompt, and what the judge says of them; abstentions are left out."""
        none = np.zeros(0, dtype=int)
        if self.judge is None or not self.config.labels:
            return none, none, np.zeros(0)
        rng = np.random.default_rng(derive_seed(self.config.seed, "pairs", iteration))
        pairs = _pairs(reading, self.config.labels, rng)
        shown = [Pair(self.prompts[reading.prompts_N[a]], reading.texts[a], reading.texts[b]) for a, b in pairs]
        told = self.judge.judge(shown, self.progress)
        kept = [(a, b, one.p_first) for (a, b), one in zip(pairs, told, strict=True) if one.p_first is not None]
        if not kept:
            return none, none, np.zeros(0)
        first, second, labels = zip(*kept, strict=True)
        return np.array(first), np.array(second), np.array(labels, dtype=float)

    def _write(self, told: Finding, slopes: Sequence[Slope]) -> None:
        """A line a look; one that is looked at again replaces its line."""
        path = self._folder / LINES
        lines: dict[int, Any] = {}
        if path.is_file():
            with path.open(encoding="utf-8") as handle:
                lines = {one["iteration"]: one for one in map(json.loads, handle)}
        last = slopes[-1] if slopes else None
        lines[told.iteration] = {
            "iteration": told.iteration,
            "level": str(told.level),
            "action": str(told.order.action),
            "pays": None if last is None or np.isnan(last.pays) else round(last.pays, 6),
            "true": None if last is None or np.isnan(last.true) else round(last.true, 6),
            "labels": last.labels if last is not None else 0,
            "distance": round(self._seen[-1][1].look.distance, 6),
            "verdicts": [one.as_dict() for one in told.verdicts],
        }
        fresh = path.with_suffix(".new")
        text = "".join(json.dumps(lines[at], ensure_ascii=False) + "\n" for at in sorted(lines))
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)


def _pairs(reading: Reading, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Pairs of different answers to one prompt, spread evenly over prompts, in random order of sides."""
    by_prompt = {p: np.flatnonzero(reading.prompts_N == p) for p in np.unique(reading.prompts_N)}
    found: list[tuple[int, int]] = []
    for _ in range(count):
        left = [p for p in by_prompt if len(by_prompt[p]) > 1]
        if len(found) >= count or not left:
            break
        for p in rng.permutation(left):
            one, other = rng.choice(by_prompt[p], 2, replace=False)
            if reading.texts[one] != reading.texts[other]:
                found.append((int(one), int(other)))
    return list(dict.fromkeys(found))[:count]


def _seen(reading: Reading, axes: Axes, prompts: Sequence[Prompt]) -> Seen:
    names, habits_NH = counted(reading.texts)
    del names
    rewards_N = reading.members_MN.mean(axis=0)
    spread_N = reading.members_MN.std(axis=0)
    states_NK = axes.turn(reading.states_ND)[:, :AXES]
    # Whatever is gamed, worth bends along the reward that pays for it: so the reward's square is a feature.
    told = (habits_NH, np.log1p(habits_NH[:, 0]), states_NK, rewards_N, np.square(rewards_N), spread_N)
    features_ND = np.column_stack(told)
    look = Look(
        features_ND=features_ND, rewards_N=rewards_N, moved_N=reading.moved_N, departed_N=reading.departed_N,
        prompts_N=reading.prompts_N, first_P=reading.first_P, second_P=reading.second_P, labels_P=reading.labels_P,
    )  # fmt: skip
    asked = [prompts[p].text for p in reading.prompts_N]
    return Seen(look, asked, reading.texts, habits_NH, reading.members_MN, reading.entropy)
