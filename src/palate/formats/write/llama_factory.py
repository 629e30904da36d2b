"""LLaMA-Factory: the sharegpt shape, with an entry in the `dataset_info.json` beside the file.

Source: `data/README.md` of hiyouga/LLaMA-Factory. Turns must alternate, the person's first, because its
converter skips what does not; a system prompt stands before them. It takes no prompts without an answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from palate.core.errors import DataError
from palate.core.records import Demonstration, Preference, Prompt
from palate.formats.write.target import DEMONSTRATIONS, PREFERENCES, Row, Target

_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}
_INFO = "dataset_info.json"


def _turns(prompt: Prompt) -> list[dict[str, str]]:
    roles = [message.role for message in prompt.messages]
    told = roles[1:] if roles[:1] == ["system"] else roles
    if not told or told != [("user", "assistant")[i % 2] for i in range(len(told))] or told[-1] != "user":
        raise DataError("the turns of the prompt do not alternate, and LLaMA-Factory skips such rows")
    return [{"from": _SPEAKERS[message.role], "value": message.content} for message in prompt.messages]


def _gpt(text: str) -> dict[str, str]:
    return {"from": "gpt", "value": text}


def _preference(row: Preference) -> Row:
    return {"conversations": _turns(row.prompt), "chosen": _gpt(row.chosen), "rejected": _gpt(row.rejected)}


def _demonstration(row: Demonstration) -> Row:
    return {"conversations": [*_turns(row.prompt), _gpt(row.completion)]}


def _beside(path: Path, what: str) -> tuple[Path, ...]:
    info = path.with_name(_INFO)
    known = _known(info)
    columns = {"messages": "conversations"}
    entry: dict[str, Any] = {"file_name": path.name, "formatting": "sharegpt", "columns": columns}
    if what == PREFERENCES:
        entry |= {"ranking": True, "columns": {**columns, "chosen": "chosen", "rejected": "rejected"}}
    name = path.name.partition(".")[0]
    if known.get(name, entry) != entry:
        raise DataError(
            f"{_INFO} has another data set of this name",
            where=str(info),
            expected=f"no entry `{name}`",
            found=json.dumps(known[name], ensure_ascii=False)[:200],
            hint="give the file another name with --out, or remove the entry",
        )
    info.write_text(json.dumps({**known, name: entry}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return (info,)


def _known(info: Path) -> dict[str, Any]:
    if not info.exists():
        return {}
    try:
        known = json.loads(info.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{_INFO} cannot be read", where=str(info), found=str(error)) from error
    if not isinstance(known, dict):
        raise DataError(f"{_INFO} is no object", where=str(info), found=f"a {type(known).__name__}")
    return known


TARGET = Target(
    name="llama-factory",
    suffixes=(".json", ".jsonl"),
    preference=_preference,
    demonstration=_demonstration,
    prompt=None,
    use={
        PREFERENCES: "stage: dpo or rm, dataset: the file's name without its ending, dataset_dir: its folder",
        DEMONSTRATIONS: "stage: sft, dataset: the file's name without its ending, dataset_dir: its folder",
    },
    beside=_beside,
)
"""LLaMA-Factory."""
