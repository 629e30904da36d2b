"""Frozen datasets on disk: JSON lines that people can read, split by prompt, loaded with care."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from palate.core.artefacts import Manifest, Workspace
from palate.core.errors import DataError, MissingArtefact
from palate.core.ids import content_id, derive_seed
from palate.core.records import Demonstration, Preference, Prompt

SPLITS = ("train", "heldout")
T = TypeVar("T")


def side(prompt_id: str, heldout_fraction: float, seed: int) -> str:
    """`train` or `heldout`. A prompt stays on its side, whatever data is added later."""
    return "heldout" if derive_seed(seed, "split", prompt_id) / 2**63 < heldout_fraction else "train"


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    with path.open("w", encoding="utf-8") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(file:line, object)` of each line.

    Raises:
        MissingArtefact: there is no such file.
        DataError: a line is no JSON object; it names the line.
    """
    if not path.is_file():
        raise MissingArtefact(f"there is no file {path}")
    with path.open(encoding="utf-8") as handle:
        for number, line in enumerate(handle, start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError("a line is not JSON", where=where, found=line.strip()[:80]) from error
            if not isinstance(row, dict):
                raise DataError("a line is not a JSON object", where=where, found=line.strip()[:80])
            yield where, row


def _load(path: Path | str, split: str, build: Callable[[dict[str, Any]], T], columns: str) -> list[T]:
    path = Path(path)
    file = path / f"{split}.jsonl" if path.is_dir() else path
    result = []
    for where, row in read_lines(file):
        try:
            result.append(build(row))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "a row of a dataset cannot be used", where=where, expected=columns, found=f"{error!r}"[:200]
            ) from error
    return result


def load_preferences(path: Path | str, split: str = "train") -> list[Preference]:
    """Preferences of a dataset folder, or of one of its files."""
    return _load(path, split, _preference, "prompt, chosen, rejected, p_chosen, comparison")


def load_demonstrations(path: Path | str, split: str = "train") -> list[Demonstration]:
    """Demonstrations of a dataset folder, or of one of its files."""
    return _load(
        path,
        split,
        lambda row: Demonstration(
            prompt=Prompt.from_dicts(row["prompt"], row.get("kind", "")), completion=row["completion"]
        ),
        "prompt, completion",
    )


def load_prompts(path: Path | str, split: str = "train") -> list[Prompt]:
    """The distinct prompts of a dataset folder, or of one of its files, in order."""
    found = _load(path, split, lambda row: Prompt.from_dicts(row["prompt"], row.get("kind", "")), "prompt")
    return list({prompt.id: prompt for prompt in found}.values())


def _preference(row: dict[str, Any]) -> Preference:
    first, second, tie = row.get("votes", (0, 0, 0))
    return Preference(
        comparison=row["comparison"],
        prompt=Prompt.from_dicts(row["prompt"], row.get("kind", "")),
        chosen=row["chosen"],
        rejected=row["rejected"],
        p_chosen=row["p_chosen"],
        weight=row.get("weight", 1.0),
        votes=(first, second, tie),
    )


def preference_row(preference: Preference) -> dict[str, Any]:
    """A preference as a line of a dataset."""
    return {
        "comparison": preference.comparison,
        "prompt": preference.prompt.as_dicts(),
        "prompt_id": preference.prompt.id,
        "kind": preference.prompt.kind,
        "chosen": preference.chosen,
        "rejected": preference.rejected,
        "p_chosen": preference.p_chosen,
        "weight": preference.weight,
        "votes": list(preference.votes),
    }


def freeze_demonstrations(
    demonstrations: Sequence[Demonstration],
    workspace: Workspace,
    *,
    heldout_fraction: float = 0.05,
    seed: int = 0,
) -> Path:
    """A dataset artefact of demonstrations, split by prompt."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SPLITS}
    for d in demonstrations:
        rows[side(d.prompt.id, heldout_fraction, seed)].append(
            {
                "prompt": d.prompt.as_dicts(),
                "prompt_id": d.prompt.id,
                "kind": d.prompt.kind,
                "completion": d.completion,
            }
        )
    manifest = Manifest(
        kind="dataset",
        made_by="dataset demonstrations",
        config={"heldout_fraction": heldout_fraction, "seed": seed},
        inputs={"demonstrations": f"records-{content_id('demonstrations', [d.id for d in demonstrations])}"},
        facts={name: len(rows[name]) for name in SPLITS},
    )

    def write(folder: Path) -> None:
        for name in SPLITS:
            write_lines(folder / f"{name}.jsonl", rows[name])

    return workspace.put(manifest, write)
