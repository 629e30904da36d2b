"""One process fails, is killed, or is asked to stop: none of the others hangs, and a person is told why."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.distributed.launch import ENVIRONMENT, HERE, lines, start, weights

from palate.world.trials import setting as small

GRACE_S = 300
"""Seconds; on a busy machine torch's own start takes most of it. A process that hung would be waited for an hour."""


def run_once(place, name, **more):
    root = place / name
    plan = place / f"{name}.jsonl"
    plan.write_text(json.dumps({"trial": "sft", "mode": "ddp", "root": str(root), **more}))
    began = time.monotonic()
    ended = start([HERE / "work.py", plan, place / "setting"], processes=2, timeout_s=2 * GRACE_S)
    return ended, time.monotonic() - began, root


@pytest.mark.parametrize(("who", "other"), [(0, 1), pytest.param(1, 0, marks=pytest.mark.slow)])
def test_a_process_that_is_killed_ends_all(place, who, other):
    ended, seconds, root = run_once(place, f"killed-{who}", stop_at=3, who=who, how="SIGKILL", every_s=0)
    assert ended.returncode
    assert seconds < GRACE_S
    assert "another process of this run has ended" in ended.stderr
    assert f"process {other} of 2, which cannot go on alone" in ended.stderr
    assert "it was killed, or its machine or network is gone" in ended.stderr
    assert "the same command goes on from the newest checkpoint" in ended.stderr
    (left,) = (root / "runs").glob("*/checkpoints")
    assert sorted(path.name for path in left.iterdir())[-1] == "step-00000002.pt"


pytestmark = pytest.mark.distributed


def test_an_error_in_one_is_told_by_the_others(place):
    ended, seconds, _ = run_once(place, "failed", stop_at=3, who=1, how="error")
    assert ended.returncode
    assert seconds < GRACE_S
    assert "another process of this run has ended" in ended.stderr
    assert "process 1: this process has had enough" in ended.stderr


@pytest.fixture(scope="module")
def command(place):
    """`palate train sft …` on a small model."""
    setting = small.make(place / "setting")
    data = place / "data.jsonl"
    rows = [{"prompt": d.prompt.text, "completion": d.completion} for d in small.demonstrations()] * 4
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["-m", "palate", "train", "sft", "--model", setting.base, "--data", data, "--learning-rate", "1e-4"]
    return [*words, "--batch-size", "4", "--epochs", "4", "--device", "cpu"]


@pytest.mark.slow
def test_the_same_command_with_nproc_does_the_same_work(command, place):
    for number in (1, 2):
        ended = start([*command, "--nproc", number, "--out", place / f"nproc-{number}"])
        assert ended.returncode == 0, ended.stderr[-3000:]
        folder = ended.stdout.strip().splitlines()[-1]
        assert "artefacts/policy-" in folder.replace("\n", "")
        assert ended.stdout.count("artefacts/policy-") == 1
    one, two = (place / f"nproc-{number}" for number in (1, 2))
    mine, theirs = (sorted(path.name for path in (root / "artefacts").iterdir()) for root in (one, two))
    assert mine == theirs  # the same ids
    for mine, theirs in zip(lines(one, "metrics.jsonl"), lines(two, "metrics.jsonl"), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-5)
    assert weights(one).keys() == weights(two).keys()


@pytest.mark.slow
def test_ctrl_c_stops_all_with_a_checkpoint_and_exit_code_130(command, place):
    root = place / "interrupted"
    longer = ["4000" if word == "4" and command[at - 1] == "--epochs" else word for at, word in enumerate(command)]
    words = [sys.executable, *map(str, longer), "--nproc", "2", "--out", str(root)]
    environment = {**os.environ, **ENVIRONMENT}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            began = time.monotonic()
            while time.monotonic() - began < GRACE_S and not list(root.glob("runs/*/metrics.jsonl")):
                time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            said, complained = process.communicate(timeout=GRACE_S)
        finally:
            process.terminate()  # nothing, if it has ended
    assert process.returncode == 130, complained[-3000:]
    assert complained.count("stopped after step") == 1
    assert "Traceback" not in complained
    assert len(list(root.glob("runs/*/checkpoints/*.pt"))) == 1
    assert "stopping after this step" in said


def test_a_wrong_model_folder_is_said_once(command, place):
    words = [str(place / "nowhere") if word == command[5] else word for word in command]
    ended = start([*words, "--nproc", "2", "--out", place / "wrong"])
    assert ended.returncode == 2
    assert "there is no model folder" in ended.stderr
