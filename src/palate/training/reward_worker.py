"""The process in which a user's reward function runs: lines of JSON in, lines of JSON out. Not for people.

What the function prints goes to standard error, so that it cannot be taken for an answer.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def find(name: str) -> Callable[..., Any]:
    """The function that `module:function` names."""
    module, _, function = name.partition(":")
    found = getattr(importlib.import_module(module), function)
    if not callable(found):
        raise TypeError(f"{name} is not a function")
    return found  # type: ignore[no-any-return]


def answer(function: Callable[..., Any], question: dict[str, Any]) -> dict[str, Any]:
    """A number, None for an abstention, or what went wrong."""
    try:
        value = function(question["messages"], question["completion"])
        if value is None:
            return {"score": None}
        score = float(value)
    except Exception as error:  # noqa: BLE001 - whatever a user's function does, the run must hear of it
        return {"error": f"{type(error).__name__}: {error}"}
    return {"score": score} if math.isfinite(score) else {"error": f"it returned {score}"}


def main() -> None:
    """Say whether the function is there, then answer until there are no more questions."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the run decides
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path.insert(0, str(Path.cwd()))
    try:
        function = find(sys.argv[1])
    except Exception as error:  # noqa: BLE001
        out.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
        out.flush()
        return
    out.write(json.dumps({"ready": True}) + "\n")
    out.flush()
    for line in sys.stdin:
        out.write(json.dumps(answer(function, json.loads(line))) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
