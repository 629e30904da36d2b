"""`palate.toml`: what a project's rounds are made of, as typed settings.

A section is a frozen dataclass; sections of a recipe (`[sft]`, `[reward]`, `[policy]`) take every setting that the
recipe has. Where nobody wrote a seed, it follows from the project's, by the name of what it is for.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from palate.core.errors import ConfigError, MissingArtefact
from palate.core.ids import derive_seed
from palate.preferences.snapshot import SnapshotConfig
from palate.rounds.constitutional_settings import ConstitutionalConfig
from palate.rounds.continuous import ContinuousConfig
from palate.rounds.evaluating import EvaluateConfig
from palate.rounds.release_gates import ReleaseGateConfig
from palate.training.dpo import DPOConfig
from palate.training.grpo import GRPOConfig
from palate.training.online_dpo import OnlineDPOConfig
from palate.training.ppo import PPOConfig
from palate.training.reward import RewardConfig
from palate.training.rloo import RLOOConfig
from palate.training.sft import SFTConfig

FILE: Final = "palate.toml"
PEOPLE: Final = "people"
PRACTICE: Final = "practice"
"""Who judges: raters in the workbench, or those of the practice world. Anything else names a model that judges."""
_END: Final = ("evaluate", "gate", "release")
_JUDGED: Final = ("sft", "collect", "dataset")
SHAPES: Final[dict[str, tuple[str, ...]]] = {
    "classic": (*_JUDGED, "reward", "policy", *_END),
    "dpo": (*_JUDGED, "policy", *_END),
    "online-dpo": (*_JUDGED, "reward", "policy", *_END),
    "cai": (*_JUDGED, "policy", *_END),
    "mixed": ("sft", "collect", "judge", "dataset", "reward", "policy", *_END),
}
"""Steps of a round, by the shape that `[round]` names. SFT comes first, for its model is the first that people judge;
where demonstrations have not changed, it is the last round's and costs nothing."""
RECIPES: Final[dict[str, Any]] = {
    "ppo": PPOConfig,
    "rloo": RLOOConfig,
    "grpo": GRPOConfig,
    "online-dpo": OnlineDPOConfig,
    "dpo": DPOConfig,
    "constitutional": ConstitutionalConfig,
}
"""What can stand in `[policy]`."""
STAGES: Final[dict[str, Any]] = {"sft": SFTConfig, "reward": RewardConfig, "dpo": DPOConfig, "ppo": PPOConfig}
"""What `constitutional` is made of: `[policy.sft]` and so on; without, sft and reward are those of their sections."""
_FITS: Final = {
    "classic": ("ppo", "rloo", "grpo", "online-dpo"),
    "mixed": ("ppo", "rloo", "grpo", "online-dpo"),
    "dpo": ("dpo",),
    "online-dpo": ("online-dpo",),
    "cai": ("constitutional",),
}
STARTS: Final = ("last", "reference")
SECTIONS: Final = (
    "project",
    "round",
    "collect",
    "judge",
    "dataset",
    "sft",
    "reward",
    "policy",
    "evaluate",
    "gate",
    "release",
    "continuous",
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """`[project]`: what rounds begin with. Paths are relative to the project's folder."""

    base: str
    """Folder of a causal model."""
    prompts: str
    """What is asked: any file with prompts."""
    heldout: str = ""
    """Prompts that nothing is trained on, for the evaluation; "" holds back a share of `prompts`."""
    demonstrations: str = ""
    """Any file with ideal answers, for SFT; "" begins with the base as it is."""
    constitution: str = ""
    """Principles, for `shape = "cai"`; "" takes Palate's own."""
    red_team: str = ""
    """Prompts of the red team, for `shape = "cai"`."""
    database: str = ""
    """URL of a PostgreSQL database, in place of the project's own file."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectConfig:
    """`[collect]`: which answers people compare."""

    raters: str = PEOPLE
    """people, practice, or a model that judges: a folder or an address."""
    count: int = 100
    """Prompts of a round; each round takes others, as long as there are any. 0 samples nothing: what the journal holds
    is enough."""
    first: int = 0
    """Prompts of the first round, where it is to be smaller or larger; 0: as many as any."""
    completions: int = 4
    """Answers to each."""
    beside: bool = True
    """From the second round on, half of the answers are the reference's, so that both are compared."""
    pairs: int = 6
    """Comparisons of them, at most."""
    temperature: float = 1.0
    max_new_tokens: int = 256
    judgements: int = 2
    """Wanted of each comparison."""
    enough: float = 1.0
    """Share of the comparisons that must have them before the round goes on."""

    def __post_init__(self) -> None:
        if (
            min(self.count, self.first) < 0
            or self.completions < 2
            or min(self.pairs, self.judgements, self.max_new_tokens) < 1
        ):
            raise ConfigError(
                "[collect] asks for nothing that can be compared",
                expected="count and first from 0, completions from 2, pairs, judgements and max_new_tokens from 1",
                found=str(self),
            )
        if not 0 < self.enough <= 1 or self.temperature <= 0:
            raise ConfigError(
                "[collect] cannot work", expected="enough above 0 and up to 1, temperature above 0", found=str(self)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeConfig:
    """`[judge]`: the model that judges beside people, in a round of shape mixed."""

    model: str = ""
    """A folder or an address; `gold` is the practice world's judge."""
    share: float = 0.0
    """Mixing rate: so much of a round's comparisons is the model's, and people are not asked. With 0 people are asked
    of all, and the model judges what they have not when the round goes on."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConfigError("[judge] share is no share", expected="0 to 1", found=f"{self.share:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`[policy]`: how the policy learns. All other settings of the section are the recipe's."""

    recipe: str
    start: str = "last"
    """last: the policy goes on from where the last round left it. reference: it begins anew each round."""
    prompts: int = 0
    """So many of the project's prompts are practised on; 0: all."""
    monitor: str = "note"
    """What an alarm of the reward-hacking monitor does: off, note, stop, raise-beta or roll-back."""
    config: Any = None
    """The recipe's settings."""
    stages: dict[str, Any] = field(default_factory=dict)
    """Settings of its stages, by name; see `STAGES`."""

    def __post_init__(self) -> None:
        reactions = ("off", "note", "stop", "raise-beta", "roll-back")
        if self.start not in STARTS or self.monitor not in reactions or self.prompts < 0:
            raise ConfigError(
                "[policy] cannot work", expected=f"start {' or '.join(STARTS)}, monitor {', '.join(reactions)}",
                found=f"{self.start}, {self.monitor}, prompts {self.prompts}",
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """All of `palate.toml`."""

    files: Files
    shape: str = "classic"
    collect: CollectConfig = field(default_factory=CollectConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    dataset: SnapshotConfig = field(default_factory=SnapshotConfig)
    sft: SFTConfig = field(default_factory=SFTConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    policy: Policy = field(default_factory=lambda: Policy(recipe="ppo", config=PPOConfig()))
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    gate: ReleaseGateConfig = field(default_factory=ReleaseGateConfig)
    alias: str = "candidate"
    """The name that a round gives to what it released."""
    continuous: ContinuousConfig = field(default_factory=ContinuousConfig)

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ConfigError("a round has no such shape", where="[round] shape", expected=", ".join(SHAPES),
                              found=repr(self.shape))  # fmt: skip
        if self.policy.recipe not in _FITS[self.shape]:
            raise ConfigError(
                f"a round of shape {self.shape} cannot end in this recipe", where="[policy] recipe",
                expected=" or ".join(_FITS[self.shape]), found=repr(self.policy.recipe),
            )  # fmt: skip
        if self.shape == "mixed" and not self.judge.model:
            raise ConfigError("nobody fills the gaps", where="[judge] model", expected="a folder or an address")
        if self.shape == "mixed" and self.dataset.models == "apart":
            raise ConfigError("what the model says would not count", where="[dataset] models",
                              expected="gaps, with or alone", found="apart")  # fmt: skip
        if self.judge.share and (self.shape != "mixed" or self.collect.raters not in (PEOPLE, PRACTICE)):
            raise ConfigError(
                "there is nobody whom a model could spare work", where="[judge] share",
                expected='[round] shape "mixed", and [collect] raters "people" or "practice"',
                found=f"{self.shape}, {self.collect.raters}",
            )  # fmt: skip
        if self.shape == "cai" and not self.files.red_team:
            raise ConfigError("there is nobody to be harmless to", where="[project] red_team",
                              expected="a file with prompts of a red team")  # fmt: skip

    @property
    def steps(self) -> tuple[str, ...]:
        """Of a round, in their order."""
        return SHAPES[self.shape]

    def as_dict(self) -> dict[str, Any]:
        """As `of` reads it."""
        told: dict[str, Any] = _plain(asdict(self))
        return told


def read(root: Path) -> Project:
    """The settings of a project's folder.

    Raises:
        MissingArtefact: there is no `palate.toml`.
        ConfigError: it cannot be read, or a setting is unknown or cannot be.
    """
    path = root / FILE
    if not path.is_file():
        raise MissingArtefact(
            f"there is no {FILE} in {root}", expected="a project folder", hint="`palate init` makes one"
        )
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{FILE} cannot be read", where=str(path), found=str(error)) from error
    return parse(told)


def parse(told: Mapping[str, Any]) -> Project:
    """Settings from the tables of a `palate.toml`.

    Raises:
        ConfigError: a section or a setting is unknown, or a value cannot be.
    """
    sections = dict(told)
    for name, section in sections.items():
        if name not in SECTIONS or not isinstance(section, dict):
            raise ConfigError(f"{FILE} has no such section", where=f"[{name}]", expected=_near(name, SECTIONS))
    files = _section("project", Files, sections)
    chosen = _values("round", ("shape",), sections)
    shape = chosen.get("shape", "classic")
    return Project(
        files=files,
        shape=shape,
        collect=_section("collect", CollectConfig, sections),
        judge=_section("judge", JudgeConfig, sections),
        dataset=_section(
            "dataset",
            SnapshotConfig,
            sections,
            seed=derive_seed(files.seed, "split"),
            models="gaps" if shape == "mixed" else "apart",
        ),
        sft=_section("sft", SFTConfig, sections, seed=derive_seed(files.seed, "sft")),
        reward=_section("reward", RewardConfig, sections, seed=derive_seed(files.seed, "reward")),
        policy=_policy(sections, shape, files.seed),
        evaluate=_section("evaluate", EvaluateConfig, sections, seed=derive_seed(files.seed, "evaluate")),
        gate=_section("gate", ReleaseGateConfig, sections),
        alias=_values("release", ("alias",), sections).get("alias", "candidate"),
        continuous=_section("continuous", ContinuousConfig, sections),
    )


def of(told: Mapping[str, Any]) -> Project:
    """Settings as `Project.as_dict` wrote them: those that a round began with."""
    made = {
        "files": Files, "collect": CollectConfig, "dataset": SnapshotConfig, "sft": SFTConfig, "reward": RewardConfig,
        "evaluate": EvaluateConfig, "gate": ReleaseGateConfig, "continuous": ContinuousConfig, "judge": JudgeConfig,
    }  # fmt: skip
    if isinstance(told["judge"], str):  # rounds that began before the mixing rate was a setting
        told = {**told, "judge": {"model": told["judge"]}}
    parts: dict[str, Any] = {name: _checked(name, kind, told[name]) for name, kind in made.items()}
    policy = dict(told["policy"])
    policy["config"] = _checked("policy", RECIPES[policy["recipe"]], policy["config"])
    policy["stages"] = {
        name: _checked(f"policy.{name}", STAGES[name], values) for name, values in policy.get("stages", {}).items()
    }
    return Project(**parts, policy=Policy(**policy), shape=told["shape"], alias=told["alias"])


def for_round(project: Project, number: int) -> Project:
    """The settings of one round: what learns from new data draws anew, the split stays."""
    policy = project.policy

    def anew(config: Any) -> Any:
        return replace(config, seed=derive_seed(config.seed, "round", number))

    stages = {name: anew(config) for name, config in policy.stages.items()}
    return replace(
        project, reward=anew(project.reward), policy=replace(policy, config=anew(policy.config), stages=stages)
    )


def _policy(sections: Mapping[str, Any], shape: str, seed: int) -> Policy:
    told = dict(sections.get("policy", {}))
    own = {name: told.pop(name) for name in ("recipe", "start", "prompts", "monitor") if name in told}
    recipe = own.setdefault("recipe", _FITS.get(shape, ("ppo",))[0])
    if recipe not in RECIPES:
        raise ConfigError("there is no such recipe", where="[policy] recipe", expected=_near(recipe, tuple(RECIPES)),
                          found=repr(recipe))  # fmt: skip
    stages = {
        name: _section(f"policy.{name}", kind, {f"policy.{name}": told.pop(name)}, seed=derive_seed(seed, name))
        for name, kind in STAGES.items()
        if recipe == "constitutional" and isinstance(told.get(name), dict)
    }
    config = _section("policy", RECIPES[recipe], {"policy": told}, seed=derive_seed(seed, "policy"))
    made: Policy = _checked("policy", Policy, own)
    return replace(made, config=config, stages=stages)


def _values(name: str, known: tuple[str, ...], sections: Mapping[str, Any]) -> dict[str, Any]:
    """A section of a few texts."""
    told = dict(sections.get(name, {}))
    for key, value in told.items():
        if key not in known or not isinstance(value, str):
            raise ConfigError(f"[{name}] has no such setting", where=key, expected=_near(key, known), found=repr(value))
    return told


def _section(name: str, kind: type[T], sections: Mapping[str, Any], **defaults: Any) -> T:
    told = dict(sections.get(name, {}))
    names = tuple(one.name for one in fields(kind))  # type: ignore[arg-type]
    for key in told:
        if key not in names:
            raise ConfigError(f"[{name}] has no such setting", where=key, expected=_near(key, names))
    return _checked(name, kind, {key: value for key, value in defaults.items() if key in names} | told)


def _checked(name: str, kind: type[T], told: Mapping[str, Any]) -> T:
    needed = [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]  # type: ignore[arg-type]
    if missing := [one for one in needed if one not in told]:
        raise ConfigError(f"[{name}] lacks a setting", where=FILE, expected=", ".join(missing))
    try:
        return TypeAdapter(kind).validate_python(dict(told))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError):
            raise ConfigError(cause.what, where=f"[{name}] {cause.where}".strip(), expected=cause.expected,
                              found=cause.found, hint=cause.hint) from error  # fmt: skip
        raise ConfigError(
            f"[{name}] {where} cannot be so", expected=first["msg"], found=repr(first["input"])
        ) from error


def _near(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"{near[0]}, perhaps" if near else ", ".join(known)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
