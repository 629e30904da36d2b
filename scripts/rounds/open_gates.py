"""Settings of a round whose gates let everything through: it is measured whatever it is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Final

NAMES: Final = (
    "win_rate", "red_team_rise", "over_refusal_rise", "monitor", "knowledge_drop", "fluency_drop", "group_floor",
)  # fmt: skip


def opened(root: Path, **evaluate: str) -> None:
    """Open the gates of a project, and set what its evaluation does.

    Args:
        root: Its folder.
        evaluate: Settings of `[evaluate]`, as TOML has them.
    """
    path = root / "palate.toml"
    text = path.read_text(encoding="utf-8")
    if "\n[gate]" in text:
        return
    told = "".join(f"{name} = {value}\n" for name, value in evaluate.items())
    text = text.replace("[evaluate]\n", f"[evaluate]\n{told}", 1)
    text += "\n[gate]\n" + "".join(f'{name} = "off"\n' for name in NAMES) + "required = []\n"
    path.write_text(text, encoding="utf-8")
