"""Time what README promises, in a fresh clone without an environment, into docs/results/times.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS = (
    ("time/installation_s", ".venv/.ok"),
    ("time/make_demo_s", "demo"),
    ("time/make_quick_s", "quick"),
    ("time/make_test_s", "test"),
)


def main() -> None:
    """Clone, then time each target once, in order; the first one installs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="put the clone here, and leave it there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clone = options.keep or Path(scratch) / "palate"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        rows = [_row(name, _seconds(clone, target)) for name, target in STEPS]
    target = ROOT / "docs" / "results" / "times.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['name']:24} {row['value']:7.1f}")


def _seconds(clone: Path, target: str) -> float:
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "BIN")}
    if "VIRTUAL_ENV" in os.environ:  # nothing but a bare Python, as on a new machine
        own = str(Path(os.environ["VIRTUAL_ENV"]) / "bin")
        environment["PATH"] = os.pathsep.join(p for p in environment["PATH"].split(os.pathsep) if p != own)
    began = time.monotonic()
    done = subprocess.run(["make", target], cwd=clone, env=environment, check=False)
    if done.returncode:
        sys.exit(f"make {target} failed in {clone}; nothing was written")
    return round(time.monotonic() - began, 1)


def _row(name: str, value: float) -> dict[str, object]:
    return {
        "name": name,
        "value": value,
        "low": None,
        "high": None,
        "n": 1,
        "seeds": 1,
        "command": "make times",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }


if __name__ == "__main__":
    main()
