"""The servers of a run: greeted, given each version's weights, and probed before a row is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from palate.core.errors import ConfigError, TrainingError
from palate.models.adapters import Hat
from palate.models.layout import lay, logprobs
from palate.models.servers import probe, weights
from palate.models.servers.client import Server
from palate.models.servers.pool import Patience
from palate.models.servers.protocol import Manner, ServerFault
from palate.models.tokenizers import ends_of, pad_id_of
from palate.training.rl_settings import RolloutConfig, RolloutOptions

if TYPE_CHECKING:
    from palate.training.cast import Cast
    from palate.training.run import Run

PATIENCE = Patience()
"""How hard a row is tried."""
_PROBES = 4
"""Prompts of a probe."""
_PROBE_TOKENS = 16
"""Longest answer to one."""


class Fleet:
    """Servers that sample for a run.

    Args:
        config: Temperature, length.
        options: Addresses, tolerance, how weights travel.
        cast: With the policy whose weights they get.
        run: Whose folder holds the weights on their way.
        salt: Of the servers' prefix caches; another one for each process.
    """

    def __init__(self, config: RolloutConfig, options: RolloutOptions, cast: Cast, run: Run, *, salt: str) -> None:
        self.config, self.options, self.cast, self.salt = config, options, cast, salt
        self.note: Callable[[str], None] = run.progress.note
        self.servers = [Server(url, timeout_s=options.server_timeout_s) for url in dict.fromkeys(options.server)]
        self.patience = PATIENCE
        self.version = -1
        self.prompts: list[list[int]] = []
        self._before: dict[str, list[list[float]]] = {}
        """The trainer's log-probs of the fixed prompts with the weights that each server has."""
        self._worst = probe.Gap(0.0, 0.0)
        self._told: set[str] = set()
        root = Path(options.server_folder) / run.manifest.id if options.server_folder else run.folder / "weights"
        self.carrier = weights.FolderCarrier(root, native=False, config=cast.policy.config.save_pretrained)
        self._greet()
        self.carrier.native = self._native()

    @property
    def alive(self) -> int:
        """Servers that can be asked."""
        return sum(not server.down for server in self.servers)

    def facts(self) -> dict[str, float]:
        """Of the last probe: the server that is furthest off."""
        return {"sampler/probe_mean_nats": self._worst.mean, "sampler/probe_max_nats": self._worst.largest}

    def manner(self, max_new_tokens: int) -> Manner:
        """How rows are answered."""
        return Manner(
            ends=tuple(sorted(ends_of(self.cast.tokenizer).ids)),
            max_new_tokens=max_new_tokens,
            temperature=self.config.temperature,
            vocabulary=int(self.cast.policy.get_input_embeddings().weight.shape[0]),
        )

    def bring(self, version: int) -> str:
        """See to it that the servers have the policy's weights as they are now, and prove it.

        Args:
            version: What these weights are called: iterations behind them.

        Returns:
            The salt of the prefix cache for these weights.

        Raises:
            TrainingError: a server does not agree with the trainer, or none is left.
        """
        if version == self.version and self.alive:
            return f"{self.salt}-{version}"
        self._greet()
        with torch.no_grad():
            self.carrier.load(version, self._weights())
        self._worst = probe.Gap(0.0, 0.0)
        now = probe.prompt_logprobs(self.prompts, self._score) if self.prompts else []
        for server in self.servers:
            if server.down:
                continue
            try:
                weights.push(server, self.carrier, version, timeout_s=self.options.server_timeout_s)
                self._probe(server, version)
            except ServerFault as fault:
                server.down = server.down or fault.sentence
            else:
                self._before[server.url] = now
        self.tell()
        self._refuse_nobody()
        self.version = version
        return f"{self.salt}-{version}"

    def close(self) -> None:
        """Delete the weights on their way."""
        self.carrier.clear()

    def tell(self) -> None:
        """Say, once each, which servers are asked no more, and which are again."""
        for server in self.servers:
            if server.down and server.url not in self._told:
                self.note(f"{server.url} is left out: {server.down}")
                self._told.add(server.url)
            elif not server.down and server.url in self._told:
                self.note(f"{server.url} is back")
                self._told.discard(server.url)

    def _greet(self) -> None:
        """Ask everybody what they serve, those that were down too: they may be back."""
        for server in self.servers:
            was = server.down
            try:
                server.greet()
            except ServerFault as fault:
                server.down = fault.sentence
            else:
                if was:  # another process, perhaps: nothing is known of it
                    server.knows_transfer = False
                    self._before.pop(server.url, None)
        self.tell()
        self._refuse_nobody()

    def _refuse_nobody(self) -> None:
        if not self.alive:
            raise TrainingError(
                "no server is left to sample on",
                where=", ".join(server.url for server in self.servers),
                found="; ".join(server.down for server in self.servers),
                hint="start the servers again; the same command goes on from the newest checkpoint",
            )

    def _native(self) -> bool:
        """Whether weights travel by the servers' native weight transfer."""
        if self.options.server_weights == "reload":
            return False
        there = [server for server in self.servers if not server.down]
        offers = [weights.offers_native(s, self.carrier, timeout_s=self.options.server_timeout_s) for s in there]
        if self.options.server_weights == "disk" and not all(offers):
            raise ConfigError(
                "--server-weights disk cannot be had",
                where=", ".join(s.url for s, offered in zip(there, offers, strict=True) if not offered),
                expected="""a server with --weight-transfer-config '{"backend": "disk"}' and VLLM_SERVER_DEV_MODE=1""",
                hint="--server-weights reload works with any vLLM that has reload_weights",
            )
        return all(offers)

    def _weights(self) -> weights.Weights:
        policy = self.cast.policy
        return weights.of_hat(policy) if isinstance(policy, Hat) else weights.of_model(policy)

    def _probe(self, server: Server, version: int) -> None:
        manner = self.manner(min(_PROBE_TOKENS, self.config.max_new_tokens))
        salt, timeout_s = f"{self.salt}-{version}", self.options.server_timeout_s
        told = probe.ask(server, self.prompts, manner, salt=salt, timeout_s=timeout_s)
        found = probe.judge(
            told,
            self._score,
            temperature=self.config.temperature,
            tolerance_nats=self.options.server_tolerance_nats,
            before=self._before.get(server.url),
        )
        self._worst = max(self._worst, found.sampled, key=lambda gap: gap.mean)
        if found.cause:
            raise TrainingError(
                "a server does not agree with the trainer, so nothing is learned from it",
                where=f"{server.url}, weights of version {version}",
                expected=f"the same log-probs within {self.options.server_tolerance_nats:g} nats a token in the mean",
                found=f"mean {found.sampled.mean:.2e}, at most {found.sampled.largest:.2e}",
                hint=found.cause,
            )

    def _score(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], temperature: float
    ) -> list[list[float]]:
        if not any(completions):
            return [[] for _ in completions]
        laid = lay(
            prompts, completions, pad_id=pad_id_of(self.cast.tokenizer), layout=self.config.layout,
            device=self.cast.device,
        )  # fmt: skip
        with torch.no_grad(), self.config.arithmetic(self.cast.device):
            found: Any = logprobs(self.cast.policy, laid, temperature=temperature).float().cpu()
        return [row[: len(tokens)].tolist() for row, tokens in zip(found, completions, strict=True)]

    def choose(self, prompts: Sequence[Sequence[int]]) -> None:
        """Take the fixed prompts of the probe from those of the run: short ones, so that a probe is cheap."""
        fitting = sorted({tuple(prompt) for prompt in prompts if len(prompt) > 1}, key=lambda p: (len(p), p))
        self.prompts = [list(prompt) for prompt in fitting[:_PROBES]] or [list(prompts[0])]
