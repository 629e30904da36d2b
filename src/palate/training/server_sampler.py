"""Rollouts on servers: weights go there, a probe proves that they arrived, rows come back.

Synchronous (`--stale-steps 0`): new weights, probe, sample, train. With k > 0 iteration i + k is sampled with the
weights of iteration i while iterations i to i + k - 1 train, so a row is exactly k policy versions old (less in the
first k iterations), and never more. Weights change only while no row is on its way: a row has one version. So more
than one step gains no speed over one; it is there to measure what staleness costs.

What was on its way when a checkpoint was written is sampled again after a resume, with the weights and seeds it
had: the checkpoint keeps those weights.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from palate.core.errors import ConfigError, TrainingError
from palate.core.ids import derive_seed
from palate.models.sampling import row_seeds
from palate.models.servers.pool import Gathered, gather
from palate.models.servers.protocol import Question
from palate.training import checkpoint
from palate.training.rl_settings import RolloutConfig, RolloutOptions
from palate.training.samplers import Answers, Asking
from palate.training.server_weights import Fleet

if TYPE_CHECKING:
    from palate.training.cast import Cast
    from palate.training.run import Run


class _Flight:
    """The rows of one iteration on their way, in a thread of their own."""

    def __init__(self, version: int, work: Callable[[], Gathered]) -> None:
        self.version = version
        self._result: Gathered | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], Gathered]) -> None:
        try:
            self._result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised again where somebody listens
            self._error = error

    def land(self) -> Gathered:
        """Wait for it."""
        while self._thread.is_alive():
            self._thread.join(0.5)  # so that Ctrl-C is heard
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result


class ServerSampler:
    """Answers prompts on servers.

    Args:
        fleet: The servers, and how weights get there.
        config: How far sampling may run ahead.
        options: How many rows may be missing.
        note: Who is told what a person should know.
    """

    def __init__(
        self, fleet: Fleet, config: RolloutConfig, options: RolloutOptions, note: Callable[[str], None]
    ) -> None:
        self.fleet, self.config, self.options, self.note = fleet, config, options, note
        self._flights: dict[int, _Flight] = {}
        self._kept: dict[int, dict[str, Tensor]] = {}
        """Weights of the versions in flight, for a checkpoint; only where sampling runs ahead."""
        self._restored: dict[int, int] = {}
        """Iterations that were in flight at the checkpoint, and their versions."""
        self._ask: Asking | None = None

    def look_ahead(self, ask: Asking) -> None:
        """Learn what later iterations will ask."""
        self._ask = ask

    def answer(
        self, cast: Cast, config: RolloutConfig, encoded: Sequence[Sequence[int]], *, seed: int, iteration: int
    ) -> Answers:
        """One completion a prompt, from weights that are at most `stale_steps` versions old.

        Raises:
            TrainingError: a server does not agree with the trainer, none is left, or too few rows came back.
        """
        self._sample_again(cast, iteration)
        if iteration not in self._flights:
            self._launch(cast, iteration, encoded, seed, version=iteration)
        flight = self._flights.pop(iteration)
        found = flight.land()
        self.fleet.tell()
        if self.config.stale_steps and self._ask is not None:
            for later in range(iteration + 1, min(iteration + self.config.stale_steps + 1, config.iterations)):
                if later not in self._flights:
                    self._launch(cast, later, self._ask(later), self._seed(later), version=iteration)
        self._forget()
        self._refuse_too_few(found, iteration)
        stale = iteration - flight.version
        assert 0 <= stale <= self.config.stale_steps
        facts = self.fleet.facts() | {
            "sampler/stale_versions": float(stale),
            "sampler/missing_rows": float(found.missing),
            "sampler/servers": float(self.fleet.alive),
        }
        return Answers(found.rows, found.reasons, flight.version, True, facts)

    def close(self) -> None:
        """Wait for what nobody will use, and clear up."""
        for flight in self._flights.values():
            flight.land()
        self._flights.clear()
        self.fleet.close()

    def state_dict(self) -> dict[str, Any]:
        """Which iterations are on their way, from which versions, and those weights."""
        flying = {number: flight.version for number, flight in self._flights.items()} | self._restored
        return {"flying": flying, "weights": {v: self._kept[v] for v in set(flying.values()) if v in self._kept}}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """What was on its way."""
        self._restored = dict(state["flying"])
        self._kept = dict(state["weights"])

    def _seed(self, iteration: int) -> int:
        return derive_seed(self.config.seed, "rollouts", iteration)

    def _sample_again(self, cast: Cast, iteration: int) -> None:
        """Launch what was on its way when the run stopped, as it was."""
        again, self._restored = self._restored, {}
        for number, version in sorted(again.items()):
            if number >= iteration and self._ask is not None:
                with _wearing(cast.policy, self._kept[version]):
                    self._launch(cast, number, self._ask(number), self._seed(number), version=version)

    def _launch(self, cast: Cast, iteration: int, encoded: Sequence[Sequence[int]], seed: int, *, version: int) -> None:
        if self.fleet.version != version:
            for flight in self._flights.values():
                flight.land()  # weights change only while no row is on its way
            if self.config.stale_steps:
                self._kept[version] = {
                    name: value.detach().to("cpu", copy=True) for name, value in checkpoint.trained(cast.policy).items()
                }
        if not self.fleet.prompts:  # the same ones in a run that goes on
            self.fleet.choose(encoded if self._ask is None else self._ask(0))
        salt = self.fleet.bring(version)
        seeds = row_seeds(seed, range(len(encoded)))
        questions = [Question(list(prompt), own) for prompt, own in zip(encoded, seeds, strict=True)]
        servers, manner = self.fleet.servers, self.fleet.manner(self.config.max_new_tokens)
        self._flights[iteration] = _Flight(
            version, lambda: gather(servers, questions, manner, salt=salt, patience=self.fleet.patience)
        )

    def _forget(self) -> None:
        """Drop weights that nothing in flight came from."""
        needed = {flight.version for flight in self._flights.values()}
        self._kept = {version: kept for version, kept in self._kept.items() if version in needed}

    def _refuse_too_few(self, found: Gathered, iteration: int) -> None:
        if not found.missing:
            return
        asked = len(found.rows)
        reasons = Counter(reason for reason in found.reasons if reason).most_common(3)
        why = "; ".join(f"{count} times: {reason}" for reason, count in reasons)
        gone = "; ".join(f"{url}: {reason}" for url, reason in found.down.items())
        if asked - found.missing < self.options.server_min_rows * asked or found.missing == asked:
            raise TrainingError(
                f"too few rows of iteration {iteration + 1} came back from the servers",
                where=gone,
                expected=f"{self.options.server_min_rows:.0%} of {asked} (--server-min-rows)",
                found=f"{asked - found.missing}; {why}",
                hint="start the servers again; the same command goes on from the newest checkpoint",
            )
        self.note(f"iteration {iteration + 1} goes on without {found.missing} of its {asked} rows ({why})")


def open_servers(config: RolloutConfig, cast: Cast, run: Run) -> ServerSampler | None:
    """The servers of a run, greeted; None if it has none.

    Raises:
        ConfigError: what was asked for cannot be had.
        TrainingError: none of them can be reached.
    """
    options = run.options if isinstance(run.options, RolloutOptions) else RolloutOptions()
    if not options.server:
        if config.stale_steps:
            raise ConfigError(
                "--stale-steps has nobody to sample meanwhile", expected="--server", found=str(config.stale_steps)
            )
        return None
    if config.tuning == "qlora":
        raise ConfigError("--server cannot be had with --tuning qlora: 4 bits cannot be merged and sent")
    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    if there and torch.distributed.get_world_size() > 1:
        raise ConfigError("--server cannot be had with several training processes yet", hint="train with one process")
    fleet = Fleet(config, options, cast, run, salt=uuid.uuid4().hex)
    return ServerSampler(fleet, config, options, run.progress.note)


@contextmanager
def _wearing(policy: Any, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """A policy with other weights for a while."""
    parameters = checkpoint.trained(policy)
    now = {name: value.detach().clone() for name, value in parameters.items()}
    checkpoint.set_weights("sampler", parameters, weights)
    try:
        yield
    finally:
        checkpoint.set_weights("sampler", parameters, now)
