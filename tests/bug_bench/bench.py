"""Run the checks against the mutants, and say which of them nobody noticed.

| name | what it counts |
|---|---|
| `mutants/total` | wrong variants of the real code, each put in its place in turn |
| `mutants/killed` | those that made an assertion about a value fail; exceptions and time-outs do not count |
"""

import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from tests.bug_bench.mutants import MUTANTS
from tests.bug_bench.mutation import Mutant, applied, refuse_stale
from transformers.utils import logging

from palate.world.checks import GROUPS, WrongValue, checks_of

TIMEOUT_S = 60
"""For one check. A mutant that hangs is not killed by it."""


class Result(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    killed_by: str
    """The check that found a wrong value; empty if none did."""
    value: str
    """What it said; for a survivor, what else went wrong."""


class Bench(NamedTuple):
    """One run of the bench."""

    results: list[Result]
    broken: dict[str, str]
    """Checks that do not pass on the real code, and why. They kill nothing."""
    seconds: float

    @property
    def killed(self) -> int:
        """How many mutants a check noticed."""
        return sum(bool(result.killed_by) for result in self.results)

    @property
    def last_line(self) -> str:
        """What the bench ends with."""
        return f"killed {self.killed} of {len(self.results)}"


def run(mutants: Sequence[Mutant] = MUTANTS, *, letters: str = "".join(GROUPS)) -> Bench:
    """Hold every check to the real code, then every mutant to the checks, those of its own group first.

    Args:
        mutants: Which ones.
        letters: Groups of checks; those of others are left out.

    Raises:
        StaleMutant: A mutant does not fit the code any more.
    """
    began = time.monotonic()
    refuse_stale(mutants)
    with _calm():
        groups = {letter: checks_of(letter) for letter in letters}
        broken = {}
        for checks in groups.values():
            for name, check in checks.items():
                _, why = _verdict(check)
                if why:
                    broken[name] = why
        results = []
        for mutant in mutants:
            order = sorted(groups, key=lambda letter: letter != mutant.item[0])
            checks = {name: check for letter in order for name, check in groups[letter].items()}
            results.append(_try(mutant, {name: check for name, check in checks.items() if name not in broken}))
    return Bench(results, broken, time.monotonic() - began)


def _try(mutant: Mutant, checks: dict[str, Callable[[], None]]) -> Result:
    others = []
    with applied(mutant):
        for name, check in checks.items():
            wrong, why = _verdict(check)
            if wrong:
                return Result(mutant, name, why)
            if why:
                others.append(f"{name}: {why}")
    return Result(mutant, "", "; ".join(others[:3]))


def _verdict(check: Callable[[], None]) -> tuple[bool, str]:
    """`(found a wrong value, what it said)`; an error of another kind says nothing about a value."""
    try:
        with _limited():
            check()
    except WrongValue as found:
        return True, str(found)
    except Exception as error:  # noqa: BLE001  a mutant may fail in any way
        return False, f"{type(error).__name__}: {error}".splitlines()[0][:120]
    return False, ""


@contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"more than {TIMEOUT_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(TIMEOUT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _calm() -> Iterator[None]:
    """One thread, because all tensors are tiny; no bars for models of a few kilobytes, no warnings of wrong code."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(threads)
        logging.enable_progress_bar()


def table(bench: Bench) -> str:
    """A line for each mutant: item, what is wrong, function, and the check that noticed."""
    rows = [
        (result.mutant.item, result.mutant.what, result.mutant.where, result.killed_by or "SURVIVED")
        for result in bench.results
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(3)] if rows else [0] * 3
    return "\n".join("  ".join([*(x.ljust(w) for x, w in zip(row, widths, strict=False)), row[3]]) for row in rows)


def figures(bench: Bench | None = None) -> list[dict[str, Any]]:
    """Figures for a results file: how many mutants there are, and how many were killed."""
    bench = bench or run()
    counts = {"mutants/killed": bench.killed, "mutants/total": len(bench.results)}
    return [{"name": name, "value": value, "n": len(bench.results)} for name, value in counts.items()]
