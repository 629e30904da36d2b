"""A disk that fills up at any step: the round says so, and with room it ends as one in peace, with nothing lost."""

import os
import shutil
import subprocess

import pytest
from scripts.rounds import kills
from scripts.rounds.open_gates import opened

from typed import palate

pytestmark = pytest.mark.slow
MORE_MB = (1, 2, 4, 6)
"""Room beyond what the project needs at first: it ends at another step each time."""


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own, and a function that gives it so many MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True, check=False)
    if os.geteuid() or made.returncode:
        pytest.skip("nobody may mount a disk here")
    yield folder, lambda mb: subprocess.run(["mount", "-o", f"remount,size={mb}m", folder], check=True)
    subprocess.run(["umount", "-l", folder], check=True)


def used_mb(folder):
    return -(-shutil.disk_usage(folder).used // 2**20)


def test_a_disk_that_fills_up_loses_nothing(tmp_path, disk):
    folder, resize = disk
    fresh = tmp_path / "fresh"
    palate("init", fresh, "--practice", "--size", "tiny", cwd=tmp_path)
    opened(fresh, red_team='"off"', over_refusal="false", knowledge="false", look="false")
    peace = kills.copied(fresh, tmp_path / "peace")
    assert palate("round", "start", cwd=peace).returncode == 0
    wanted, refused = kills.left_by(peace), 0
    for more in MORE_MB:
        root = kills.copied(fresh, folder / "project")
        resize(used_mb(folder) + more)
        done = palate("round", "start", cwd=root)
        if done.returncode:
            refused += 1
            said = done.stdout + done.stderr
            assert any(word in said for word in ("No space left", "disk is full", "full")), said
            assert "Traceback" not in said
        resize(64)
        for _ in range(2):
            kills.resume(root)
        assert kills.left_by(root) == wanted
        assert not [path for path in (root / "artefacts").glob("[!.]*") if not (path / "manifest.json").is_file()]
        shutil.rmtree(root)
    assert refused >= 2
