"""Many workers for one judge: processes here, or Ray's, each with the model in its memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from palate.cli.judges import GOLD, Asking, Chosen, chosen
from palate.cli.revise import DEFAULT
from palate.core.errors import ConfigError
from palate.core.judges import Judge
from palate.fleet.processes import Processes
from palate.fleet.ray_workers import RayWorkers
from palate.fleet.work import Job
from palate.judging.crew import Crew, work_of
from palate.judging.labelling import AT_ONCE

_PARTS = 4
"""For each worker, between two writes to the journal: they wait for each other there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """Who does the work."""

    workers: int = 1
    """Processes that share it, where the judge is a folder; each holds the model in its memory."""
    ray: bool = False
    """The workers are Ray's: of the cluster that RAY_ADDRESS names, whose machines see the folder under the same path,
    or of this machine where it names none. Needs the extra `ray`."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError("somebody has to work", expected="--workers of 1 or more", found=str(self.workers))


class Ready(NamedTuple):
    """A judge at work."""

    judge: Judge
    at_once: int
    """Questions between two writes to the journal."""


@contextmanager
def at_work(found: Chosen, typed: str, asking: Asking, working: Working) -> Iterator[Ready]:
    """A judge, by itself or with workers, until it is done.

    Args:
        found: The judge.
        typed: What it was found by.
        asking: What it is asked.
        working: Who works.

    Raises:
        ConfigError: it is a server, which works for many as it is; or Ray is not installed.
    """
    if working.workers == 1 and not working.ray:
        yield Ready(found.judge, AT_ONCE)
        return
    if "://" in typed or typed == GOLD:
        raise ConfigError(
            "this judge needs no workers", expected="--workers and --ray with a folder", found=typed,
            hint="a server is asked many questions at once already",
        )  # fmt: skip
    named = asking.principles not in ("", DEFAULT)
    told = replace(asking, principles=str(Path(asking.principles).resolve())) if named else asking
    threads = max(1, (os.cpu_count() or 1) // working.workers)
    settings = {"folder": str(Path(typed).resolve()), "rater": found.who.rater, "threads": threads}
    job = Job("palate.cli.crews:work", {**settings, "asking": asdict(told)})
    pool = RayWorkers(working.workers, os.environ.get("RAY_ADDRESS", "")) if working.ray else Processes(working.workers)
    with Crew(found.judge.name, job, pool) as crew:
        yield Ready(crew, AT_ONCE * working.workers * _PARTS)
        if crew.deaths:
            print(f"workers died {crew.deaths} times, and what they had was done again")


def work(folder: str, asking: dict[str, Any], rater: str, threads: int) -> Callable[[list[Any]], list[Any]]:
    """What each worker does: the judge of a folder, if it is the one that was meant."""

    def judge() -> Judge:
        import torch

        torch.set_num_threads(threads)
        found = chosen(folder, template=Asking(**{**asking, "clamp": tuple(asking["clamp"])}).template)
        if found.who.rater != rater:
            raise ConfigError("a worker has another judge", where=folder, expected=rater, found=found.who.rater)
        return found.judge

    return work_of(judge)
