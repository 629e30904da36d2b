"""Make the environments that `make bench` takes turns with: TRL as its users have it, and one with its last PPO.

    python scripts/opponents.py build/trl 1.16.0

Torch and transformers are those of .venv, found by a path file: both sides then run the same ones, and nothing large
is installed twice. What TRL needs besides goes into the new environment. Standard library only; called by make.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = "import sysconfig; print(sysconfig.get_paths()['purelib'])"


def packages(python: Path) -> Path:
    """Where an interpreter keeps its packages."""
    done = subprocess.run([python, "-c", _PACKAGES], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def make(folder: Path, version: str) -> None:
    """An environment with TRL of this version, unless it is there."""
    python = folder / "bin" / "python"
    mark = folder / f"trl-{version}"
    if mark.exists():
        return
    print(f"TRL {version} into {folder} …", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    (packages(python) / "palate.pth").write_text(f"{packages(ROOT / '.venv' / 'bin' / 'python')}\n", encoding="utf-8")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", f"trl=={version}"], check=True, cwd=ROOT)
    mark.touch()


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2])
