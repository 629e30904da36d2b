import json
from pathlib import Path

import pytest

from palate.core.errors import ConfigError, TrainingError
from palate.world.bench import cells, figures
from palate.world.bench.cells import Bench, cells_of, check_interpreters, measure
from palate.world.bench.workload import Cell


def block(seconds, tokens=64, peak=100.0):
    return {
        "cpu_s": [seconds], "probe_gflops": [120.0], "parts_s": {"rollout": [seconds / 2]}, "tokens": tokens,
        "completion_tokens": tokens // 2, "sequences": 8, "peak_mb": peak, "flops": 1e9, "sampling_flops": 1e9,
        "charge_s": 0.0,
    }  # fmt: skip


class FakeSide:
    """Answers at once; TRL takes twice as long and twice the memory."""

    begun: list[str]
    trl_tokens = 64

    def __init__(self, name, command, log):
        self.begun.append(name)
        self.slow = name.startswith("TRL")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def ready(self):
        return None

    def block(self):
        return block(2.0, self.trl_tokens, 200.0) if self.slow else block(1.0)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    FakeSide.begun = []
    monkeypatch.setattr(cells, "Side", FakeSide)
    monkeypatch.setattr(cells, "make_models", lambda *_: None)
    return Bench(folder=tmp_path, seed=0, rounds=2, trl=Path("trl"), trl_ppo=Path("trl-ppo"))


def test_a_cell_that_was_measured_is_not_measured_again(bench):
    said = []
    assert measure(bench, [Cell("sft", "tiny")], said.append) == []
    assert FakeSide.begun == ["TRL's sft/tiny", "Palate's sft/tiny"]
    assert "2.00 times" in said[-1]
    assert measure(bench, [Cell("sft", "tiny"), Cell("dpo", "tiny")], said.append) == []
    assert FakeSide.begun[2:] == ["TRL's dpo/tiny", "Palate's dpo/tiny"]
    assert any("1 of 2 cells were measured before" in sentence for sentence in said)


def test_fewer_rounds_than_asked_for_are_not_enough(bench):
    measure(bench, [Cell("sft", "tiny")], lambda _: None)
    more = Bench(folder=bench.folder, seed=0, rounds=3, trl=Path("trl"))
    measure(more, [Cell("sft", "tiny")], lambda _: None)
    assert len(FakeSide.begun) == 4
    assert len(json.loads(more.file(Cell("sft", "tiny")).read_text())["palate"]) == 3


def test_half_a_cell_is_no_cell(bench, monkeypatch):
    calls = []

    def fails(self):
        calls.append(1)
        if len(calls) > 4:
            raise TrainingError("it ended")
        return block(1.0)

    monkeypatch.setattr(FakeSide, "block", fails)
    (failed,) = measure(bench, [Cell("sft", "tiny")], lambda _: None)
    assert failed.startswith("sft/tiny: it ended")
    assert not bench.file(Cell("sft", "tiny")).exists()


def test_sides_that_do_other_work_are_refused(bench, monkeypatch):
    monkeypatch.setattr(FakeSide, "trl_tokens", 65)
    (failed,) = measure(bench, [Cell("dpo", "tiny")], lambda _: None)
    assert "did not do the same work" in failed
    assert "65 tokens, as TRL" in failed


def test_a_missing_interpreter_is_refused_before_any_work(bench, tmp_path):
    alone = Bench(folder=tmp_path, seed=0, rounds=2)
    with pytest.raises(ConfigError, match="--trl-python is not given"):
        check_interpreters(alone, [Cell("sft", "tiny")])
    with pytest.raises(ConfigError, match="--trl-ppo-python is not given"):
        check_interpreters(alone, [Cell("ppo", "tiny")])
    with pytest.raises(ConfigError, match="--trl-python names no interpreter"):
        check_interpreters(bench, [Cell("sft", "tiny")])
    measure(bench, [Cell("sft", "tiny")], lambda _: None)
    check_interpreters(bench, [Cell("sft", "tiny")])  # nothing left to measure


def test_an_interpreter_without_trl_is_refused(bench, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho ModuleNotFoundError: no trl >&2\nexit 1\n")
    python.chmod(0o755)
    without = Bench(folder=tmp_path, seed=0, rounds=2, trl=python)
    with pytest.raises(ConfigError, match=r"expected: TRL 1\.16\n  found: .*no trl"):
        check_interpreters(without, [Cell("sft", "tiny")])


def test_which_cells_belong_to_stages():
    assert cells_of(["rollout"], ["tiny"], plain=True) == [Cell("grpo", "tiny"), Cell("grpo", "tiny", plain=True)]
    whole = cells_of(cells.STAGES, ["tiny", "small"], plain=True)
    assert len(whole) == len(set(whole)) == 2 * 7 + 6
    assert whole[0].stage == "ppo"  # the slowest first, so that the last to end is short
    with pytest.raises(ConfigError, match="--stages has no such choice"):
        cells_of(["dop"], ["tiny"], plain=False)


def test_figures_have_the_names_that_others_expect_and_leave_other_rows(bench, tmp_path):
    wanted = cells_of(cells.STAGES, ["tiny", "small"], plain=True)
    measure(bench, wanted, lambda _: None)
    found = {cell: cells.measured(bench, cell) for cell in wanted}
    rows = figures.figures(found, command="make bench SEED=0")
    by_name = {row["name"]: row for row in rows}
    trained = ("sft", "reward", "dpo", "ppo", "grpo", "rloo", "rollout")
    expected = {f"{stage}/{size}" for stage in (*trained, "sft_grouped") for size in ("tiny", "small")}
    expected |= {f"{name}/{size}" for name in ("memory", "memory_worst") for size in ("tiny", "small")}
    expected |= {f"mfu/{stage}/{size}" for stage in trained for size in ("tiny", "small")}
    expected |= {f"plain/{stage}/tiny" for stage in trained}
    assert set(by_name) == expected
    assert len(rows) == len(expected)
    assert by_name["dpo/tiny"]["value"] == 2.0
    assert by_name["dpo/tiny"]["n"] == 2
    assert by_name["memory/small"]["value"] == 0.5
    assert set(rows[0]) == {"name", "value", "low", "high", "n", "seeds", "about", "command", "date"}
    out = tmp_path / "results" / "speed.json"
    out.parent.mkdir()
    out.write_text(json.dumps([{"name": "demo/speedup", "value": 1.3}, {"name": "dpo/tiny", "value": 9}]))
    figures.write(out, rows)
    kept = json.loads(out.read_text())
    assert {"name": "demo/speedup", "value": 1.3} in kept
    assert [row["value"] for row in kept if row["name"] == "dpo/tiny"] == [2.0]


def test_memory_is_the_median_and_the_worst_of_the_stages():
    def found(ours):
        return {"date": "2026-01-01", "palate": [block(1, peak=ours)], "trl": [block(1, peak=100.0)]}

    peaks = {"sft": 50.0, "dpo": 60.0, "grpo": 90.0, "sft_grouped": 99.0}
    rows = figures.figures({Cell(s, "tiny"): found(p) for s, p in peaks.items()}, command="")
    by_name = {row["name"]: row for row in rows}
    assert by_name["memory/tiny"]["value"] == 0.6
    assert by_name["memory_worst/tiny"]["value"] == 0.9
    assert "grpo" in by_name["memory_worst/tiny"]["about"]


@pytest.mark.parametrize(
    ("name", "value", "met"),
    [("dpo/tiny", 2.5, True), ("dpo/tiny", 2.49, False), ("memory/tiny", 0.61, False), ("plain/dpo/tiny", 9, None)],
)
def test_memory_is_to_be_low_and_speed_high(name, value, met):
    assert figures.meets(name, value) is met
