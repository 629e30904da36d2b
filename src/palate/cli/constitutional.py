"""`palate constitutional`: both stages of Constitutional AI for a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter
from rich.table import Table

from palate.cli import judges
from palate.cli.data import JOURNAL, demonstrations_of, preferences_of, prompts_of
from palate.cli.judges import Asking
from palate.cli.live import Live
from palate.cli.recipe import Settings, done
from palate.cli.revise import DEFAULT
from palate.cli.revise import constitution as constitution_of
from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError
from palate.judging.template import ByPrinciple
from palate.models import load
from palate.rounds import constitutional as recipe
from palate.rounds.ai_preferences import Judging
from palate.rounds.constitutional_settings import ConstitutionalConfig, Material, Recipes
from palate.rounds.principles import Deed
from palate.store.journal import Journal
from palate.training.dpo import DPOConfig
from palate.training.ppo import PPOConfig
from palate.training.reward import RewardConfig
from palate.training.sft import SFTConfig

Stage1 = Annotated[SFTConfig, Parameter(name="sft", group=Group("First stage", sort_key=1))]
Dpo = Annotated[DPOConfig, Parameter(name="dpo", group=Group("Policy step: dpo", sort_key=2))]
Reward = Annotated[RewardConfig, Parameter(name="reward", group=Group("Policy step: reward model", sort_key=3))]
Ppo = Annotated[PPOConfig, Parameter(name="ppo", group=Group("Policy step: ppo", sort_key=4))]


def constitutional(
    model: Path,
    *,
    red_team: Path,
    helpful: Path | None = None,
    demonstrations: Path | None = None,
    preferences: Path | None = None,
    judge: str = "",
    judge_model: str = "",
    policy: Literal["dpo", "ppo"] = "dpo",
    rounds: int = 1,
    critique: bool = True,
    completions: int = 4,
    pairs: int = 4,
    temperature: float = 1.0,
    max_new_tokens: int = 256,
    soft: bool = True,
    heldout_fraction: float = 0.05,
    seed: int = 0,
    out: Path = Path(),
    asking: Settings[Asking] = Asking(principles=DEFAULT),  # noqa: B008
    sft: Stage1 = SFTConfig(turns="last"),  # noqa: B008
    dpo: Dpo = DPOConfig(),  # noqa: B008
    reward: Reward = RewardConfig(),  # noqa: B008
    ppo: Ppo = PPOConfig(),  # noqa: B008
) -> None:
    """Constitutional AI: revisions for SFT, then preferences by principles for DPO or PPO. The last line is the policy.

    First the model answers the red team's prompts, criticises and rewrites its answers, and learns the revisions. Then
    the policy that learned them answers again, a judge compares those answers by principles, and the policy learns from
    that and from what people say of helpfulness. Nobody labels harm. The same command goes on where it was cut off.

    Parameters
    ----------
    model
        Folder of a causal model that follows instructions: it answers, criticises, and rewrites.
    red_team
        Any file that `palate import` reads: requests that are likely to be answered badly.
    helpful
        Other requests: what the model says to them is learned beside the revisions, so that it stays as helpful.
    demonstrations
        A dataset or a file of demonstrations that are learned beside the revisions.
    preferences
        A dataset or a file of people's preferences of what helps, mixed with the model's.
    judge
        Who compares: a model folder, a reward model, or an address such as http://localhost:8000/v1#MODEL; the model
        itself when not given.
    judge_model
        What the judge's server calls the model.
    policy
        How the policy is learned: dpo, or ppo against a reward model.
    rounds
        Critiques and revisions in a row.
    critique
        Without, an answer is rewritten by the principle at once.
    completions
        Answers to each red-team prompt that are compared.
    pairs
        Comparisons of them, at most.
    temperature
        Of all that the model says.
    max_new_tokens
        Longest answer, critique or revision, in tokens.
    soft
        Comparisons are labelled by the probability that the judge named, not by its verdict.
    heldout_fraction
        Share of prompts kept for evaluation.
    seed
        Of what is said, which principles are drawn, and the splits.
    out
        Project folder.
    """
    load.read_config(model)
    config = ConstitutionalConfig(
        rounds=rounds, critique=critique, temperature=temperature, max_new_tokens=max_new_tokens,
        completions=completions, pairs=pairs,
        soft=soft, heldout_fraction=heldout_fraction, policy=policy, seed=seed,
    )  # fmt: skip
    ours = constitution_of(asking.principles or DEFAULT)
    template = asking.template
    if not isinstance(template, ByPrinciple):
        raise ConfigError("there is no constitution", where="--principles", expected="a file, or default")
    asked, _ = prompts_of(red_team, out)
    if not asked:
        raise ConfigError("the red team asks nothing", where=str(red_team), expected="at least one prompt")
    material = Material(
        red_team=asked,
        helpful=[] if helpful is None else prompts_of(helpful, out)[0],
        demonstrations=[] if demonstrations is None else demonstrations_of(demonstrations, out)[0],
        preferences=None if preferences is None else _people(preferences, out),
    )
    chosen = judges.chosen(judge, judge_model, template) if judge else None
    out.mkdir(parents=True, exist_ok=True)
    with Journal.open(out / JOURNAL) as journal:
        told = recipe.run(
            config, model, ours, material, journal, Workspace(out),
            recipes=Recipes(sft=sft, dpo=dpo, reward=reward, ppo=ppo),
            template=template,
            judging=None if chosen is None else Judging(chosen.judge, chosen.who, chosen.orders), progress=Live(),
        )  # fmt: skip
    _say(told)
    done(told.policy)


def _people(path: Path, out: Path) -> Path:
    """The dataset that is meant; a file is frozen first."""
    _, _, id = preferences_of(path, out)
    return path if path.is_dir() else Workspace(out).path(id)


def _say(told: recipe.Constitutional) -> None:
    ledger = told.labelled.ledger
    print(f"{len(told.taught.revised)} revisions, {len(told.taught.failed)} prompts without one: {told.taught.data}")
    print(f"{ledger.asked} questions to the judge, {ledger.abstained} without an opinion, {ledger.failed} failed")
    print(f"preferences: {told.preferences}")
    if told.reward:
        print(f"reward model: {told.reward}")
    print(f"which principle did what: {told.report}")
    Live().console.print(_table(told.deeds))


def _table(deeds: list[Deed]) -> Table:
    table = Table("principle", "revised", "changed", "compared", "decided", "silent", "clear")
    for deed in deeds:
        table.add_row(deed.principle, *(str(n) for n in deed[1:-1]), f"{deed.clearness:.2f}")
    return table
