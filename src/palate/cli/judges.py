"""Who judges, other than people, from what was typed: an address, a model folder, or a reward model's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.cli.revise import constitution
from palate.core.artefacts import MANIFEST, identify, read_manifest
from palate.core.errors import ConfigError
from palate.core.judges import Judge
from palate.evaluation.reward_judge import RewardJudge
from palate.judging.labelling import BOTH
from palate.judging.local_judge import LocalJudge
from palate.judging.model_judge import ModelJudge
from palate.judging.template import PAIRWISE, Template, by_principle, pairwise
from palate.judging.thinking import Thinking
from palate.models import ensemble, load
from palate.models.servers.conversations import Endpoint
from palate.models.servers.conversations import named as find_model
from palate.store.opinions import AIJudge


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a model that judges is asked."""

    principles: str = ""
    """A file of principles, of which one is drawn for each comparison: Markdown, TOML or JSON. `default` takes the
    constitution that Palate brings; `palate judge constitution` writes it down, to be edited."""
    principles_per_pair: int = 1
    """So many principles are drawn for each comparison, and the opinion is the mean of theirs."""
    think: bool = False
    """The model says what speaks for each side before its verdict is read; what it said is kept."""
    clamp: tuple[float, float] = (0.4, 0.6)
    """With --think: probabilities are held between these."""
    think_tokens: int = 256
    """With --think: longest thoughts."""

    def __post_init__(self) -> None:
        if self.principles_per_pair != 1 and not self.principles:
            raise ConfigError("--principles-per-pair needs --principles", found=str(self.principles_per_pair))

    @property
    def template(self) -> Template:
        """The words."""
        thinking = None
        if self.think:
            low, high = self.clamp
            thinking = Thinking(low=low, high=high, max_new_tokens=self.think_tokens)
        if not self.principles:
            return pairwise(thinking)
        return by_principle(constitution(self.principles), each=self.principles_per_pair, thinking=thinking)


GOLD: Final = "gold"
"""The practice world's judge."""


class Chosen(NamedTuple):
    """Somebody who judges."""

    judge: Judge
    who: AIJudge
    """As the journal knows them."""
    settings: dict[str, Any]
    """As reports record them."""
    inputs: dict[str, str]
    """Artefacts that a manifest names."""
    orders: tuple[bool, ...] = BOTH
    """In which sides are shown; one is enough for who sees no order."""


def chosen(typed: str, model: str = "", template: Template = PAIRWISE) -> Chosen:
    """A judge that is no person.

    Args:
        typed: An address, with `#MODEL` or without; the folder of a causal model, of a reward model, or of an ensemble;
            or `gold`, which knows the truth in the practice world, and abstains elsewhere.
        model: What the judge's server calls the model, where the address does not say.
        template: What a model is asked; a reward model is asked nothing.

    Raises:
        ConfigError: it is nobody.
    """
    if "://" in typed:
        address, _, named = typed.partition("#")
        asked = ModelJudge(find_model(Endpoint(url=address, model=model or named)), template)
        settings = {"endpoint": address, "model": asked.endpoint.model, "template": asked.template.id}
        where = f"{address}#{asked.endpoint.model}"
        who = AIJudge(name=asked.name, model=where, template=asked.template.name, template_id=asked.template.id)
        return Chosen(asked, who, settings, {})
    folder = Path(typed)
    if typed == GOLD:
        from palate.world.gold_judge import GoldJudge  # a world of its own, which nobody else needs

        return Chosen(GoldJudge(), AIJudge(name=GOLD, model="the practice world"), {"judge": GOLD}, {}, BOTH[:1])
    if not folder.is_dir():
        raise ConfigError(
            "this is nobody who can judge",
            where="--judge",
            expected="the folder of a model or of a reward model, an address such as http://localhost:8000/v1, or gold",
            found=typed,
        )
    id = identify(folder)
    if _scores(folder):
        return Chosen(
            RewardJudge(folder), AIJudge(name=folder.resolve().name, model=id), {"reward": id}, {"judge": id}, BOTH[:1]
        )
    local = LocalJudge(folder, template)
    settings = {"model": id, "template": local.template.id}
    who = AIJudge(name=local.name, model=id, template=local.template.name, template_id=local.template.id)
    return Chosen(local, who, settings, {"judge": id})


def _scores(folder: Path) -> bool:
    """Whether a folder holds a reward model: its manifest says so, or its architecture."""
    if ensemble.is_ensemble(folder):
        return True
    if (folder / MANIFEST).is_file():
        return read_manifest(folder).kind == "reward"
    named = list(getattr(load.read_config(folder), "architectures", None) or [])
    return bool(named) and not any("CausalLM" in name or "LMHead" in name for name in named)
