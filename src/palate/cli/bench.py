"""`palate bench`: how fast the recipes are here, alone or in turns with TRL."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from palate.cli.live import Live
from palate.core.errors import ConfigError, TrainingError
from palate.world.bench import cells, figures, page
from palate.world.bench.cells import STAGES, Bench
from palate.world.bench.workload import Cell

Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative_iterable=())]


def bench(
    *,
    model: Path | None = None,
    stages: Names = STAGES,
    size: Names = (),
    against: Literal["trl"] | None = None,
    trl_python: Path | None = None,
    trl_ppo_python: Path | None = None,
    rounds: int = 5,
    seed: int = 0,
    out: Path = Path("bench.json"),
    page_: Annotated[Path | None, Parameter(name="--page")] = None,
    work: Path = Path("build/bench"),
) -> None:
    """Measure tokens a CPU second, use of the core, peak memory, and where the time goes.

    The real recipes run on made-up text, each in a process of its own, on one core; steps that warm up do not
    count. With --against trl, TRL does the same work in turns with Palate on the same core.

    Parameters
    ----------
    model
        Folder of a causal model, in place of the bench's own. Rewards are then a function's.
    stages
        sft, sft_grouped (TRL on batches of like length), reward, dpo, ppo, grpo, rloo, rollout (the sampling of grpo).
    size
        tiny (1.2 million weights) or small (15 million). Alone: tiny; against TRL: both.
    against
        With whom to take turns.
    trl_python
        Interpreter of an environment that holds TRL 1.16.
    trl_ppo_python
        Interpreter of one that holds TRL 1.12, the last release with PPO.
    rounds
        Blocks of steps, one a side and round.
    seed
        Of models and texts.
    out
        JSON file for the figures. Against TRL: other rows in it stay.
    page_
        A page with marks, to be filled with the tables.
    work
        Against TRL: where cells are kept, so that a run that was cut off goes on; also the models.
    """
    live, begun = Live(), time.monotonic()
    if against is None:
        if trl_python or trl_ppo_python:
            raise ConfigError("--trl-python and --trl-ppo-python need --against trl")
        _alone(live, model, stages, size or ("tiny",), rounds, seed, out, work)
    else:
        if model is not None:
            raise ConfigError("--model does not fit --against trl", hint="both sides train the bench's own models")
        setting = Bench(
            folder=work / f"seed-{seed}",
            seed=seed,
            rounds=rounds,
            trl=_whole(trl_python),
            trl_ppo=_whole(trl_ppo_python),
        )
        _against(live, setting, stages, size or ("tiny", "small"), out, page_)
    live.say(f"{out}, after {time.monotonic() - begun:.0f} s")


def _whole(path: Path | None) -> Path | None:
    """The path from the root on, links kept: an environment is found from where its interpreter is called."""
    return None if path is None else path.absolute()


def _alone(
    live: Live,
    model: Path | None,
    stages: Sequence[str],
    sizes: Sequence[str],
    rounds: int,
    seed: int,
    out: Path,
    work: Path,
) -> None:
    if model is not None:
        from palate.models.load import read_config  # loads torch, which a process that waits should not hold

        read_config(model)
        model = model.absolute()
    wanted = [c for c in cells.cells_of(stages, sizes, plain=False) if c.stage != "sft_grouped" or "sft" not in stages]
    with tempfile.TemporaryDirectory(prefix="palate-bench-") as scratch:
        folder = Path(scratch)
        if model is None:  # models are kept, measurements are not
            models = work.absolute() / f"seed-{seed}" / "models"
            models.mkdir(parents=True, exist_ok=True)
            (folder / "models").symlink_to(models, target_is_directory=True)
        setting = Bench(folder=folder, seed=seed, rounds=rounds, model=model)
        failed = cells.measure(setting, wanted, partial(_say, live))
        rows = page.alone(_found(setting, wanted))
    order = {stage: place for place, stage in enumerate(STAGES)}
    rows.sort(key=lambda row: (row["size"], order[row["stage"]]))
    lines = page.alone_lines([row for row in rows if row["stage"] in stages])
    _print(live, lines)
    named = {"model": str(model)} if model else {}
    out.write_text(json.dumps([{**named, **row} for row in rows], indent=1) + "\n", encoding="utf-8")
    _complain(failed)


def _against(
    live: Live, setting: Bench, stages: Sequence[str], sizes: Sequence[str], out: Path, page_: Path | None
) -> None:
    wanted = cells.cells_of(stages, sizes, plain="tiny" in sizes)
    cells.check_interpreters(setting, wanted)
    failed = cells.measure(setting, wanted, partial(_say, live))
    found = _found(setting, cells.cells_of(STAGES, ("tiny", "small"), plain=True))
    rows = figures.figures(found, command=f"make bench SEED={setting.seed}")
    lines = page.targets_lines(rows)
    _print(live, lines)
    figures.write(out, rows)
    if page_ is not None:
        own = [
            row for row in page.alone({c: f for c, f in found.items() if not c.plain}) if row["stage"] != "sft_grouped"
        ]
        parts = {
            "targets": page.markdown([line for line in lines if line[1]] if rows else lines),
            "plain": page.markdown([lines[0], *(line for line in lines if line[0].startswith("plain/"))]),
            "phases": page.markdown(page.alone_lines(own)),
        }
        page.fill(page_, parts)
    _complain(failed)


def _found(setting: Bench, wanted: Sequence[Cell]) -> dict[Cell, dict[str, Any]]:
    """Cells that are there."""
    both = {cell: cells.measured(setting, cell) for cell in wanted}
    return {cell: found for cell, found in both.items() if found}


def _say(live: Live, sentence: str) -> None:
    """What a process said may hold brackets, which are no markup."""
    live.say(escape(sentence))


def _print(live: Live, lines: Sequence[Sequence[str]]) -> None:
    table = Table(*lines[0])
    for line in lines[1:]:
        table.add_row(*line)
    live.console.print(table)


def _complain(failed: Sequence[str]) -> None:
    """What could not be measured is an error, after all that could be was written.

    Raises:
        TrainingError: something failed.
    """
    if failed:
        raise TrainingError("not everything could be measured", found="; ".join(failed))
