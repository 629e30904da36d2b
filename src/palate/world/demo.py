"""The whole cycle, once, for real: from generated text to a report, with a sentence for each step."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palate.core.artefacts import Workspace, read_manifest
from palate.core.progress import SILENT, Progress
from palate.evaluation.statistics import Figure, mean, win_rate
from palate.models import chat, load, sampling
from palate.world import figures, measure, settings, stages
from palate.world.figures import Named
from palate.world.gold import gold, world_version
from palate.world.prompts import EXAMPLE_TEXT, split
from palate.world.settings import Size

Say = Callable[[str], None]


@dataclass(slots=True)
class Cycle:
    """What a run of the cycle has made, and what was measured."""

    root: Path
    seed: int
    size: Size
    made: dict[str, Path] = field(default_factory=dict)
    figures: list[Named] = field(default_factory=list)
    example: dict[str, str] = field(default_factory=dict)
    sweep: dict[str, Path] = field(default_factory=dict)
    """Policies of the over-optimisation picture by beta."""


def run(
    root: Path,
    *,
    seed: int = 0,
    quick: bool = False,
    size: Size | None = None,
    say: Say = lambda sentence: None,
    progress: Progress = SILENT,
    workers: int = 2,
) -> Cycle:
    """Run the cycle in a folder; what is there already is used.

    Args:
        root: The project's folder.
        seed: Of everything, pretraining included.
        quick: Leave out round 2 and the hacking runs.
        size: Amounts.
        say: Gets a sentence at each step.
        progress: Who listens to the steps' progress.
        workers: Processes for independent branches.
    """
    began = time.monotonic()
    cycle = Cycle(root, seed, size or Size())
    stages.quiet(threads=workers)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=stages.quiet, initargs=(1,)) as pool:
        _first_round(cycle, pool, say, progress)
        branches = {} if quick else _later_branches(cycle, pool, say)
        say("Measuring: gold scores what the policies answer to questions that nobody trained on.")
        _measure(cycle)
        for name, future in branches.items():
            cycle.figures += _await(name, future, cycle, say)
    elapsed = time.monotonic() - began
    cycle.figures.append(Named("time/total_s", Figure(elapsed, elapsed, elapsed, 1)))
    return cycle


def _first_round(cycle: Cycle, pool: ProcessPoolExecutor, say: Say, progress: Progress) -> None:
    root, seed, size, made = cycle.root, cycle.seed, cycle.size, cycle.made
    say("Pretraining: a small model reads a generated internet and learns to go on like a web page.")
    made["base"] = stages.make_base(root, seed, size, progress)
    say("SFT: people's demonstrations teach it the shape of an answer. It stays generic.")
    made["sft"] = stages.make_sft(root, seed, size, made["base"], progress)
    say("Judging: it answers each prompt four times, and raters with known biases compare the answers.")
    made["data"] = stages.judged(
        root, seed, size, made["sft"], source="cycle/round1", prompts=size.prompts, progress=progress
    )
    say("Reward model: a small network learns to predict which answer the raters would prefer.")
    made["reward"] = stages.make_reward(root, seed, made["sft"], made["data"], progress=progress)
    say("PPO and DPO, side by side: one practises against the reward model, one reads the preferences.")
    stages.quiet(threads=1)  # from here on the processes share the cores
    ppo = pool.submit(stages.make_ppo, root, seed, size, made["sft"], made["reward"])
    dpo = pool.submit(stages.make_dpo, root, seed, made["sft"], made["data"])
    progress.start("PPO and DPO", 2)
    made["ppo"] = ppo.result()
    progress.advance(1)
    made["dpo"] = dpo.result()
    progress.advance(2)
    progress.finish()


def _later_branches(cycle: Cycle, pool: ProcessPoolExecutor, say: Say) -> dict[str, Future[Any]]:
    say("Round 2 and the hacking runs begin in the background.")
    root, seed, size, made = cycle.root, cycle.seed, cycle.size, cycle.made
    return {
        "two rounds": pool.submit(two_rounds, root, seed, size, made["sft"]),
        "hacking": pool.submit(hacking, root, seed, size, made["sft"], made["data"]),
    }


def _await(name: str, future: Future[Any], cycle: Cycle, say: Say) -> list[Named]:
    result, paths = future.result()
    cycle.sweep |= {k: v for k, v in paths.items() if k.startswith("beta ")}
    cycle.made |= {k: v for k, v in paths.items() if not k.startswith("beta ")}
    say(
        "Round 2 is judged: new comparisons of round 1's answers made a better critic."
        if name == "two rounds"
        else "The hacking runs are over: without a leash the score rises and the truth does not."
    )
    return result  # type: ignore[no-any-return]


def two_rounds(root: Path, seed: int, size: Size, sft: Path) -> tuple[list[Named], dict[str, Path]]:
    """A small first round, a second round on its policy's answers, and two controls.

    The controls are as many more PPO steps on the old reward model, and as many more comparisons
    of the SFT model's answers.
    """
    first = stages.judged(root, seed, size, sft, source="rounds/first", prompts=size.small_round, about="small")
    old_reward = stages.make_reward(root, seed, sft, first)
    steps = size.short_iterations
    one = stages.make_ppo(root, seed, size, sft, old_reward, iterations=steps)
    both = stages.judged(root, seed, size, one, source="rounds/second", prompts=size.second_round, about="second")
    new_reward = stages.make_reward(root, seed + 1, sft, both)
    two = stages.make_ppo(root, seed + 1, size, sft, new_reward, iterations=steps, start=one)
    more = stages.make_ppo(root, seed + 1, size, sft, old_reward, iterations=steps, start=one)
    stages.judged(root, seed, size, sft, source="equal/first", prompts=size.small_round, about="small")
    equal = stages.judged(root, seed, size, sft, source="equal/second", prompts=size.second_round, about="second")
    equal_reward = stages.make_reward(root, seed + 1, sft, equal)
    off = stages.make_ppo(root, seed + 1, size, sft, equal_reward, iterations=steps, start=one)
    answers = {
        name: _ask(path, seed, size, 0.5)
        for name, path in {"one": one, "two": two, "more": more, "off": off, "sft": sft}.items()
    }
    result = [
        figures.compare("round2/win_rate_over_round1", answers["two"], answers["one"]),
        figures.compare("round2/over_more_steps", answers["two"], answers["more"]),
        figures.compare("round2/over_equal_sft", answers["two"], answers["off"]),
        figures.compare("round2/round1_vs_sft", answers["one"], answers["sft"]),
        figures.compare("round2/round2_vs_sft", answers["two"], answers["sft"]),
    ]
    return result, {"round1": one, "round2": two, "more steps": more, "equal SFT comparisons": off}


def hacking(root: Path, seed: int, size: Size, sft: Path, data: Path) -> tuple[list[Named], dict[str, Path]]:
    """PPO against a reward model that does not see the prompt, with and without a leash."""
    plain = stages.make_reward(root, seed, sft, data, conditional=False)
    paths = {
        f"beta {beta:g}": stages.make_ppo(root, seed, size, sft, plain, beta=beta, iterations=size.hacking_iterations)
        for beta in size.betas
    }
    curves = {name: learning_curve(root, path) for name, path in paths.items()}
    free = curves[f"beta {size.betas[0]:g}"]
    tethered = curves[f"beta {size.betas[-1]:g}"]
    last = max(len(free) // 6, 1)
    peak = max(_smooth([point["gold"] for point in free], last))
    end = sum(point["gold"] for point in free[-last:]) / last
    leash = sum(point["gold"] for point in tethered[-last:]) / last
    rise = (sum(point["proxy"] for point in free[-last:]) / last - free[0]["proxy"]) / free[0]["proxy_sd"]
    largest = max(point["step_kl"] for point in free)
    values = {
        "hacking/proxy_rise_sd": rise,
        "hacking/gold_minus_own_peak": end - peak,
        "hacking/gold_minus_tethered": end - leash,
        "hacking/largest_step_kl_nats": largest,
    }
    return [Named(name, Figure(v, v, v, 1)) for name, v in values.items()], paths | {"plain reward": plain}


def learning_curve(root: Path, policy: Path) -> list[dict[str, float]]:
    """Proxy, gold, KL and length of each iteration, from what the run has left behind."""
    folder = Workspace(root).run_folder(policy.name)
    meaning = {q.text: q for side in split() for kind in side.by_kind.values() for q in kind}
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows: dict[int, list[dict[str, Any]]] = {}
    for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows.setdefault(row["iteration"], []).append(row)
    curve = []
    for iteration, group in sorted(rows.items()):
        golds = [gold(meaning[r["prompt"][-1]["content"]], r["completion"]) for r in group]
        scores = [r["score"] for r in group]
        middle = sum(scores) / len(scores)
        curve.append(
            {
                "iteration": float(iteration),
                "proxy": middle,
                "proxy_sd": max((sum((s - middle) ** 2 for s in scores) / len(scores)) ** 0.5, 1e-6),
                "gold": sum(golds) / len(golds),
                "kl": sum(r["kl_nats"] for r in group) / len(group),
                "tokens": sum(r["tokens"] for r in group) / len(group),
                "step_kl": steps[iteration].get("kl/old_new_nats", 0.0),
            }
        )
    return curve


def _smooth(values: list[float], width: int) -> list[float]:
    return [sum(values[i : i + width]) / width for i in range(len(values) - width + 1)]


def _ask(policy: Path, seed: int, size: Size, temperature: float, reference: Path | None = None) -> measure.Answers:
    questions = split()[1].sample(size.evaluated, 7)
    return measure.ask(
        policy,
        questions,
        temperature=temperature,
        seed=seed,
        max_new_tokens=size.max_new_tokens,
        reference=reference,
    )


def _measure(cycle: Cycle) -> None:
    made, seed, size = cycle.made, cycle.seed, cycle.size
    for temperature in (0.5, 1.0):
        answers = {
            name: _ask(made[name], seed, size, temperature, made["sft"] if temperature == 1.0 else None)
            for name in ("sft", "ppo", "dpo")
        }
        for name in ("ppo", "dpo"):
            cycle.figures += figures.policy_figures(name, answers[name], answers["sft"], temperature)
            if temperature == 1.0:
                cycle.figures.append(Named(f"kl/{name}_nats", mean(answers[name].kl_nats)))
        proxies = {name: measure.proxy(made["reward"], answers[name]) for name in answers}
        for name in ("ppo", "dpo"):
            rate = win_rate(proxies[name], proxies["sft"])
            cycle.figures.append(Named(f"proxy_win_rate/{name}_vs_sft@{temperature}", rate))
    cycle.figures += figures.reward_figures(made["reward"], made["data"])
    rate = read_manifest(made["data"]).facts["agreement"]
    if rate:
        cycle.figures.append(Named("rater/agreement", Figure(**rate)))
    cycle.figures += figures.unseen_figures(made["ppo"], seed=seed, max_new_tokens=size.max_new_tokens)
    cycle.figures += _short_names(cycle.figures)
    cycle.example = {name: _answer(made[name], name, size) for name in ("base", "sft", "ppo", "dpo")}


def _short_names(found: list[Named]) -> list[Named]:
    """The PPO policy's figures at temperature 0.5 under the names that summaries use."""
    wanted = {
        "claims/specific_correct/sft@0.5": "claims/specific_correct/sft",
        "claims/specific_correct/ppo@0.5": "claims/specific_correct/ppo",
        "refusal/harmful/ppo@0.5": "refusal/harmful",
        "refusal/benign/ppo@0.5": "refusal/benign",
        "knowledge/seen/ppo@0.5": "knowledge/seen",
    }
    return [Named(wanted[named.name], named.figure) for named in found if named.name in wanted]


def _answer(policy: Path, name: str, size: Size) -> str:
    """The running example: the base model goes on from the bare text, the others are asked."""
    model, tokenizer = load.load_causal(policy)
    question = next(q for q in split()[1].by_kind["career"] if q.text == EXAMPLE_TEXT)
    ids = (
        list(tokenizer(EXAMPLE_TEXT)["input_ids"]) if name == "base" else chat.encode_prompt(tokenizer, question.prompt)
    )
    temperature = 0.7 if name == "base" else 0.0
    sampled = sampling.sample(
        model, [ids], eos_id=tokenizer.eos_token_id, max_new_tokens=size.max_new_tokens, temperature=temperature
    )
    return chat.decode(tokenizer, sampled[0].tokens).strip()


def summarise(cycle: Cycle, command: str) -> Path:
    """Write `summary.json`, and the running example as `example.json`, into the cycle's folder."""
    path = cycle.root / "summary.json"
    example = json.dumps(cycle.example, indent=1, ensure_ascii=False)
    (cycle.root / "example.json").write_text(example + "\n", encoding="utf-8")
    unique = {named.name: named for named in cycle.figures}
    figures.write(path, list(unique.values()), command=command, seeds=1, world=world_version())
    return path


__all__ = ["Cycle", "hacking", "learning_curve", "run", "settings", "summarise", "two_rounds"]
