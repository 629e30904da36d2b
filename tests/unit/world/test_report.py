"""The report, built from a folder in which every answer is hostile."""

import json
import re

import pytest

from palate.world import report
from palate.world.curves import Fooled
from palate.world.prompts import EXAMPLE_TEXT, MIX

HOSTILE = "<script>alert('x')</script>\nlearn: start with figma and then practice user research."


def _names() -> list[str]:
    names = ["rater/agreement", "knowledge/unseen_correct", "time/total_s", "reward_model/growth_gold"]
    names += [f"claims/specific_correct/{who}" for who in ("sft", "ppo")]
    names += [f"reward_model/{n}" for n in ("accuracy_labels", "accuracy_gold", "accuracy_single", "ece")]
    names += [f"reward_model/accuracy_{kind}/n={n}" for kind in ("labels", "gold") for n in (200, 400, 800)]
    names += ["reward_model/accuracy_single_ceiling"]
    names += [f"hacking/{n}" for n in ("proxy_rise_sd", "gold_minus_own_peak", "gold_minus_tethered")]
    names += ["hacking/largest_step_kl_nats", "round2/win_rate_over_round1", "round2/round1_vs_sft"]
    names += [f"round2/{n}" for n in ("over_more_steps", "over_equal_sft", "round2_vs_sft")]
    for who in ("ppo", "dpo"):
        for at in ("@0.5", "@1.0"):
            names += [f"win_rate/{who}_vs_sft{at}", *(f"win_rate/{who}_vs_sft/{kind}{at}" for kind in MIX)]
    return names


def _points(count: int) -> list[dict[str, float]]:
    names = ("iteration", "step", "loss", "accuracy", "proxy", "gold", "claims", "kl", "tokens")
    return [{name: float(i + 1) for name in names} | {"proxy_sd": 1.0} for i in range(count)]


def _folder(path):
    shared = {"value": 0.625, "low": 0.5, "high": 0.75, "n": 432}
    rows = [{"name": n, **shared, "command": "palate demo", "date": "2026-01-01", "world": "w"} for n in _names()]
    (path / "summary.json").write_text(json.dumps(rows))
    (path / "example.json").write_text(json.dumps(dict.fromkeys(("base", "sft", "ppo", "dpo"), HOSTILE)))
    return path


@pytest.fixture
def folder(tmp_path):
    return _folder(tmp_path)


@pytest.fixture(scope="module")
def text(tmp_path_factory, facts):
    return report.write(_folder(tmp_path_factory.mktemp("report")), facts).read_text()


@pytest.fixture(scope="module")
def facts():
    runs = {name: _points(40) for name in ("pretrain", "sft", "reward", "dpo", "ppo")}
    sweep = {f"beta = {beta}": _points(12) for beta in (0, 0.05, 0.2)}
    fooled = [Fooled("how?", HOSTILE, 2.5, -1.25, 0.5, ("flattery (2)",))]
    return {"seed": 3, "small_round": 40, "sweep": sweep, "fooled": fooled, **runs}


def test_every_section_is_there_and_quotes_the_summary(text):
    for heading in ("running example", "Learning curves", "reward model", "hacking, on purpose", "Round 1 and round 2"):
        assert re.search(f"<h2>[^<]*{heading}", text), heading
    assert EXAMPLE_TEXT in text
    assert "0.625 (95 % interval 0.500 to 0.750, n 432)" in text
    assert "first round has 40 prompts only" in text
    assert "Score +2.5 standard deviations" in text
    assert text.count("<figure>") == 4 + 9 + 1 + 4 + 1
    assert text.count("<svg") == text.count('role="img" aria-label=')


def test_right_claims_are_marked_and_model_output_stays_text(text):
    assert '<mark class="right" title="right">learn: start with figma' in text
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 5


def test_the_page_needs_nothing_from_elsewhere(text):
    assert not re.findall(r"(?:src|href)=\"(?!#)[^\"]*\"", text)
    assert not re.findall(r"@import|url\((?!#)", text)
    assert len(text) < 1_500_000


def test_a_quick_run_says_what_it_left_out(folder, facts):
    text = report.write(folder, facts | {"sweep": {}, "fooled": []}).read_text()
    assert "without --quick" in text
    assert "beta = 0" not in text


@pytest.mark.slow
def test_no_fooling_answer_is_said_too(folder, facts):
    assert "None: every answer" in report.write(folder, facts | {"fooled": []}).read_text()


@pytest.mark.slow
def test_the_same_data_give_the_same_bytes(folder, facts):
    assert report.write(folder, facts).read_bytes() == report.write(folder, facts).read_bytes()


def test_colours_follow_the_readers_light(text):
    drawn = text.split("</style>", 1)[1]
    assert "var(--blue)" in drawn
    assert not re.findall(r"#[0-9a-fA-F]{6}\b", drawn)


@pytest.mark.slow
def test_a_figure_without_observations_is_no_number(folder, facts):
    rows = json.loads((folder / "summary.json").read_text())
    for row in rows:
        if row["name"] in ("knowledge/unseen_correct", "reward_model/growth_gold"):
            row.update(value=None, low=None, high=None, n=0)
    (folder / "summary.json").write_text(json.dumps(rows))
    text = report.write(folder, facts).read_text()
    assert "nan" not in text.split("</style>", 1)[1].lower().replace("finance", "")
    assert "an unknown share (n 0)" in text
