"""A pool of processes on this machine."""

from __future__ import annotations

import importlib
import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from palate.core.errors import ConfigError
from palate.fleet.work import Job, Work, WorkerDied

_work: Work | None = None
"""Of this process, where it is a worker."""


class Processes:
    """So many workers, each with the job's function made once.

    Args:
        size: How many.
    """

    def __init__(self, size: int = 2) -> None:
        if size < 1:
            raise ConfigError("a pool needs a worker", expected="1 or more", found=str(size))
        self.size = size
        self._pool: ProcessPoolExecutor | None = None

    def start(self, job: Job) -> None:
        """New processes; those that are left of a broken pool go."""
        self.stop()
        context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks as they are
        self._pool = ProcessPoolExecutor(self.size, mp_context=context, initializer=_begin, initargs=(job,))

    def submit(self, given: list[Any]) -> Future[list[Any]]:
        """Rows for whoever is free."""
        assert self._pool is not None
        told: Future[list[Any]] = Future()
        try:
            asked = self._pool.submit(_do, given)
        except BrokenProcessPool as error:
            told.set_exception(WorkerDied(str(error)))
            return told
        asked.add_done_callback(lambda done: _tell(done, told))
        return told

    def stop(self) -> None:
        """End them, at work or not."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def made(job: Job) -> Work:
    """The job's function.

    Raises:
        ConfigError: there is none of that name.
    """
    module, _, name = job.make.partition(":")
    try:
        make = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            "there is no such work", expected="module:function", found=job.make, hint=str(error)
        ) from error
    work: Work = make(**job.settings)
    return work


def _begin(job: Job) -> None:
    global _work
    _work = made(job)


def _do(given: list[Any]) -> list[Any]:
    assert _work is not None
    return _work(given)


def _tell(done: Future[list[Any]], told: Future[list[Any]]) -> None:
    if done.cancelled():
        told.set_exception(WorkerDied("cancelled"))
    elif (error := done.exception()) is None:
        told.set_result(done.result())
    else:
        told.set_exception(WorkerDied(str(error)) if isinstance(error, BrokenProcessPool) else error)
