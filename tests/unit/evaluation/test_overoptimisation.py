"""The over-optimisation picture, on runs whose KL and rewards are planted, so that every figure is known."""

import csv
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import DataError, MissingArtefact
from palate.evaluation import curve_report, overoptimisation, run_samples
from palate.evaluation.best_of_n_track import best_of_n
from palate.evaluation.overoptimisation import Units, along, at_kl, given_back, track, units_of
from palate.functional.best_of_n import best_of_n_kl_nats


def planted(
    folder, *, iterations=12, prompts=40, each=4, noise=1.0, seed=0, gain=None, truth=None, made_by="train rloo"
):
    """A run whose KL is d² after d steps of .3 √nats, whose proxy gains `gain(d)` and whose truth gains `truth(d)`."""
    rng = np.random.default_rng(seed)
    gain, truth = gain or (lambda d: d), truth or (lambda d: d - d * d / 4)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"made_by": made_by, "config": {"beta": 0.1}, "inputs": {"reward": "reward-1"}}
    (folder / "config.json").write_text(json.dumps(config))
    lines, known = [], []
    for iteration in range(iterations):
        d = 0.3 * iteration
        for prompt in range(prompts):
            taste = rng.normal()
            for _ in range(each):
                luck = noise * rng.normal()
                line = {
                    "iteration": iteration,
                    "prompt": [{"role": "user", "content": f"question {prompt}"}],
                    "prompt_id": f"p{prompt}",
                    "completion": "an answer",
                    "reward": gain(d) + luck + noise * taste,
                    "kl_nats": d * d + (noise * rng.normal() if d else 0.0),
                    "tokens": 10 + iteration,
                    "finished": True,
                }
                lines.append(json.dumps(line))
                known.append(truth(d) + 0.5 * luck)
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n")
    return run_samples.load(folder).with_truth(known)


ONE = Units(1.0, 1.0)


def test_without_noise_every_figure_is_what_was_planted(tmp_path):
    run = track(planted(tmp_path, noise=0.0), units=ONE)
    for number, look in enumerate(along(run)):
        d = 0.3 * number
        assert (look.first, look.last, look.kl_nats.n) == (number, number, 160)
        assert look.distance == pytest.approx(d)
        for figure, value in ((look.proxy, d), (look.truth, d - d * d / 4)):
            assert (figure.value, figure.low, figure.high) == pytest.approx((value,) * 3)
    for kl in (1.0, 4.0, 7.0):
        assert at_kl(run, kl, "proxy").value == pytest.approx(math.sqrt(kl))
    truth = at_kl(run, 4.0, "truth")
    ends = {d: d - d * d / 4 for d in (1.8, 2.1)}  # the looks around it; between them the picture is straight
    assert truth.value == pytest.approx(ends[1.8] + (2.0 - 1.8) / 0.3 * (ends[2.1] - ends[1.8]))
    assert truth.n == 2 * 160
    assert at_kl(run, 20.0, "proxy") is None
    assert given_back(run, "proxy").value == pytest.approx(0.0)
    assert given_back(run, "truth").value == pytest.approx(ends[2.1] - (3.3 - 3.3**2 / 4))


@pytest.mark.slow
def test_intervals_hold_what_was_planted(tmp_path):
    """Over 60 runs a 95 % interval misses 8 times or more with a chance of less than 1 % (binomial)."""
    missed = {"proxy": 0, "truth": 0, "fall": 0}
    for seed in range(60):
        run = track(planted(tmp_path / str(seed), iterations=8, prompts=25, each=2, seed=seed), units=ONE, seed=seed)
        for measure, value in (("proxy", math.sqrt(2)), ("truth", math.sqrt(2) - 0.5)):
            figure = at_kl(run, 2.0, measure)
            missed[measure] += not figure.low - 0.02 <= value <= figure.high + 0.02  # the curve between looks
        fall = given_back(run, "truth")
        missed["fall"] += not fall.low <= 1.0 - (2.1 - 2.1**2 / 4) + 0.02
    assert max(missed.values()) < 8, missed


def test_neighbouring_looks_are_put_together_and_the_first_stands_alone(tmp_path):
    run = track(planted(tmp_path, iterations=12), looks=5)
    assert run.stretches == [(0, 0), (1, 3), (4, 6), (7, 9), (10, 11)]
    assert [look.proxy.n for look in along(run)] == [160, 480, 480, 480, 320]


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(2, 30))
def test_every_iteration_is_in_one_look(iterations, looks):
    found = overoptimisation._stretches(list(range(iterations)), looks)
    assert len(found) <= looks
    assert [i for first, last in found for i in range(first, last + 1)] == list(range(iterations))


def test_units_are_deviations_of_what_runs_began_with(tmp_path):
    samples = planted(tmp_path, noise=2.0, prompts=200)
    assert 0.9 < units_of([samples]).proxy / math.sqrt(8) < 1.1  # 800 answers, four a prompt
    assert units_of([planted(tmp_path / "flat", noise=0.0)]) == ONE


def test_best_of_n_gains_what_the_normal_distribution_says(tmp_path):
    """E max of n normals: .5642 of 2, 1.0294 of 4, 1.4236 of 8; half of the luck is true."""
    samples = planted(tmp_path, iterations=1, prompts=400, each=8)
    found = best_of_n([samples], ONE)
    assert [one.n for one in found] == [1, 2, 4, 8]
    for one, expected in zip(found, (0.0, 0.5642, 1.0294, 1.4236), strict=True):
        assert one.kl_bound_nats == best_of_n_kl_nats(one.n)
        assert one.proxy.low - 0.03 <= expected <= one.proxy.high + 0.03
        assert one.truth.low - 0.03 <= expected / 2 <= one.truth.high + 0.03
        assert one.proxy.n == 3_200


def test_a_run_that_began_elsewhere_has_no_best_of_n(tmp_path):
    samples = planted(tmp_path, iterations=1, each=4)
    samples.kl_nats_N[:] = 3.0
    assert best_of_n([samples], ONE) == []
    assert best_of_n([planted(tmp_path / "one", iterations=1, each=1)], ONE) == []


def test_a_run_of_best_of_n_stands_beside_and_is_no_run(tmp_path):
    chosen = planted(tmp_path / "chosen", iterations=3, each=16, made_by=run_samples.BEST_OF_N)
    curves = curve_report.draw([planted(tmp_path / "run"), chosen])
    assert [run.name for run in curves.runs] == ["rloo β 0.1 (run)"]
    assert curves.chosen[-1].n == 48  # a prompt was asked in each of three iterations


def test_what_is_not_known_is_left_out_and_not_made_up(tmp_path):
    samples = planted(tmp_path)
    samples.proxy_N[samples.iteration_N == 3] = math.nan
    samples.kl_nats_N[samples.iteration_N == 5] = math.nan
    nobody = samples.with_truth([None] * len(samples.rows))
    run = track(nobody)
    looks = along(run)
    assert [look.first for look in looks] == [0, 1, 2, 4, 6, 7, 8, 9, 10, 11]
    assert all(look.truth is None for look in looks)
    assert at_kl(run, 1.0, "truth") is None
    assert given_back(run, "truth") is None
    assert "Only the reward that these runs pursued is known" in "\n".join(
        curve_report.told(curve_report.draw([nobody]))
    )
    with pytest.raises(DataError, match="does not fit"):
        samples.with_truth([1.0])
    samples.kl_nats_N[:] = math.nan
    with pytest.raises(DataError, match="cannot be drawn"):
        track(samples)


def test_one_prompt_has_values_and_no_interval(tmp_path):
    run = track(planted(tmp_path, prompts=1))
    assert all(math.isnan(look.proxy.low) for look in along(run))
    assert given_back(run, "proxy") is None


def test_the_artefact_says_the_same_everywhere_and_again(tmp_path):
    samples = [planted(tmp_path / name, prompts=12, seed=seed) for seed, name in enumerate(("one", "two"))]
    curves = curve_report.draw(samples)
    folder = curve_report.keep(curves, Workspace(tmp_path / "a"), {}, {"run 1": "file-1"})
    again = curve_report.keep(curve_report.draw(samples), Workspace(tmp_path / "b"), {}, {"run 1": "file-1"})
    names = {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert names == {"curve.csv", "curve.json", "run-1.svg", "run-2.svg", "together.svg"}
    assert all((folder / name).read_bytes() == (again / name).read_bytes() for name in names)
    rows = list(csv.DictReader(io.StringIO((folder / "curve.csv").read_text())))
    at = next(row for row in rows if row["of"] == "equal KL" and row["kl_nats"] == "4.0")
    told = json.loads((folder / "curve.json").read_text())["runs"][0]["at_kl_nats"]["4"]
    assert float(at["proxy"]) == pytest.approx(told["proxy"]["value"], rel=1e-5)
    assert f"{told['truth']['value']:+.2f}" in "\n".join(curve_report.told(curves))
    assert read_manifest(folder).facts["rloo β 0.1 (one)"]["at_kl_nats"]["4"] == told


def test_a_run_is_found_by_its_policy_and_its_torn_line_is_left_out(tmp_path):
    planted(tmp_path / "runs" / "policy-1")
    policy = tmp_path / "artefacts" / "policy-1"
    policy.mkdir(parents=True)
    (policy / "manifest.json").write_text("{}")
    for named in (policy, tmp_path / "runs" / "policy-1"):
        assert len(run_samples.load(named).rows) == 12 * 160
    assert len(run_samples.load("policy-1" and policy.relative_to(tmp_path), out=tmp_path).rows) == 12 * 160
    with (tmp_path / "runs" / "policy-1" / "samples.jsonl").open("a") as file:
        file.write('{"iteration": 12, "comp')
    assert len(run_samples.load(policy).rows) == 12 * 160
    with pytest.raises(MissingArtefact, match="no samples"):
        run_samples.load(tmp_path / "nowhere")


@pytest.mark.parametrize("line", ["{", '{"iteration": 1}', "[]", "7"])
def test_a_line_that_is_none_is_named(tmp_path, line):
    (tmp_path / "samples.jsonl").write_text(line + "\n")
    with pytest.raises(DataError) as caught:
        run_samples.load(tmp_path)
    assert caught.value.where.endswith("samples.jsonl:1")
