"""Start processes as torchrun does, and read what they leave."""

import json
import os
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file

HERE = Path(__file__).parent
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


def start(words, *, processes=1, timeout_s=600):
    """Run Python on these words, in one process or behind torchrun."""
    front = (*TORCHRUN, str(processes)) if processes > 1 else ()
    return subprocess.run(
        [sys.executable, *front, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        env={**os.environ, **ENVIRONMENT},
        cwd=HERE.parents[1],
    )


def carry_out(plan, setting, path, *, processes=1):
    """Carry a plan of `work` out; all of it must come through."""
    path.write_text("".join(json.dumps(line) + "\n" for line in plan))
    ended = start([HERE / "work.py", path, setting], processes=processes)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-6000:]


def lines(root, name):
    """Lines of one of the growing files of all runs in a workspace."""
    return [
        json.loads(line)
        for path in sorted((root / "runs").glob(f"*/{name}"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def weights(root):
    """All weights of all artefacts in a workspace."""
    return {
        f"{path.parent.name}/{path.name}/{name}": value
        for path in sorted((root / "artefacts").glob("*/*.safetensors"))
        for name, value in load_file(path).items()
    }


def apart(one, other):
    """The largest difference of any weight."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def ended(root):
    """How a run came out."""
    return (root / "ended.txt").read_text()
