"""FSDP2: weights, gradients and optimiser parted among the processes, a layer at a time together.

Only what is trained in full is parted: adapters are small, and frozen models stay whole, because they answer rows
of which every process has another number. While a policy samples, or answers without gradient, its weights are
gathered once and not for each pass.

Source: Zhao et al. 2023, arXiv:2304.11277; `torch.distributed.fsdp.fully_shard`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from palate.core.errors import ConfigError
from palate.training import parallel


class ShardedModel:
    """A model of transformers whose weights are parted.

    Args:
        model: It stays the same object; its parameters become sharded ones.
        dtype: `bfloat16` computes and gathers in half precision. What is trained stays in float32.
        kept: Whether it is written in the end.
    """

    def __init__(self, model: Any, *, dtype: str, kept: bool) -> None:
        self.model = model
        self.kept = kept
        self.collected: dict[str, Tensor] | None = None
        """All weights, in the first process, between `collect` and the end of the run."""
        self._depth = 0
        half = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        mesh = init_device_mesh(parallel.world().device, (parallel.world().size,))
        settings: dict[str, Any] = {"mesh": mesh, "reshard_after_forward": True}
        if dtype == "bfloat16":
            settings["mp_policy"] = half
        for layer in _layers(model):
            fully_shard(layer, **settings)
        if _is_scalar(model):  # trunk and head are asked apart, see `models.layout`
            fully_shard(model.base_model, **settings)
            fully_shard(model.score, **settings)
        else:
            fully_shard(model, **settings)
        self._modules = [module for module in model.modules() if isinstance(module, FSDPModule)]
        for module in self._modules:
            module.set_force_sum_reduction_for_comms(True)  # gloo knows no other
            module.set_gradient_divide_factor(1.0)  # losses are divided by the counts of the whole step

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Inside it every process has all weights."""
        self._depth += 1
        if self._depth == 1:
            with torch.inference_mode(False), torch.no_grad():  # or the gathered weights could never be trained
                for module in self._modules:
                    module.set_reshard_after_forward(False, recurse=False)
                    module.unshard()
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                for module in self._modules:
                    module.set_reshard_after_forward(True, recurse=False)
                    module.reshard()

    def idle(self) -> None:
        """A pass over one token whose gradient is 0."""
        tokens = torch.zeros(1, 1, dtype=torch.long, device=self.model.device)
        if _is_scalar(self.model):
            out = self.model.score(self.model.base_model(input_ids=tokens, use_cache=False).last_hidden_state)
        else:
            out = self.model(input_ids=tokens, use_cache=False).logits
        (out.float().sum() * 0.0).backward()

    def collect(self) -> None:
        """Bring all weights to the first process, one at a time, before it writes them."""
        seen: dict[int, Tensor] = {}  # tied weights are one
        found = {}
        for name, value in self.model.state_dict(keep_vars=True).items():
            if id(value) not in seen:
                seen[id(value)] = brought(value.detach())
            found[name] = seen[id(value)]
        self.collected = found if parallel.world().first else None


def sharded(model: Any, *, dtype: str = "float32", kept: bool = True) -> Any:
    """A model that is to be trained, parted if the run parts its weights; else as it is.

    Args:
        model: A model of transformers. It is changed in place.
        dtype: Of arithmetic.
        kept: Whether it is written in the end.
    """
    if parallel.world().shards:
        parallel.shard(ShardedModel(model, dtype=dtype, kept=kept))
    return model


def birthplace(device: torch.device) -> torch.device:
    """Where a model is loaded to that is then parted: a device need not hold all of it."""
    return torch.device("cpu") if parallel.world().shards else device


def refuse_sharding(what: str) -> None:
    """Say that something is for whole weights only.

    Raises:
        ConfigError: the run parts its weights.
    """
    if parallel.world().shards:
        raise ConfigError(f"{what} cannot be had with --parallel fsdp2", hint="--parallel ddp, which needs no more")


def collect() -> None:
    """Bring the weights of sharded models that are to be written to the first process."""
    for model in _models():
        if model.kept:
            model.collect()


def collected(model: Any) -> Mapping[str, Tensor] | None:
    """All weights of a sharded model, by name; None for any other, which has them itself."""
    return next((found.collected for found in _models() if found.model is model), None)


@contextlib.contextmanager
def whole(*models: Any) -> Iterator[None]:
    """Inside it every process has all weights of these models, if they are parted; of all where none is named."""
    with contextlib.ExitStack() as stack:
        for found in _models():
            if not models or any(found.model is model for model in models):
                stack.enter_context(found.whole())
        yield


def full(value: Tensor) -> Tensor:
    """A tensor with all of its parts, in every process; all of them must ask."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def brought(value: Tensor) -> Tensor:
    """A tensor with all of its parts, in the first process, and nothing of it in the others; all of them must ask."""
    if not isinstance(value, DTensor):
        return value
    whole_value = value.full_tensor()
    return whole_value.cpu() if parallel.world().first else whole_value.new_empty(0)


def alike(value: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor, parted as a parameter is; each process cuts its own part out."""
    if not isinstance(parameter, DTensor) or isinstance(value, DTensor):
        return value
    value = value.to(parameter.device)
    return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)


def fitted(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """What an optimiser knows of each weight, parted as the weight is."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not any(isinstance(parameter, DTensor) for parameter in parameters):
        return state
    known = {
        place: {
            name: alike(value, parameters[place]) if value.shape == parameters[place].shape else value
            for name, value in of_weight.items()
        }
        for place, of_weight in state["state"].items()
    }
    return {**state, "state": known}


def _models() -> list[ShardedModel]:
    return [model for model in parallel.sharded() if isinstance(model, ShardedModel)]


def _is_scalar(model: Any) -> bool:
    return isinstance(getattr(model, "score", None), nn.Linear)


def _layers(model: Any) -> list[nn.Module]:
    """The decoder's layers: the list that is as long as the configuration says."""
    count = model.config.num_hidden_layers
    lists = (m for m in model.base_model.modules() if isinstance(m, nn.ModuleList) and len(m) == count)
    return list(next(lists, []))
