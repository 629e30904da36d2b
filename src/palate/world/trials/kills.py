"""`kill -9` in the middle of a run, again and again; what comes out must be what a run in peace leaves, bit for bit.

Each process is forked from one that has imported everything: importing takes seconds, a run one. Threads do not
survive a fork, so torch must have one thread, from the beginning.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from palate.core import artefacts
from palate.core.errors import Interrupted
from palate.models import plain_sampling
from palate.models.flat import slots
from palate.training import checkpoint
from palate.training.run import TIMES, Run, RunOptions
from palate.world.trials.setting import Trial

PLACES = ("rollout", "update", "after update", "line", "half a checkpoint", "checkpoint", "old checkpoint", "artefact")
"""Where a process can be ended: while it samples, before and after an optimiser step, with half a line written, with
half a checkpoint written, before it has its name, before older ones are deleted, before the artefact has its name."""
FINAL = "final.pt"
"""In a run's folder, written by these trials alone: the whole state at the end, optimisers included."""


class Blow(NamedTuple):
    """What ends a process."""

    place: str
    hit: int
    """At the so-manieth time that the process comes by."""
    number: int = signal.SIGKILL


class Ended(NamedTuple):
    """How a forked process ended."""

    code: int
    """Its exit code; below 0 the signal that ended it."""
    said: str
    """What it printed."""


def fork(work: Callable[[], None], *, after_s: float | None = None) -> Ended:
    """Run something in a process of its own.

    Args:
        work: What to run; the process ends with 0, or with 130 if it was interrupted, or 1 on any other error.
        after_s: `kill -9` after so long.
    """
    inward, outward = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of threads; torch has one
        child = os.fork()
    if not child:
        os.close(inward)
        _be_a_child(work, outward)
    os.close(outward)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(inward, encoding="utf-8", errors="replace") as pipe:
        said = pipe.read()
    return Ended(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said)


def _be_a_child(work: Callable[[], None], outward: int) -> None:
    code = 1
    try:
        os.dup2(outward, 1)
        os.dup2(outward, 2)
        sys.stdout, sys.stderr = (os.fdopen(os.dup(outward), "w", encoding="utf-8") for _ in range(2))
        torch.set_num_threads(1)
        torch.manual_seed(os.getpid())  # what a run does must not hang on where it is begun
        work()
        code = 0
    except Interrupted:
        code = 130
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - a child must never return into its parent's stack
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Places:
    """Counts how often a process comes by each place, and ends it there.

    Args:
        blow: Where to end it; None only counts.
    """

    def __init__(self, blow: Blow | None = None) -> None:
        self.blow = blow
        self.hits = dict.fromkeys(PLACES, 0)

    def pass_by(self, place: str) -> bool:
        """Count; whether this is the place and the time."""
        self.hits[place] += 1
        return self.blow is not None and (place, self.hits[place]) == (self.blow.place, self.blow.hit)

    def end(self) -> None:
        """Deliver the signal."""
        assert self.blow is not None
        os.kill(os.getpid(), self.blow.number)

    def _perhaps(self, place: str) -> None:
        if self.pass_by(place):
            self.end()

    def install(self) -> None:
        """Put it into the code, for good: only in a process that was forked for it."""
        for drawer in (slots, plain_sampling):
            self._around(drawer, "draw", before="rollout")
        register_optimizer_step_pre_hook(lambda *_: self._perhaps("update"))
        register_optimizer_step_post_hook(lambda *_: self._perhaps("after update"))
        staged = f".{os.getpid()}"  # only a checkpoint's staging file ends so
        self._around(os, "replace", before="checkpoint", only=lambda old, _: Path(old).suffix == staged)
        self._around(checkpoint, "save_whole", after="old checkpoint")
        self._around(artefacts, "write_manifest", before="artefact")
        self._halve_checkpoints()
        self._halve_lines()
        _leave_final_state()

    def _around(
        self, owner: Any, name: str, *, before: str = "", after: str = "", only: Callable[..., bool] | None = None
    ) -> None:
        real = getattr(owner, name)

        def wrapped(*args: Any, **more: Any) -> Any:
            counts = only is None or only(*args)
            if before and counts:
                self._perhaps(before)
            result = real(*args, **more)
            if after and counts:
                self._perhaps(after)
            return result

        setattr(owner, name, wrapped)

    def _halve_checkpoints(self) -> None:
        real = torch.save

        def save(payload: Any, handle: Any) -> None:
            if self.pass_by("half a checkpoint"):
                whole = io.BytesIO()
                real(payload, whole)
                handle.write(whole.getvalue()[: whole.tell() // 2])
                handle.flush()
                self.end()
            real(payload, handle)

        setattr(torch, "save", save)  # noqa: B010 - a replacement, which types forbid

    def _halve_lines(self) -> None:
        real = Run.append

        def append(run: Run, name: str, *lines: Mapping[str, Any]) -> None:
            if self.pass_by("line"):
                real(run, name, *lines[:-1])
                text = json.dumps(lines[-1])
                run._files[name].write(text[: len(text) // 2])
                run._files[name].flush()
                self.end()
            real(run, name, *lines)

        setattr(Run, "append", append)  # noqa: B010


def _leave_final_state() -> None:
    """Have `finish` write down all parts of the run first."""
    steps, finish, write = Run.steps, Run.finish, torch.save
    parts: dict[str, Any] = {}

    def noted(run: Run, task: str, total: int, state: Mapping[str, Any]) -> Any:
        parts.update(state)
        return steps(run, task, total, state)

    def finished(run: Run, *args: Any) -> Path:
        state = {name: checkpoint._dump(part) for name, part in parts.items()}
        parts.clear()
        with (run.folder / FINAL).open("wb") as handle:
            write(state, handle)
        return finish(run, *args)

    setattr(Run, "steps", noted)  # noqa: B010
    setattr(Run, "finish", finished)  # noqa: B010


class Outcome(NamedTuple):
    """What a run left."""

    files: dict[str, bytes]
    """The artefact's, and the run's growing ones, without those that tell times."""
    facts: dict[str, Any]
    """Of the manifest, without times."""
    state: Any
    """All parts of each run at its end: weights, optimisers, buffers, coefficients."""

    def differences(self, other: Outcome) -> list[str]:
        """Names of what is not the same, bit for bit."""
        names = sorted(self.files.keys() | other.files.keys())
        found = [name for name in names if self.files.get(name) != other.files.get(name)]
        found += [f"manifest of {name}" for name in self.facts.keys() | other.facts.keys()
                  if self.facts.get(name) != other.facts.get(name)]  # fmt: skip
        return found + ["state at the end"] * (not _same(self.state, other.state))


def outcome(root: Path) -> Outcome:
    """What the runs of a workspace left; most recipes are one, some are several in a row."""
    files: dict[str, bytes] = {}
    facts: dict[str, Any] = {}
    state: dict[str, Any] = {}
    for run in sorted((root / "runs").iterdir()):
        folder = root / "artefacts" / run.name
        kept = [path for path in folder.rglob("*") if path.is_file() and path.name != artefacts.MANIFEST]
        kept += [path for path in run.glob("*.jsonl") if path.name != TIMES]
        here = str(root).encode()  # an ensemble names the folders of its members
        files |= {f"{run.name}/{path.name}": path.read_bytes().replace(here, b"") for path in kept}
        found = artefacts.read_manifest(folder).facts
        facts |= {f"{run.name}/{name}": value for name, value in found.items() if name != "time_s"}
        state[run.name] = torch.load(run / FINAL, weights_only=True)
    return Outcome(files, facts, state)


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one.nan_to_num(), other.nan_to_num())
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


class Peace(NamedTuple):
    """A run that nobody ended."""

    outcome: Outcome
    hits: dict[str, int]
    """How often it came by each place."""
    seconds: float


def in_peace(trial: Trial, root: Path) -> Peace:
    """Run it in one go, with a checkpoint after each step, as the killed ones."""

    def work() -> None:
        places = Places()
        places.install()
        trial.run(root, options=RunOptions(device="cpu", checkpoint_every_s=0))
        (root / "hits.json").write_text(json.dumps(places.hits), encoding="utf-8")

    start = time.monotonic()
    ended = fork(work)
    if ended.code:
        raise RuntimeError(f"{trial.name} does not even run in peace:\n{ended.said}")
    hits = json.loads((root / "hits.json").read_text(encoding="utf-8"))
    return Peace(outcome(root), hits, time.monotonic() - start)


def killed(trial: Trial, root: Path, blows: Sequence[Blow | float], *, every_s: float = 0.0) -> int:
    """Run it, killed at each blow and begun again, until it is through.

    Args:
        trial: What to run.
        root: Its workspace.
        blows: Where to end each process, or after how many seconds; the one after them is left in peace.
        every_s: Seconds between checkpoints.

    Returns:
        How many processes were killed: some come through before their blow.
    """
    for kills, blow in enumerate((*blows, None)):

        def work(blow: Blow | float | None = blow) -> None:
            Places(blow if isinstance(blow, Blow) else None).install()
            trial.run(root, options=RunOptions(device="cpu", checkpoint_every_s=every_s))

        ended = fork(work, after_s=blow if isinstance(blow, float) else None)
        if ended.code == 0:
            return kills
        if ended.code != -signal.SIGKILL:
            raise RuntimeError(f"{trial.name}, after {kills} kills, ends with {ended.code}:\n{ended.said}")
    raise AssertionError("the last process is not killed")


def some_blows(peace: Peace, number: int, generator: random.Random) -> list[Blow | float]:
    """Blows at random places and times, spread over the run; one in five by the clock alone."""
    found: list[Blow | float] = []
    there = [place for place in PLACES if peace.hits[place]]
    for index in range(number):
        if generator.random() < 0.2:
            found.append(generator.random() * peace.seconds)
            continue
        place = generator.choice(there)
        # A process begins where the last one came to, so that the way left grows shorter.
        left = max(peace.hits[place] * (number - index) // number, 1)
        found.append(Blow(place, generator.randint(1, max(left // 2, 1))))
    return found


class Found(NamedTuple):
    """What came of killing a trial."""

    kills: int
    differences: list[str]
    """From a run in peace; none if all is well."""


def try_out(trial: Trial, root: Path, generator: random.Random, *, turns: int, blows: int) -> Found:
    """Run a trial in peace, then several times with kills.

    Args:
        trial: What to run.
        root: Where.
        generator: Says where the kills fall.
        turns: Killed runs.
        blows: Kills in each, at most.
    """
    peace = in_peace(trial, root / "peace")
    count, differences = 0, []
    for turn in range(turns):
        where = some_blows(peace, blows, generator)
        count += killed(trial, root / str(turn), where, every_s=generator.choice([0.0, 0.02]))
        found = outcome(root / str(turn)).differences(peace.outcome)
        differences += [f"{name} after {where}" for name in found]
    return Found(count, differences)
