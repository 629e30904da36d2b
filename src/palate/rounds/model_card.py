"""The card of a release: what went into it and what is known of it, read from the lineage and from nowhere else.

Markdown under the YAML header that Hugging Face's model cards have (Mitchell et al. 2019, arXiv:1810.03993, is where
the sections come from). What is not known is said to be unknown, so that nobody reads a gap as a pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from palate.core.artefacts import Manifest, Workspace
from palate.core.ids import content_id
from palate.preferences import lossless
from palate.store import taints
from palate.store.journal import Journal

CARD: Final = "README.md"
_UNKNOWN: Final = "not known"
_MOST: Final = 60
"""Rows of a table; more would not be read."""


class Released(NamedTuple):
    """What is to be described."""

    policy: str
    """Id of its artefact."""
    guardrails: str = ""
    gate: str = ""
    round: str = ""
    why: str = ""


class _Ancestor(NamedTuple):
    id: str
    role: str
    """What it was to whatever was made from it."""
    manifest: Manifest | None
    """None where it is not among the artefacts."""


def keep(journal: Journal, workspace: Workspace, released: Released) -> str:
    """Write the card into an artefact; its id. The same knowledge gives the same card."""
    text = write(journal, workspace, released)
    named = {"policy": released.policy, "guardrails": released.guardrails, "gate": released.gate}
    manifest = Manifest(
        kind="card",
        made_by="release card",
        config={"round": released.round, "why": released.why, "text": content_id("card", text)},
        inputs={role: id for role, id in named.items() if id},
    )
    return workspace.put(manifest, lambda folder: _write(folder / CARD, text)).name


def write(journal: Journal, workspace: Workspace, released: Released) -> str:
    """The card as Markdown.

    Raises:
        MissingArtefact: the policy is gone.
    """
    own = workspace.manifest(released.policy)
    family = _family(workspace, released.policy)
    marked = {one.artefact: one.because for one in taints.every(journal)}
    sections = {
        "": _head(released, own),
        "What it was made from": _table(("role", "artefact", "made by"), _lineage(family)),
        "Base model": _base(family, own),
        "Data": _datasets(workspace, family),
        "Reward model": _rewards(family, own),
        "Recipe": _recipe(own),
        "Evaluation": _gate(workspace, released),
        "Guardrails": [
            f"- answers go out under `{released.guardrails}`"
            if released.guardrails
            else "- none: answers go out as they are"
        ],
        "Known limits": _limits(workspace, released, family),
        "Taints": _taints(released, family, marked),
    }
    parts = [f"## {title}\n\n" * bool(title) + "\n".join(lines) for title, lines in sections.items()]
    return _header(family, own) + "\n\n".join(parts) + "\n"


def body(text: str) -> str:
    """A card without its header."""
    return text.removeprefix("---\n").partition("\n---\n")[2].lstrip("\n")


def _family(workspace: Workspace, policy: str) -> list[_Ancestor]:
    """Everything that it was made from, the nearest first, each once."""
    found: dict[str, _Ancestor] = {}
    queue = [policy]
    while queue:
        current = queue.pop(0)
        for role, id in workspace.manifest(current).inputs.items() if workspace.has(current) else ():
            if id not in found and id != policy:
                found[id] = _Ancestor(id, role, workspace.manifest(id) if workspace.has(id) else None)
                queue.append(id)
    return list(found.values())


def _of(family: Iterable[_Ancestor], *kinds: str) -> list[_Ancestor]:
    return [one for one in family if one.id.partition("-")[0] in kinds]


def _roots(family: Iterable[_Ancestor]) -> list[_Ancestor]:
    """Models that nothing here was trained from: a folder from elsewhere, or a pretrained one."""
    return _of(family, "base", "folder", "model")


def _header(family: list[_Ancestor], own: Manifest) -> str:
    """The YAML that Hugging Face's site reads. JSON strings are YAML strings."""
    lines = ["---"]
    if licence := _licence(family, own):
        lines.append(f"license: {json.dumps(licence)}")
    if bases := [one.id for one in _roots(family)]:
        lines += ["base_model:", *(f"- {json.dumps(id)}" for id in bases)]
    lines += ["library_name: transformers", "pipeline_tag: text-generation", "tags:", "- palate", "- rlhf"]
    if recipe := own.made_by.removeprefix("train ").replace(" ", "-"):
        lines.append(f"- {json.dumps(recipe)}")
    if data := [one.id for one in _of(family, "dataset")]:
        lines += ["datasets:", *(f"- {json.dumps(id)}" for id in data)]
    return "\n".join([*lines, "---", "", ""])


def _licence(family: Iterable[_Ancestor], own: Manifest) -> str:
    told = [own, *(one.manifest for one in family if one.manifest)]
    return next((str(one.facts["license"]) for one in told if one.facts.get("license")), "")


def _head(released: Released, own: Manifest) -> list[str]:
    lines = [f"# `{released.policy}`", "", f"- made by `palate {own.made_by}`, version {own.version or _UNKNOWN}"]
    lines.append(f"- made at {own.made_at or _UNKNOWN}")
    lines.append(f"- round: {f'`{released.round}`' if released.round else 'none; it was released by hand'}")
    if released.why:
        lines.append(f"- released because: {_plain(released.why)}")
    return lines


def _lineage(family: list[_Ancestor]) -> list[tuple[str, str, str]]:
    return [
        (one.role, f"`{one.id}`", f"`{one.manifest.made_by}`" if one.manifest else "not among the artefacts")
        for one in family
    ]


def _base(family: list[_Ancestor], own: Manifest) -> list[str]:
    lines = []
    for one in _roots(family):
        lines.append(f"- `{one.id}`" + (_came(one.manifest) if one.manifest else ""))
    if _is_from_elsewhere(own):
        lines.append(f"- this model itself came from elsewhere{_came(own)}; how it was trained is {_UNKNOWN}")
    return [*(lines or [f"- {_UNKNOWN}"]), f"- licence: {_plain(_licence(family, own)) or _UNKNOWN}"]


def _is_from_elsewhere(own: Manifest) -> bool:
    """Whether a model was taken in as it was, so that nothing is known of how it was made."""
    return "from" in own.facts


def _came(manifest: Manifest) -> str:
    """A folder's name, and not where it lies: cards are published, and a path tells of a machine and its people."""
    name = Path(str(manifest.facts.get("from", ""))).name
    return f", from the folder `{_plain(name)}`" if name else ""


def _datasets(workspace: Workspace, family: list[_Ancestor]) -> list[str]:
    lines = []
    for one in _of(family, "dataset", "file", "comparisons"):
        lines.append(f"- `{one.id}`, as {one.role}" + (f", made by `{one.manifest.made_by}`" if one.manifest else ""))
        if one.manifest is None:
            lines.append(f"  - what is in it is {_UNKNOWN}")
            continue
        facts = one.manifest.facts
        rows = [f"{facts[split]} rows to {what}" for split, what in _SPLITS if split in facts]
        lines.append(f"  - {', '.join(rows) or f'rows: {_UNKNOWN}'}")
        raters = _raters(workspace.path(one.id))
        judged = facts.get("judgements", _UNKNOWN)
        lines.append(f"  - judgements: {judged}; raters: {_UNKNOWN if raters is None else raters}")
        for name, said in (("agreement", "two raters of one comparison agree"), ("alpha", "Krippendorff's alpha")):
            lines.append(f"  - {said}: {_figure(facts.get(name))}")
    return lines or [f"- {_UNKNOWN}"]


_SPLITS: Final = (("train", "learn from"), ("heldout", "hold out"))


def _raters(folder: Path) -> int | None:
    """How many people and models judged; None where the judgements are not kept beside the dataset."""
    if not (folder / lossless.JUDGEMENTS).is_file():
        return None
    return len({row["rater"] for row in lossless.read_judgements(folder)})


def _rewards(family: list[_Ancestor], own: Manifest) -> list[str]:
    lines = []
    for one in _of(family, "reward"):
        facts: Mapping[str, Any] = one.manifest.facts if one.manifest else {}
        lines.append(f"- `{one.id}`")
        if "heldout_accuracy" in facts:
            lines.append(
                f"  - right on {facts['heldout_accuracy']:.1%} of {facts.get('heldout_pairs', _UNKNOWN)} held-out "
                f"preferences; whoever prefers the longer text is on {_share(facts.get('heldout_longer_wins'))}"
            )
        else:
            lines.append(f"  - accuracy on held-out preferences: {_UNKNOWN}")
        if "heldout_length_correlation" in facts:
            lines.append(f"  - correlation of margin and length: {facts['heldout_length_correlation']:+.2f}")
        error = (facts.get("calibration") or {}).get("error")
        lines.append(f"  - calibration error: {_UNKNOWN if error is None else f'{error:.3f}'}")
    if lines or _is_from_elsewhere(own):
        return lines or [f"- {_UNKNOWN}"]
    return ["- none: the recipe learned from preferences or demonstrations directly"]


def _recipe(own: Manifest) -> list[str]:
    if not own.config:
        return [f"- {_UNKNOWN}"]
    settings = _table(("setting", "value"), ((name, f"`{_plain(value)}`") for name, value in _flat(own.config)))
    figures = [(name, _number(value)) for name, value in _flat(own.facts)]
    return [*settings, *(["", *_table(("figure at the end", "value"), figures)] if figures else [])]


def _gate(workspace: Workspace, released: Released) -> list[str]:
    if not released.gate:
        return [f"- it passed no gate; how it compares with the release before is {_UNKNOWN}"]
    found = workspace.manifest(released.gate)
    figures = [(name, _number(value)) for name, value in _flat(found.facts)]
    told = _table(("figure", "value"), figures) if figures else [f"- its figures are {_UNKNOWN}"]
    return [f"From `{released.gate}`, made by `{found.made_by}`:", "", *told]


def _limits(workspace: Workspace, released: Released, family: list[_Ancestor]) -> list[str]:
    lines = []
    if not released.gate:
        lines.append("- It was released without a gate, so nothing here says that it is better than what was before.")
    gone = [one.id for one in family if one.manifest is None and one.id.partition("-")[0] in _KEPT]
    if gone:
        lines.append(f"- The lineage has gaps: {', '.join(f'`{id}`' for id in gone)} cannot be looked at any more.")
    for one in _of(family, "reward"):
        facts: Mapping[str, Any] = one.manifest.facts if one.manifest else {}
        if abs(facts.get("heldout_length_correlation", 0.0)) > 0.5:
            lines.append(f"- The margins of `{one.id}` follow the length of a text, so this model may be wordy.")
    for one in _of(family, "dataset"):
        figure = one.manifest.facts.get("alpha") if one.manifest else None
        if isinstance(figure, Mapping) and figure["value"] < 0.4:
            lines.append(f"- Raters of `{one.id}` agreed little beyond chance: alpha {figure['value']:.2f}.")
    if not released.guardrails:
        lines.append("- Nothing looks at its answers before they are shown.")
    if released.gate:
        lines.append("- It was measured on the prompts of this project; what it does elsewhere is not known.")
    return lines or ["- none that the lineage tells of"]


_KEPT: Final = ("policy", "reward", "dataset", "model", "base", "comparisons")
"""Kinds that stand among the artefacts of the project that made them."""


def _taints(released: Released, family: list[_Ancestor], marked: Mapping[str, str]) -> list[str]:
    mine = [released.policy, *(one.id for one in family)]
    found = [f"- `{id}`: {_plain(marked[id])}" for id in mine if id in marked]
    return found or ["- none: no erasure has touched what it was made from"]


def _flat(found: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif not (isinstance(value, list | tuple) and len(value) > 8):
            yield f"{before}{name}", value


def _figure(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _UNKNOWN
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}], n = {value['n']}"


def _share(value: Any) -> str:
    return f"{value:.1%}" if isinstance(value, float) else _UNKNOWN


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _plain(value)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    every = list(rows)
    lines = [f"| {' | '.join(row)} |" for row in (head, tuple("---" for _ in head), *every[:_MOST])]
    more = len(every) - _MOST
    return [*lines, *(["", f"{more} more rows are left out."] if more > 0 else [])] if every else [f"- {_UNKNOWN}"]


def _plain(value: Any) -> str:
    """A text of somebody else's that cannot end its cell, its line or the card."""
    shown = "".join(c if c.isprintable() else " " for c in str(value))
    return "".join(f"\\{c}" if c in "\\|*_<>[]" else c for c in shown).replace("`", "'")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
