"""`palate init` and `palate round`, as people type them."""

import pytest
from scripts.rounds import kills
from scripts.rounds.kills import Trial
from scripts.rounds.open_gates import opened
from tests import tiny_models

from typed import palate


def said(done):
    return " ".join((done.stdout + done.stderr).split())


def test_a_project_is_made_once_and_of_a_model(tmp_path):
    assert "either --base MODEL or --practice" in said(palate("init", "p", cwd=tmp_path))
    assert palate("init", "p", "--base", "nowhere", cwd=tmp_path).returncode == 2
    assert not (tmp_path / "p" / "palate.toml").exists()
    base = tiny_models.make(tmp_path / "base")
    assert palate("init", "p", "--base", base, cwd=tmp_path).returncode == 0
    assert {path.name for path in (tmp_path / "p").iterdir()} >= {
        "palate.toml", "guideline.md", "constitution.md", "palate.db",
    }  # fmt: skip
    assert "there is a project already" in said(palate("init", "p", "--base", base, cwd=tmp_path))
    assert "there is no round yet" in said(palate("round", "status", cwd=tmp_path / "p"))
    assert "[project] prompts" in said(palate("round", "start", cwd=tmp_path / "p"))


def test_what_is_no_project_is_told_so(tmp_path):
    assert "palate init" in said(palate("round", "start", cwd=tmp_path))


@pytest.mark.slow
def test_a_round_of_the_practice_world_from_the_first_command_to_a_release(tmp_path):
    root = tmp_path / "try"
    assert palate("init", root, "--practice", "--size", "tiny", cwd=tmp_path).returncode == 0
    opened(root, red_team='"direct"')
    done = palate("round", "start", "--rounds", "2", cwd=root)
    assert done.returncode == 0, said(done)
    assert "Round 2 is done: stable is release" in said(done)
    assert palate("round", "status", cwd=root).returncode == 0
    assert "the same as" not in said(palate("round", "show", "2", cwd=root))
    assert "stable since" in said(palate("release", "list", cwd=root))
    assert "of 400 new judgements" in said(palate("round", "watch", "--once", "--drift", cwd=root))
    assert "would go" in said(palate("store", "prune", "--days", "0", cwd=root))
    assert "cannot be aborted" in said(palate("round", "abort", cwd=root))


@pytest.mark.slow
def test_a_round_that_is_killed_ends_as_one_in_peace(tmp_path):
    told = [one for one in kills.trials(tmp_path, 7, most=2) if isinstance(one, Trial)]
    assert len(told) == 4
    assert all(one.equal and not one.half_written for one in told)
