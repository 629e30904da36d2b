"""Workers of a Ray cluster: this machine's by default, many machines' by address. Needs the extra `ray`."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from palate.core.errors import ConfigError
from palate.fleet.processes import made
from palate.fleet.work import Job, Work, WorkerDied


class RayWorkers:
    """So many actors, each with the job's function made once.

    Args:
        size: How many.
        address: Of a cluster that is there; "" starts one on this machine, and ends it.
    """

    def __init__(self, size: int = 2, address: str = "") -> None:
        if size < 1:
            raise ConfigError("a pool needs a worker", expected="1 or more", found=str(size))
        try:
            import ray
        except ImportError as error:
            raise ConfigError(
                "Ray is not installed", expected="the extra `ray`", found=str(error), hint="pip install 'palate[ray]'"
            ) from error
        self.size, self.address = size, address
        self._ray: Any = ray
        self._actors: list[Any] = []
        self._flying: list[int] = []
        self._ours = False

    def start(self, job: Job) -> None:
        """Actors, in place of all that were there; Ray's own processes stay."""
        ray = self._ray
        if not ray.is_initialized():
            how = {"address": self.address} if self.address else {"num_cpus": self.size, "include_dashboard": False}
            ray.init(log_to_driver=False, **how)
            self._ours = True
        self._end()
        actor = ray.remote(num_cpus=1, max_restarts=0)(_Actor)
        self._actors = [actor.remote(job.make, job.settings) for _ in range(self.size)]
        self._flying = [0] * self.size

    def submit(self, given: list[Any]) -> Future[list[Any]]:
        """Rows for whoever has least to do."""
        place = self._flying.index(min(self._flying))
        self._flying[place] += 1
        told: Future[list[Any]] = Future()
        asked = self._actors[place].do.remote(given).future()
        flying = self._flying

        def tell(done: Future[list[Any]]) -> None:
            flying[place] -= 1
            error = done.exception()
            if error is None:
                told.set_result(done.result())
            elif isinstance(error, self._ray.exceptions.RayActorError):
                told.set_exception(WorkerDied(str(error)))
            else:  # Ray wraps what the work raised
                told.set_exception(getattr(error, "cause", None) or error)

        asked.add_done_callback(tell)
        return told

    def stop(self) -> None:
        """End the actors, and Ray if it was started here."""
        self._end()
        if self._ours:
            self._ray.shutdown()
            self._ours = False

    def _end(self) -> None:
        for one in self._actors:
            self._ray.kill(one)
        self._actors = []


class _Actor:
    def __init__(self, make: str, settings: dict[str, Any]) -> None:
        self._work: Work = made(Job(make, settings))

    def do(self, given: list[Any]) -> list[Any]:
        return self._work(given)
