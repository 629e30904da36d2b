"""One base, several hats: LoRA adapters on one frozen model, so that many roles cost one model's memory.

A `SharedBase` holds the model once. A `Hat` is that model with one adapter switched on, or with none: the
base itself, which is the frozen reference. A hat with a scalar head is a reward model or a critic. What is
saved has the form that `peft` knows (`adapter_config.json`, `adapter_model.safetensors`), and beside it
the id of the base, so that an adapter never meets weights it was not trained on.

Source: Hu et al. 2022, arXiv:2106.09685; Dettmers et al. 2023, arXiv:2305.14314 (a base of 4 bits).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from palate.core.artefacts import identify
from palate.core.errors import ConfigError, MissingArtefact, ModelError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
BASE = "base.json"
_PREFIX = "base_model.model."
"""What peft puts before every name in its files."""


class Lora(NamedTuple):
    """Shape of an adapter."""

    rank: int = 16
    alpha: int = 32
    """The adapter's output is scaled by alpha / rank."""
    targets: str = "all-linear"
    """Which layers have one: `all-linear` (but never the output layer), or names with commas between."""


class Hat(nn.Module):
    """The base with one adapter on, or none. It owns its adapter and its head, and nothing else."""

    def __init__(self, shared: SharedBase, adapter: str | None, score: nn.Module | None = None) -> None:
        super().__init__()
        self._shared = (shared,)  # in a tuple: the base is no part of this module
        self.adapter = adapter
        self.score = score

    @property
    def shared(self) -> SharedBase:
        """The base under the hat."""
        return self._shared[0]

    @property
    def config(self) -> Any:
        """Of the base."""
        return self.shared.model.config

    @property
    def generation_config(self) -> Any:
        """Of the base."""
        return self.shared.model.generation_config

    @property
    def dtype(self) -> torch.dtype:
        """Of the base."""
        return self.shared.model.dtype  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        """Of the base."""
        return self.shared.model.device  # type: ignore[no-any-return]

    def forward(self, *args: Any, **settings: Any) -> Any:
        """The causal model's forward pass."""
        self.shared.wear(self.adapter)
        return self.shared.model(*args, **settings)

    def base_model(self, *args: Any, **settings: Any) -> Any:
        """The forward pass without the output layer, as of any model of transformers."""
        self.shared.wear(self.adapter)
        return self.shared.model.base_model(*args, **settings)

    def get_input_embeddings(self) -> Any:
        """Of the base."""
        return self.shared.model.get_input_embeddings()

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """The adapter's, then the head's; of the bare base none."""
        if self.adapter is not None:
            mark = f".{self.adapter}."
            for name, parameter in self.shared.model.named_parameters():
                if "lora_" in name and mark in name:
                    yield prefix + name, parameter
        if self.score is not None:
            yield from self.score.named_parameters(prefix=f"{prefix}score")


class SharedBase:
    """A frozen causal model that several hats share.

    Args:
        model: Its weights are frozen here, and never change.
        base_id: What adapters call it: `identify` of its folder.
        folder: Where it came from.
    """

    def __init__(self, model: PreTrainedModel, base_id: str, folder: Path) -> None:
        self.model = model.requires_grad_(False)
        self.base_id = base_id
        self.folder = folder
        self._configs: dict[str, LoraConfig] = {}
        self._layers: list[BaseTunerLayer] = []
        self._worn: str | None = None

    def as_now(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whenever it is called, with the adapter of now on."""
        worn = self._worn

        def call(*args: Any) -> Any:
            self.wear(worn)
            return function(*args)

        return call

    def wear(self, adapter: str | None) -> None:
        """Switch one adapter on and all others off."""
        self._worn = adapter
        active = [] if adapter is None else [adapter]
        for layer in self._layers:
            # Not set_adapter(): that freezes the other adapters, which may wait for their gradient.
            layer._active_adapter = active

    def add(self, name: str, lora: Lora, *, seed: int) -> None:
        """A new adapter, which changes nothing until it has learned."""
        targets: str | list[str] = lora.targets if lora.targets == "all-linear" else lora.targets.split(",")
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=0.0,
            target_modules=targets,
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in self.model.modules()),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._inject(name, config)

    def load(self, name: str, folder: Path) -> nn.Module | None:
        """An adapter from its folder, and its scalar head if it has one.

        Raises:
            ModelError: it was trained on another base, or does not fit.
        """
        found = read_base(folder)
        if found.id != self.base_id:
            raise ModelError(
                "an adapter belongs to another base",
                where=str(folder),
                expected=f"one that was trained on {self.base_id} ({self.folder})",
                found=f"trained on {found.id} ({found.folder})",
            )
        config = LoraConfig.from_pretrained(str(folder))
        config.modules_to_save = None  # the head is handled here; peft would wrap that of a scalar model
        self._inject(name, config)
        tensors = {key.removeprefix(_PREFIX): value for key, value in load_file(folder / WEIGHTS).items()}
        head = tensors.pop("score.weight", None)
        with torch.no_grad():
            result = set_peft_model_state_dict(self.model, tensors, adapter_name=name)
        if result.unexpected_keys:
            raise ModelError(
                "an adapter does not fit its base", where=str(folder), found=", ".join(result.unexpected_keys[:3])
            )
        if head is None:
            return None
        score = nn.Linear(head.shape[1], 1, bias=False).to(self.model.device)
        with torch.no_grad():
            score.weight.copy_(head)
        return score

    def save(self, hat: Hat, folder: Path) -> None:
        """Write a hat's adapter, and its head, in peft's form."""
        assert hat.adapter is not None
        tensors = get_peft_model_state_dict(self.model, adapter_name=hat.adapter)
        named = {_PREFIX + key: value.detach().contiguous().cpu() for key, value in tensors.items()}
        config = LoraConfig(**{**self._configs[hat.adapter].to_dict(), "inference_mode": True})
        config.base_model_name_or_path = str(self.folder)
        config.task_type = "CAUSAL_LM"
        if isinstance(hat.score, nn.Linear):
            named[_PREFIX + "score.weight"] = hat.score.weight.detach().contiguous().cpu()
            config.task_type, config.modules_to_save = "SEQ_CLS", ["score"]
        config.save_pretrained(str(folder))
        save_file(named, folder / WEIGHTS, metadata={"format": "pt"})
        text = json.dumps({"id": self.base_id, "folder": str(self.folder)}, indent=2)
        (folder / BASE).write_text(text + "\n", encoding="utf-8")

    def _inject(self, name: str, config: LoraConfig) -> None:
        if name in self._configs:
            raise ConfigError("a base has an adapter of that name already", found=name)
        before = {key: parameter.requires_grad for key, parameter in self.model.named_parameters() if "lora_" in key}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a second adapter on one model is what we want
            try:
                inject_adapter_in_model(config, self.model, adapter_name=name)
            except ValueError as error:
                raise ConfigError(
                    "--lora-targets fits no layer of the model",
                    where=str(self.folder),
                    found=str(error).splitlines()[0][:200],
                ) from error
        self._configs[name] = config
        self._layers = [module for module in self.model.modules() if isinstance(module, BaseTunerLayer)]
        # Injecting touches what asks for a gradient: the new adapter does, the base never, others as before.
        for key, parameter in self.model.named_parameters():
            parameter.requires_grad_("lora_" in key and before.get(key, True))
            if "lora_" in key and parameter.dtype in (torch.float16, torch.bfloat16):
                parameter.data = parameter.data.float()  # small steps are lost in half precision


def merge(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """A plain model whose weights are those of the base and the adapter together.

    Args:
        model: The base, of the class that is wanted: causal, or with a scalar head `score`.
        folder: Of the adapter.
    """
    shared = SharedBase(model, read_base(folder).id, folder)
    head = shared.load("merged", folder)
    if isinstance(head, nn.Linear):
        model.score = head
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module._active_adapter = ["merged"]
            module.merge(safe_merge=True)
            model.set_submodule(name, module.get_base_layer())
    return model.requires_grad_(True)


class BaseOf(NamedTuple):
    """Which base an adapter was trained on."""

    id: str
    folder: Path


def is_adapter(folder: Path | str) -> bool:
    """Whether a folder holds an adapter and no whole model."""
    return (Path(folder) / CONFIG).is_file() and not (Path(folder) / "config.json").is_file()


def read_base(folder: Path | str) -> BaseOf:
    """The base that an adapter was trained on, where it lies now.

    Raises:
        ModelError: the adapter does not say.
        MissingArtefact: the base is gone, or is another by now.
    """
    folder = Path(folder)
    try:
        told = json.loads((folder / BASE).read_text(encoding="utf-8"))
        found = BaseOf(told["id"], Path(told["folder"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "an adapter does not say which base it belongs to",
            where=str(folder),
            expected=f"a file {BASE} with its id and folder",
            found=str(error).splitlines()[0][:160],
        ) from error
    places = [found.folder, folder.parent / found.folder.name]  # a project that was moved as a whole
    for place in places:
        if place.is_dir() and identify(place) == found.id:
            return BaseOf(found.id, place)
    raise MissingArtefact(
        "the base of an adapter is not there",
        where=str(folder),
        expected=f"{found.id} in {found.folder}",
        found="another model there" if found.folder.is_dir() else "no such folder",
    )
