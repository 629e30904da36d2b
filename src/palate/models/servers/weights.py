"""How new weights reach a server: the control flow over HTTP, and who carries the bytes.

A *carrier* moves the bytes; this file moves the server through its phases:

    pause (what is on hand is finished first) → the weights → prefix cache emptied → resume

With vLLM's native weight transfer the middle is `init_weight_transfer_engine` once, then `start_weight_update`,
`update_weights` once or several times, and `finish_weight_update` with the version as its label. A carrier whose bytes
go beside HTTP (NCCL) hands over a `send` that runs while the server stands in `update_weights`: both ends meet there.
Without native transfer a folder of safetensors is read again through `collective_rpc`.

An update is not a transaction: where it fails half-way the server stays paused, and is asked no more.

Source: vLLM 0.32, docs "Weight Transfer" and "Async Reinforcement Learning" (`/pause?mode=wait`, `/resume`,
`/weight_info`), "Layerwise (Re)loading" (`reload_weights` with `weights_path`). A `disk` engine for the native
protocol was an open pull request then (vllm-project/vllm#52152).
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file
from torch import Tensor, nn

from palate.models.adapters import Hat
from palate.models.servers.client import Server
from palate.models.servers.protocol import ServerFault

Weights = Iterable[tuple[str, Tensor]]
"""A whole model by the names of its checkpoint; tied weights once."""


class Part(NamedTuple):
    """One call of `update_weights`."""

    info: Mapping[str, Any]
    """What the server's engine is told."""
    send: Callable[[], None] | None = None
    """Moves the bytes while the server is in that call, where they do not lie ready."""


class Carrier(Protocol):
    """Who carries the bytes."""

    native: bool
    """By vLLM's native weight transfer; else the server reads `folder` again."""

    def load(self, version: int, weights: Weights) -> None:
        """Take up new weights, once for all servers."""

    def handshake(self, server: Server) -> Mapping[str, Any]:
        """What the server's engine is told when it is initialised."""

    def parts(self, server: Server) -> Iterator[Part]:
        """How the weights that were loaded get to one server."""

    def clear(self) -> None:
        """Nobody needs them any more."""


class FolderCarrier:
    """Weights as a safetensors checkpoint in a folder that every server sees at the same path.

    Each version has a folder of its own, as a server may remember what it read from a path before.

    Args:
        root: Where the folders go.
        native: Use the native protocol's `disk` engine; else `collective_rpc reload_weights`.
        config: Writes `config.json` and what else belongs beside weights.
        dtype: Of the weights on the disk.
    """

    def __init__(
        self, root: Path, *, native: bool, config: Callable[[Path], None], dtype: torch.dtype | None = None
    ) -> None:
        self.root, self.native, self.config, self.dtype = root.resolve(), native, config, dtype
        self.folder: Path | None = None

    def load(self, version: int, weights: Weights) -> None:
        """Write them; the folder appears whole."""
        target, staging = self.root / f"version-{version:08d}", self.root / f".version-{version:08d}"
        for path in (target, staging):
            shutil.rmtree(path, ignore_errors=True)
        staging.mkdir(parents=True)
        self.config(staging)
        tensors = {name: value.detach().to("cpu", self.dtype).contiguous() for name, value in weights}
        save_file(tensors, staging / "model.safetensors", metadata={"format": "pt"})
        staging.rename(target)
        if self.folder is not None and self.folder != target:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = target

    def handshake(self, server: Server) -> Mapping[str, Any]:
        """Nothing to agree on."""
        return {}

    def parts(self, server: Server) -> Iterator[Part]:
        """One: the folder."""
        assert self.folder is not None
        yield Part({"path": str(self.folder)})

    def clear(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.folder = None


def of_model(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A model's weights by the names of its checkpoint; what is tied comes once, under its first name."""
    seen: set[tuple[int, torch.Size]] = set()
    for name, value in model.state_dict().items():
        place = (value.data_ptr(), value.shape)
        if value.numel() and place in seen:
            continue
        seen.add(place)
        yield name, value


def of_hat(hat: Hat) -> Iterator[tuple[str, Tensor]]:
    """The base with a hat's adapter merged, by the names of the base's checkpoint. The base itself stays as it is."""
    deltas: dict[str, Tensor] = {}
    for name, module in hat.shared.model.named_modules():
        if isinstance(module, BaseTunerLayer) and hat.adapter in module.r:
            deltas[f"{name}.base_layer.weight"] = module.get_delta_weight(hat.adapter)
    for name, value in of_model(hat.shared.model):
        if "lora_" not in name:
            merged = value + deltas[name].to(value.dtype) if name in deltas else value
            yield name.replace(".base_layer.", "."), merged


def push(server: Server, carrier: Carrier, version: int, *, timeout_s: float) -> None:
    """Give a server the weights that the carrier has loaded.

    Raises:
        ServerFault: it did not take them. It may be paused with half of them, and is marked `down`.
    """
    server.version = -1
    try:
        _post_if_there(server, "/pause?mode=wait", timeout_s)
        if carrier.native:
            _native(server, carrier, version, timeout_s)
        else:
            for part in carrier.parts(server):
                told = {"method": "reload_weights", "kwargs": {"weights_path": part.info["path"]}}
                server.post("/collective_rpc", told, timeout_s=timeout_s)
        _post_if_there(server, "/reset_prefix_cache", timeout_s)
        _post_if_there(server, "/resume", timeout_s)
        if carrier.native:
            _refuse_another_label(server, version)
    except ServerFault as fault:
        server.down = f"it did not take the weights of version {version}: {fault.sentence}"
        server.knows_transfer = False
        raise
    server.version = version


def offers_native(server: Server, carrier: Carrier, *, timeout_s: float) -> bool:
    """Whether a server's weight-transfer engine takes this carrier's handshake."""
    try:
        body = {"init_info": dict(carrier.handshake(server))}
        server.post("/init_weight_transfer_engine", body, timeout_s=timeout_s)
    except ServerFault:
        return False
    server.knows_transfer = True
    return True


def _native(server: Server, carrier: Carrier, version: int, timeout_s: float) -> None:
    if not server.knows_transfer:
        body = {"init_info": dict(carrier.handshake(server))}
        server.post("/init_weight_transfer_engine", body, timeout_s=timeout_s)
        server.knows_transfer = True
    server.post("/start_weight_update", {}, timeout_s=timeout_s)
    for part in carrier.parts(server):
        _update(server, part, timeout_s)
    server.post("/finish_weight_update", {"weight_version": str(version)}, timeout_s=timeout_s)


def _update(server: Server, part: Part, timeout_s: float) -> None:
    """Call `update_weights`, and meanwhile send what goes beside HTTP."""
    body = {"update_info": dict(part.info)}
    if part.send is None:
        server.post("/update_weights", body, timeout_s=timeout_s)
        return
    faults: list[ServerFault] = []

    def call() -> None:
        try:
            server.post("/update_weights", body, timeout_s=timeout_s)
        except ServerFault as fault:
            faults.append(fault)

    calling = threading.Thread(target=call, daemon=True)
    calling.start()
    part.send()
    calling.join()
    if faults:
        raise faults[0]


def _refuse_another_label(server: Server, version: int) -> None:
    """Servers that label their weights (vLLM 0.32 does, 0.20 did not) must say the new label."""
    try:
        told = server.get("/weight_info")
    except ServerFault:
        return
    label = told.get("weight_version") if isinstance(told, Mapping) else None
    if label is not None and label != str(version):
        raise ServerFault("a server has other weights than it was sent", expected=f"version {version}", found=label)


def _post_if_there(server: Server, path: str, timeout_s: float) -> None:
    """A route that older servers do not have."""
    try:
        server.post(path, {}, timeout_s=timeout_s)
    except ServerFault as fault:
        if "404" not in fault.what:
            raise
