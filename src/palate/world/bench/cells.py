"""Cells: pairs of processes that take turns. A cell that was measured is not measured again.

Two cells go on at a time where there are two cores; both sides of a cell stand on the same core, and only one of
them works. A cell leaves `FOLDER/cells/<name>.json`: every block of both sides.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from palate.core.errors import ConfigError, PalateError, TrainingError
from palate.world.bench.process import Side, check_run, interpreter_with_trl
from palate.world.bench.ratios import Block, rate
from palate.world.bench.workload import SAMPLING, SIZES, TRAINED, Cell, work_of

STAGES = ("sft", "sft_grouped", "reward", "dpo", "ppo", "grpo", "rloo", "rollout")
PLAIN = ("sft", "reward", "dpo", "ppo", "grpo", "rloo")
"""Stages that are also compared where nothing can be gained from lengths or prompts, at the size `tiny`."""
_SLOWEST = ("ppo", "rloo", "grpo", "dpo", "reward", "sft_grouped", "sft")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """How cells are measured."""

    folder: Path
    """Of this seed: models, cells, logs."""
    seed: int
    rounds: int
    trl: Path | None = None
    """Interpreter with TRL 1.16; None measures Palate alone."""
    trl_ppo: Path | None = None
    """Interpreter with TRL 1.12."""
    model: Path | None = None
    """A model of the user's in place of the bench's own."""
    steps: int | None = None
    """In a block; None is the plan's."""
    batch: int | None = None
    """In a step; None is the plan's."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ConfigError("--rounds cannot be used", expected="at least 1", found=str(self.rounds))

    def file(self, cell: Cell) -> Path:
        """Where a cell is kept."""
        return self.folder / "cells" / f"{cell.name.replace('/', '-')}.json"

    def models(self, cell: Cell) -> Path:
        """What a cell begins with."""
        return self.model or self.folder / "models" / f"{cell.size}{'-endless' if _endless(cell) else ''}"


def cells_of(stages: Sequence[str], sizes: Sequence[str], *, plain: bool) -> list[Cell]:
    """The cells that measure some stages, the slowest first.

    Raises:
        ConfigError: there is no such stage or size.
    """
    for option, given, known in (("--stages", stages, STAGES), ("--size", sizes, tuple(SIZES))):
        for name in given:
            if name not in known:
                raise ConfigError(f"{option} has no such choice", expected=", ".join(known), found=name)
    wanted = {"grpo" if stage == "rollout" else stage for stage in stages}
    found = [Cell(stage, size) for size in sizes for stage in TRAINED if stage in wanted]
    found += [Cell(stage, "tiny", plain=True) for stage in PLAIN if plain and stage in wanted]
    return sorted(found, key=lambda cell: (_SLOWEST.index(cell.stage), cell.size))


def check_interpreters(bench: Bench, cells: Sequence[Cell]) -> None:
    """Refuse before anything is measured what could not be measured.

    Raises:
        ConfigError: an interpreter is missing, or has another TRL.
    """
    missing = [cell for cell in cells if not measured(bench, cell)]
    for option, path, ppo in (("--trl-python", bench.trl, False), ("--trl-ppo-python", bench.trl_ppo, True)):
        if any((cell.stage == "ppo") == ppo for cell in missing):
            if path is None:
                raise ConfigError(
                    f"{option} is not given",
                    expected="the interpreter of an environment that holds TRL " + ("1.12" if ppo else "1.16"),
                    hint="`make bench` makes both environments",
                )
            interpreter_with_trl(path, option, ppo=ppo)


def measured(bench: Bench, cell: Cell) -> dict[str, Any] | None:
    """A cell that is there with enough rounds."""
    path = bench.file(cell)
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found if len(found["palate"]) >= bench.rounds else None


def measure(bench: Bench, cells: Sequence[Cell], say: Say) -> list[str]:
    """Measure what is missing, a cell a core at a time; why any of it could not be."""
    missing = [cell for cell in cells if not measured(bench, cell)]
    if len(missing) < len(cells):
        say(f"{len(cells) - len(missing)} of {len(cells)} cells were measured before")
    jobs: queue.SimpleQueue[tuple[str, Callable[[int], None]]] = queue.SimpleQueue()
    wanted = dict.fromkeys(bench.models(cell) for cell in missing if not bench.model)
    for models in (folder for folder in wanted if not folder.is_dir()):
        jobs.put((f"model {models.name}", lambda core, models=models: make_models(bench, models, core)))  # type: ignore[misc]
    failed = _in_lanes(jobs, say)
    for cell in missing if not failed else []:
        jobs.put((cell.name, lambda core, cell=cell: measure_cell(bench, cell, core, say)))  # type: ignore[misc]
    return failed + _in_lanes(jobs, say)


def make_models(bench: Bench, folder: Path, core: int) -> None:
    """Train the policy that both sides begin with."""
    size, _, kind = folder.name.partition("-")
    module = "palate.world.bench.prepare"
    command = [sys.executable, "-m", module, size, str(bench.seed), str(folder), kind or "ends", str(core)]
    check_run(command, bench.folder / "logs" / f"model-{folder.name}.log", what=f"the model {folder.name}")


def measure_cell(bench: Bench, cell: Cell, core: int, say: Say) -> None:
    """Let both sides take turns, or Palate alone, and keep what they said.

    Raises:
        TrainingError: a side failed, or they did not do the same work.
    """
    name = cell.name.replace("/", "-")
    work = work_of(cell, seed=bench.seed, blocks=bench.rounds + 1, steps=bench.steps, batch=bench.batch)
    path = work.write(bench.folder / "work" / f"{name}.json")
    against = bench.trl_ppo if cell.stage == "ppo" else bench.trl
    with tempfile.TemporaryDirectory(prefix="palate-bench-") as scratch, ExitStack() as open_sides:
        rest = [str(path), str(bench.models(cell))]
        sides = {}
        if against is not None:
            script = Path(__file__).with_name("trl_side.py")
            command = [str(against), str(script), *rest, f"{scratch}/trl", str(core)]
            sides["trl"] = Side(f"TRL's {cell.name}", command, bench.folder / "logs" / f"{name}-trl.log")
        command = [sys.executable, "-m", "palate.world.bench.palate_side", *rest, f"{scratch}/palate", str(core)]
        sides["palate"] = Side(f"Palate's {cell.name}", command, bench.folder / "logs" / f"{name}-palate.log")
        for side in sides.values():
            open_sides.enter_context(side)
        for side in sides.values():
            side.ready()
            side.block()  # warms up
        blocks: dict[str, list[Block]] = {side: [] for side in sides}
        for number in range(bench.rounds):
            for side_name, side in sides.items():
                blocks[side_name].append(side.block())
            say(f"{cell.name}, round {number + 1} of {bench.rounds}: {_sentence(cell, blocks)}")
    found = {"date": datetime.now(UTC).date().isoformat(), "seed": bench.seed, **blocks}
    _write(bench.file(cell), found)


def _sentence(cell: Cell, blocks: dict[str, list[Block]]) -> str:
    """The newest round in words.

    Raises:
        TrainingError: the sides did not do the same work.
    """
    ours = blocks["palate"][-1]
    told = f"{rate(ours).raw:.0f} tokens/s"
    if "trl" not in blocks:
        return told
    theirs = blocks["trl"][-1]
    same = "sequences" if cell.stage in SAMPLING else "tokens"
    if ours[same] != theirs[same]:
        raise TrainingError(
            f"the two sides of {cell.name} did not do the same work", expected=f"{theirs[same]} {same}, as TRL",
            found=str(ours[same]),
        )  # fmt: skip
    return f"{told}, TRL {rate(theirs).raw:.0f}: {rate(ours).raw / rate(theirs).raw:.2f} times as many"


def _in_lanes(jobs: queue.SimpleQueue[tuple[str, Callable[[int], None]]], say: Say) -> list[str]:
    """Do jobs, one a core at a time; what failed, in words."""
    failed: list[str] = []
    stop = threading.Event()

    def lane(core: int) -> None:
        while not stop.is_set():
            try:
                name, job = jobs.get_nowait()
            except queue.Empty:
                return
            say(f"{name} begins on core {core}, {jobs.qsize()} wait")
            try:
                job(core)
            except PalateError as error:
                failed.append(f"{name}: {error}")
                say(f"{name} could not be measured: {error}")

    cores = _cores()
    with ThreadPoolExecutor(len(cores)) as lanes:
        running = [lanes.submit(lane, core) for core in cores]
        try:
            for future in running:
                future.result()
        except BaseException:
            stop.set()
            raise
    return failed


def _cores() -> list[int]:
    """Two at most: more of them would only heat each other."""
    return sorted(os.sched_getaffinity(0))[:2] if hasattr(os, "sched_getaffinity") else [0]


def _endless(cell: Cell) -> bool:
    return cell.plain and cell.stage in SAMPLING


def _write(path: Path, found: dict[str, Any]) -> None:
    """All at once, so that a cell is there or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    half.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    shutil.move(half, path)
