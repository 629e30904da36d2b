"""How far each recipe is from TRL 1.16, on the same models, tokens and seeds.

| name | what it averages |
|---|---|
| `parity/<recipe>/loss` | largest difference between two losses, over max(1, TRL's loss); the range |
| `parity/<recipe>/grad_norm` | largest difference between two gradient norms, over TRL's norm; the range |

Each recipe has several cases (losses, settings, first and later steps), each on a Llama and a GPT-2, on each seed.
Where Palate differs on purpose, `tests/parity` says which is right and undoes the difference by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.parity import cases, material, theirs
from tests.parity.measure import Deviation

from palate.core.ids import derive_seed

SEEDS: Final = 3


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; where TRL is not there they have no value, and `why` says so."""
    why = theirs.absence()
    found: dict[str, list[Deviation]] = {name: [] for name in cases.RECIPES}
    for number in range(0 if why else SEEDS):
        own = derive_seed(seed, "parity", number)
        for family in material.FAMILIES:
            with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                folders = material.make_folders(Path(folder), family, own)
                for name in cases.RECIPES:
                    found[name] += cases.deviations(folders, own, name)
    return [row for name, several in found.items() for row in _rows(name, several, why)]


def _rows(recipe: str, found: list[Deviation], why: str) -> list[dict[str, Any]]:
    rows = []
    for name, values in (("loss", [one.loss for one in found]), ("grad_norm", [one.norm for one in found])):
        low, high = (min(values), max(values)) if values else (None, None)
        row = {"name": f"parity/{recipe}/{name}", "value": high, "low": low, "high": high, "n": len(values)}
        rows.append(row | {"seeds": 0 if why else SEEDS} | ({"why": why} if why else {}))
    return rows


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    for row in figures(parser.parse_args().seed):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
