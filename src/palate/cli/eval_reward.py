"""`palate eval reward`: how often a reward model, or another judge, is right on a public file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table

from palate.cli.judges import chosen
from palate.cli.live import Live
from palate.core.artefacts import Manifest, Workspace, identify
from palate.core.errors import ConfigError
from palate.core.ids import content_id
from palate.evaluation.benchmarks import judged, rewardbench, rewardbench2, rm_bench
from palate.evaluation.benchmarks.known import Known, shape_of
from palate.evaluation.benchmarks.scored import Item, Scored, scored
from palate.evaluation.reward_scores import RewardScores
from palate.evaluation.statistics import Figure

PLAIN: Final[dict[str, Any]] = {"box": SIMPLE_HEAD, "pad_edge": False, "title_justify": "left"}
"""How tables of figures look."""
RESULT: Final = "benchmark.json"


class _Result(NamedTuple):
    """What was measured."""

    figures: dict[str, Figure]
    notes: list[str]


def reward(who: str, *, benchmark: Path, shape: str = "", out: Path = Path()) -> None:
    """Say how often a reward model, or a model that judges, is right on a benchmark's file, by subset.

    Reward benchmarks (RewardBench, RewardBench 2, RM-Bench) need scores, so a reward model; of pairs for judges
    (LLMBar, JudgeBench, Auto-J) each is judged in both orders, by a reward model or by a model behind an address.

    Parameters
    ----------
    who
        A reward model or an ensemble, or the address of an OpenAI-compatible server up to `/v1`, with #MODEL behind
        it where it has several.
    benchmark
        The file.
    shape
        Which benchmark it is; told by its columns when not given.
    out
        Project folder: the artefact goes to `artefacts/` in it.
    """
    known = shape_of(benchmark, shape)
    live = Live()
    if known.items is not None:
        result = _scored(known, who, benchmark)
    elif known.duels is not None:
        found = judged.agreement(judged.judged(chosen(who).judge, known.duels(benchmark), live))
        result = _Result(
            {f"{subset}: {name}": figure for subset, one in found.items() for name, figure in _duelled(one).items()},
            [f"{sum(one.missing for name, one in found.items() if name != 'all')} games without an opinion."],
        )
    else:
        raise ConfigError(
            "nobody judges pairs of this file",
            where=str(benchmark),
            expected="RewardBench, RewardBench 2, RM-Bench, LLMBar, JudgeBench or Auto-J",
            found=known.name,
            hint="`palate eval benchmark` scores it by itself, or asks a subject",
        )
    table = Table("what", "value", "95 % interval", "n", title=f"{who} on {known.name} ({benchmark.name})", **PLAIN)
    for name, figure in result.figures.items():
        table.add_row(name, f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}", str(figure.n))
    live.console.print(table)
    for note in result.notes:
        print(note)
    print(keep(result.figures, who, benchmark, known.name, Workspace(out)))


def keep(figures: Mapping[str, Figure], who: str, benchmark: Path, shape: str, workspace: Workspace) -> Path:
    """Leave an artefact of kind `benchmark` with the figures."""
    told = {
        name: {key: None if value != value else value for key, value in asdict(figure).items()}
        for name, figure in figures.items()
    }
    inputs = {"benchmark": identify(benchmark)}
    if who and "://" not in who:
        inputs["subject"] = identify(Path(who))
    settings: dict[str, Any] = {"shape": shape, "who": who if "://" in who else "", "said": content_id("figures", told)}

    def write(folder: Path) -> None:
        (folder / RESULT).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")

    manifest = Manifest(kind="benchmark", made_by="eval benchmark", config=settings, inputs=inputs, facts=told)
    return workspace.put(manifest, write)


def _scored(known: Known, who: str, path: Path) -> _Result:
    if "://" in who:
        raise ConfigError(
            "this benchmark needs scores", where=who, expected="a folder with a reward model", found="an address"
        )
    assert known.items is not None
    items: list[Item] = known.items(path)
    return _SCORERS[known.name](scored(items, RewardScores(Path(who))))


def _rewardbench(some: list[Scored]) -> _Result:
    found = rewardbench.accuracy(some)
    figures = {**found.subsets, **{f"section {name}": figure for name, figure in found.sections.items()}}
    whole = "not known, as sections are missing" if found.overall is None else f"{found.overall:.3f}"
    return _Result(
        figures, [f"Mean of the sections: {whole}.", f"{found.equal} pairs with equal scores, which are wrong."]
    )


def _rewardbench2(some: list[Scored]) -> _Result:
    found = rewardbench2.accuracy(some)
    ties = [] if found.ties is None else [f"Ties: {found.ties:.3f}, a score of its own and no share."]
    return _Result(found.subsets, [*ties, f"Mean of the subsets: {found.overall:.3f}; chance is .25 outside of Ties."])


def _rm_bench(some: list[Scored]) -> _Result:
    found = rm_bench.accuracy(some)
    means = ", ".join(f"{level} {value:.3f}" for level, value in rm_bench.overall(found).items())
    figures = {f"{subset}: {level}": f for subset, one in found.items() for level, f in one.levels.items()}
    return _Result(figures, [f"Means over the domains: {means}."])


def _duelled(one: judged.Agreement) -> dict[str, Figure]:
    return {
        "right, both orders together": one.right,
        "right, single games": one.single,
        "both orders agree": one.same,
        "whoever is first wins": one.first,
    }


_SCORERS: Final[dict[str, Callable[[list[Scored]], _Result]]] = {
    "rewardbench": _rewardbench,
    "rewardbench2": _rewardbench2,
    "rm-bench": _rm_bench,
}
