"""`palate train … --server`, as a person types it."""

import json
import sys

import pytest
from tests.servers.runs import lines

from palate.cli import run
from palate.core.artefacts import read_manifest
from palate.world.trials.setting import PROMPTS

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


@pytest.fixture
def palate(monkeypatch, tmp_path, capsys, setting):
    monkeypatch.chdir(tmp_path)
    for name, value in (("COLUMNS", "120"), ("OMP_WAIT_POLICY", ""), ("HF_HUB_DISABLE_PROGRESS_BARS", "1")):
        monkeypatch.setenv(name, value)
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": prompt.text}) + "\n" for prompt in PROMPTS))

    def type_(*words):
        common = ["--model", setting.base, "--reward", setting.scorer, "--data", "prompts.jsonl", "--device", "cpu"]
        short = ["--iterations", 2, "--rollouts", 8, "--batch-size", 8, "--max-new-tokens", 8, "--learning-rate", 1e-3]
        monkeypatch.setattr(sys, "argv", ["palate", *map(str, [*words[:2], *common, *short, *words[2:]])])
        code = 0
        try:
            run()
        except SystemExit as stop:
            code = stop.code or 0
        out, errors = capsys.readouterr()
        return code, out.splitlines(), errors

    return type_


def test_with_two_servers_and_sampling_ahead(palate, serve, tmp_path):
    fakes = serve(backend="disk"), serve(backend="disk")
    words = [word for fake in fakes for word in ("--server", fake.url)]
    code, out, errors = palate("train", "grpo", *words, "--stale-steps", 1)
    assert code == 0, errors
    made = read_manifest(tmp_path / out[-1])
    assert made.config["stale_steps"] == 1  # what changes the result is part of the id
    assert "server" not in json.dumps(made.config)  # where it was sampled is not
    assert [line["sampler/stale_versions"] for line in lines(tmp_path)] == [0, 1]
    assert all(fake.answered for fake in fakes)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--server", "localhost:8000"), "--server cannot be used"),
        (("--stale-steps", 1), "--stale-steps has nobody to sample meanwhile"),
        (("--server", "http://127.0.0.1:9"), "no server is left to sample on"),
        (("--server", "http://127.0.0.1:9", "--tuning", "qlora"), "qlora"),
        (("--sampler-cap", 0.5), "--sampler-cap cannot be used"),
        (("--server-min-rows", 2), "--server-min-rows cannot be used"),
    ],
)
def test_what_cannot_work_exits_with_2(palate, words, said):
    code, _, errors = palate("train", "grpo", *words)
    assert code == 2
    assert said in " ".join(errors.split())


def test_recipes_that_do_not_sample_have_no_servers(palate):
    code, _, _ = palate("train", "sft", "--server", "http://127.0.0.1:9")
    assert code != 0
