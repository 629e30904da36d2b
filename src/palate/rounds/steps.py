"""The steps of a round, each a function of what came before it; evaluation and gates stand in files of their own."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from palate.core.artefacts import identify, read_manifest
from palate.core.errors import MissingArtefact
from palate.core.ids import derive_seed
from palate.core.records import EVALUATION, Prompt
from palate.evaluation.monitor.watch import MonitorConfig, RewardMonitor
from palate.evaluation.subjects import Folder
from palate.preferences import dataset as datasets
from palate.preferences.contents import MODEL
from palate.preferences.snapshot import freeze
from palate.rounds import constitutional, constitutional_settings, evaluating, release_gates, releasing
from palate.rounds.collecting import Asked, Writer, compared
from palate.rounds.project import PEOPLE
from palate.rounds.step import Context, Done, Outcome, Waiting
from palate.store import queue, releases, rounds
from palate.store.judgements import judgements, newest
from palate.training import dpo as dpo_recipe
from palate.training import grpo, online_dpo, ppo, rloo
from palate.training import reward as reward_recipe
from palate.training import sft as sft_recipe

_SAMPLING: Final[dict[str, Any]] = {"ppo": ppo, "rloo": rloo, "grpo": grpo, "online-dpo": online_dpo}


def sft(context: Context) -> Outcome:
    """The reference: the base, fine-tuned on demonstrations; nothing where nobody demonstrated."""
    material = context.material
    if material.demonstrations is None:
        return Done(details={"why": "no demonstrations: the base is the reference"})
    made = sft_recipe.train(
        context.project.sft, context.root / context.project.files.base, material.demonstrated("train"),
        context.workspace, heldout=material.demonstrated("heldout"), data_id=material.demonstrations.name,
        progress=context.progress, options=context.options,
    )  # fmt: skip
    return Done(made, facts(made))


def collect(context: Context) -> Outcome:
    """The policies answer, and people, or whoever stands in for them, compare the answers."""
    config = context.project.collect
    if not config.count:
        return Done(details={"why": "[collect] count is 0: what the journal holds is enough"})
    writers = [Writer(_answering(context, context.last), identify(context.last))]
    if config.beside and context.last != context.reference:
        writers.append(Writer(_answering(context, context.reference), identify(context.reference)))
    asked = Asked(
        config.completions, config.pairs, config.temperature, derive_seed(context.project.files.seed, "asked")
    )
    count = compared(context.journal, writers, drawn(context), asked, context.source, context.progress)
    if config.raters != PEOPLE:
        context.judges["collect"](context, context.source)
        return Done(details={"comparisons": count, "judgements": len(judgements(context.journal, [context.source]))})
    theirs = context.for_people(context.source)
    queue.enqueue(context.journal, theirs, wanted=config.judgements)
    ready = finished(context)
    told = {"comparisons": count, "finished": ready, **({"for people": len(theirs)} if len(theirs) < count else {})}
    if ready < config.enough * len(theirs):
        return Waiting(f"{ready} of {len(theirs)} comparisons have their {config.judgements} judgements", told)
    return Done(details=told)


def finished(context: Context) -> int:
    """Comparisons of this round that as many people have judged as are wanted."""
    said: Counter[str] = Counter()
    heard = [one for one in judgements(context.journal, [context.source]) if one.task != MODEL]
    for comparison, _ in {(one.comparison, one.rater) for one in heard}:
        said[comparison] += 1
    return sum(count >= context.project.collect.judgements for count in said.values())


def drawn(context: Context) -> list[Prompt]:
    """This round's prompts: others than the rounds before had, as long as there are any."""
    every = list(context.material.prompts)
    random.Random(derive_seed(context.project.files.seed, "prompts")).shuffle(every)
    config = context.project.collect
    first = min(config.first or config.count, len(every))
    count = min(config.count, len(every)) if context.earlier else first
    start = (first + (len(context.earlier) - 1) * count) % len(every) if context.earlier else 0
    return (every + every)[start : start + count]


def judge(context: Context) -> Outcome:
    """A model says what it thinks of all comparisons that no person has judged; the dataset decides what counts."""
    return Done(details={"opinions": context.judges["judge"](context, "")})


def dataset(context: Context) -> Outcome:
    """Freeze what the journal holds; nothing is learned from what people said of answers in an evaluation."""
    config = context.project.dataset
    config = replace(config, besides=(*config.besides, EVALUATION))
    until = newest(context.journal)  # what comes while it is read may be in it or not, and counts as new
    made = freeze(context.journal, context.workspace, config, context.progress)
    return Done(made, {**facts(made), "until": until})


def reward(context: Context) -> Outcome:
    """The reward model, from the reference."""
    data = context.path("dataset")
    made = reward_recipe.train(
        context.project.reward, context.reference, datasets.load_preferences(data), context.workspace,
        heldout=datasets.load_preferences(data, "heldout"), data_id=data.name, progress=context.progress,
        options=context.options,
    )  # fmt: skip
    return Done(made, facts(made))


def policy(context: Context) -> Outcome:
    """The policy, by the recipe of the project."""
    recipe = context.project.policy.recipe
    learn = {"dpo": _by_dpo, "constitutional": _by_principles}.get(recipe, _by_sampling)
    made = learn(context)
    return Done(made, facts(made))


def _by_sampling(context: Context) -> Path:
    chosen = context.project.policy
    prompts = context.material.practised[: chosen.prompts or None]
    scorer = context.path("reward")
    watching = None
    if chosen.monitor != "off":
        settings: dict[str, Any] = {"on_alarm": chosen.monitor, "max_new_tokens": chosen.config.max_new_tokens}
        config = MonitorConfig(labels=0, seed=derive_seed(chosen.config.seed, "monitor"), **settings)
        watching = RewardMonitor(config, context.reference, scorer, context.material.heldout, None)
    return Path(
        _SAMPLING[chosen.recipe].train(
            chosen.config, context.reference, scorer, prompts, context.workspace,
            start=context.last if chosen.start == "last" and context.last != context.reference else None,
            progress=context.progress, options=context.options, monitor=watching,
        )
    )  # fmt: skip


def _by_dpo(context: Context) -> Path:
    data = context.path("dataset")
    start = context.last if context.project.policy.start == "last" else context.reference
    return dpo_recipe.train(
        context.project.policy.config, start, datasets.load_preferences(data), context.workspace,
        heldout=datasets.load_preferences(data, "heldout"), data_id=data.name, progress=context.progress,
        options=context.options,
    )  # fmt: skip


def _by_principles(context: Context) -> Path:
    """Both stages of Constitutional AI, beside what people say of helpfulness.

    What the model says to harmless prompts keeps it helpful; demonstrations, which may do what a red team asks, are not
    learned again.
    """
    principles = context.material.constitution
    if principles is None:
        raise MissingArtefact(
            "there is no constitution", where="[project] constitution", expected="a file of principles"
        )
    material = constitutional_settings.Material(
        red_team=context.material.red_team, helpful=context.material.practised, preferences=context.path("dataset"),
    )  # fmt: skip
    chosen = context.project.policy
    own = {"sft": context.project.sft, "reward": context.project.reward}
    found = constitutional.run(
        chosen.config, context.last if chosen.start == "last" else context.reference, principles, material,
        context.journal, context.workspace, recipes=constitutional_settings.Recipes(**{**own, **chosen.stages}),
        template=context.asks(principles, chosen.config.seed), progress=context.progress, options=context.options,
    )  # fmt: skip
    return found.policy


def release(context: Context) -> Outcome:
    """The policy becomes a release, and gets the project's name for what a round released."""
    said = [one for one in rounds.steps(context.journal, context.round.id) if one.step == "gate"]
    why = next((str(one.details.get("why", "")) for one in reversed(said) if one.state == "overridden"), "")
    made = releasing.add(
        context.journal, context.workspace, context.path("policy"), gate=context.made.get("gate", ""),
        round_=context.round.id, why=why, actor=context.round.actor,
    )  # fmt: skip
    alias = context.project.alias
    if releases.aliases(context.journal).get(alias) != made.id:
        releases.point(context.journal, alias, made.id, why=f"round {context.round.number}", actor=context.round.actor)
    return Done(details={"release": made.id, "alias": alias})


def _answering(context: Context, policy: Path) -> Folder:
    config = context.project.collect
    return Folder(policy, temperature=config.temperature, max_new_tokens=config.max_new_tokens)


def facts(made: Path) -> dict[str, Any]:
    """Figures of an artefact, without how long it took."""
    told = read_manifest(made).facts
    return {name: value for name, value in told.items() if name != "time_s" and isinstance(value, int | float | str)}


STEPS: Final[dict[str, Callable[[Context], Outcome]]] = {
    "sft": sft,
    "collect": collect,
    "judge": judge,
    "dataset": dataset,
    "reward": reward,
    "policy": policy,
    "evaluate": evaluating.evaluate,
    "gate": release_gates.gate,
    "release": release,
}
"""By name."""
