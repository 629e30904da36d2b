"""The script that wants a GPU, as far as it goes without one."""

import json

import pytest
import torch
from scripts import gpu_bench
from scripts.gpu import ours
from scripts.gpu.work import DRY, GPU, STAGES, make_models, task_of


@pytest.mark.skipif(torch.cuda.is_available(), reason="here there is one")
def test_without_a_gpu_it_says_so_and_writes_nothing(tmp_path, capsys):
    assert gpu_bench.main(["--out", str(tmp_path / "gpu.json")]) == []
    assert "no GPU" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("gpu") / "models", DRY, seed=0)


@pytest.mark.parametrize("stage", STAGES)
def test_our_side_runs_the_real_recipe(stage, models, tmp_path, capsys):
    task = task_of(stage, models, "cpu", DRY, seed=0)
    ours.run(json.loads(task.write(tmp_path / "task.json").read_text()), tmp_path / "run")
    told = json.loads(capsys.readouterr().out.removeprefix("GPU "))
    assert len(told["steps_s"]) == DRY.steps
    assert told["flops"] > 0
    assert told["notes"][0].startswith("memory: needs about")
    assert ("sampler_gap_nats" in told) == (stage in ("grpo", "ppo"))
    config = json.loads(next((tmp_path / "run").glob("runs/*/config.json")).read_text())
    assert config["config"]["dtype"] == "bfloat16"


def test_every_row_is_used_once():
    for stage in STAGES:
        task = task_of(stage, "models", "cuda", GPU, seed=0)
        each = {"dpo": 1, "grpo": GPU.group}.get(stage, 1)
        assert len(task.prompts) * each == GPU.batch[stage] * (GPU.steps + GPU.warm_up)
        assert all(GPU.shortest <= len(ids) <= GPU.longest for ids in task.prompts)


def test_the_model_has_half_a_billion_weights():
    body = GPU.layers * (
        2 * GPU.hidden * GPU.heads * GPU.head_dim
        + 2 * GPU.hidden * GPU.kv_heads * GPU.head_dim
        + 3 * GPU.hidden * GPU.intermediate
    )
    assert 0.45e9 < body + GPU.vocabulary * GPU.hidden < 0.55e9


def test_figures_by_hand():
    ours_turns = [
        {"steps_s": [1.0, 2.0, 3.0], "peak_bytes": 2**30, "flops": 100.0, "sampler_gap_nats": gap} for gap in (1, 3)
    ]
    theirs = [{"steps_s": [4.0, 4.0, 8.0], "peak_bytes": 3 * 2**30}, {"steps_s": [8.0] * 3, "peak_bytes": 2**30}]
    rows = gpu_bench.figures("sft", {"palate": ours_turns, "trl": theirs}, peak_flops=200.0)
    found = {row["name"]: row for row in rows}
    assert found["gpu/sft/step_s/palate"]["value"] == 2
    assert found["gpu/sft/mfu"]["value"] == 100 / 2 / 200
    assert found["gpu/sft/peak_gib/trl"]["value"] == 3
    assert found["gpu/sft/sampler_gap_nats"]["value"] == 3
    assert [found["gpu/sft/speedup"][key] for key in ("value", "low", "high", "n")] == [3, 2, 4, 2]


def test_a_trl_that_cannot_start_is_left_out(tmp_path, capsys):
    told = """echo 'GPU {"steps_s": [1, 2]}'"""
    sides = {"palate": ["sh", "-c", told], "trl": ["sh", "-c", "echo no TRL >&2; exit 1"]}
    assert list(gpu_bench.take_turns(sides, 2, tmp_path)) == ["palate"]
    assert capsys.readouterr().err == "trl is left out: no TRL\n"
    with pytest.raises(SystemExit, match="Palate's side failed"):
        gpu_bench.take_turns({"palate": sides["trl"]}, 1, tmp_path)
