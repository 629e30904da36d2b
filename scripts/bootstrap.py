"""Make .venv and install Palate into it. Standard library only; called by make.

PyTorch comes first, because a plain install brings gigabytes of CUDA to machines without a GPU:

    PALATE_TORCH=auto   (default) CUDA where an NVIDIA driver is loaded, else the CPU build
    PALATE_TORCH=cpu    the CPU build
    PALATE_TORCH=cuda   whatever the package index gives
    PALATE_TORCH=skip   torch is installed already
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PIP = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NEEDED_GB = 4


def torch_build(wish: str, *, has_nvidia: bool, system: str) -> str:
    """Which build to install: `cpu`, `plain` or `none`."""
    if wish not in ("auto", "cpu", "cuda", "skip"):
        sys.exit(f"error: PALATE_TORCH={wish}\n  expected: auto, cpu, cuda or skip")
    if wish == "skip":
        return "none"
    if wish == "cuda" or system == "Darwin" or (wish == "auto" and has_nvidia):
        return "plain"
    return "cpu"


def pip(*arguments: str, check: bool = True) -> bool:
    """Run pip in the new environment."""
    return subprocess.run([*PIP, *arguments], cwd=ROOT, check=check).returncode == 0


def pinned(name: str) -> str:
    """The requirement that constraints.txt states for a package."""
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line.startswith(f"{name}=="):
            return line.strip()
    return name


def install_torch(build: str) -> None:
    """Install torch by the shortest way that works."""
    if build == "none":
        return
    torch = pinned("torch")
    local = [*PIP, "install", "--dry-run", "--no-deps", "--no-index", torch]
    here = subprocess.run(local, cwd=ROOT, capture_output=True, check=False).returncode == 0
    if build == "plain" or here:
        pip("install", "--quiet", torch)
        return
    index = ["--extra-index-url", CPU_INDEX, "--retries", "0", "--timeout", "15"]
    if not pip("install", "--quiet", torch, *index, check=False):
        print("  the index of CPU builds is out of reach; the plain build is large", flush=True)
        pip("install", "--quiet", torch)


def main() -> None:
    """Check the machine, make the environment, say how long it took."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before anything is checked
        sys.exit(f"error: Python is too old\n  expected: 3.11 or newer\n  found: {platform.python_version()}")
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < NEEDED_GB:
        sys.exit(f"error: the disk is nearly full\n  expected: {NEEDED_GB} GB free\n  found: {free_gb:.1f} GB")
    began = time.monotonic()
    print("Making .venv and installing Palate (a minute or two) …", flush=True)
    if not (VENV / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    wish = os.environ.get("PALATE_TORCH", "auto")
    has_nvidia = Path("/proc/driver/nvidia/version").exists()
    install_torch(torch_build(wish, has_nvidia=has_nvidia, system=platform.system()))
    pip("install", "--quiet", "--constraint", "constraints.txt", "--editable", ".[dev]")
    (VENV / ".ok").touch()
    print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)


if __name__ == "__main__":
    main()
