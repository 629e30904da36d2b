"""`palate influence`, as a person types it: a planted contrarian is found, and every number is that of retraining."""

import json
import random

import pytest
import torch

import tiny_models
from palate.core.artefacts import read_manifest
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.functional.influence import Rows, fit_head
from palate.preferences.dataset import load_preferences
from palate.rounds import influence as recipe
from palate.store import rows
from palate.store.journal import Journal
from palate.store.judgements import judge
from typed import palate

WORDS = ("career", "password", "user", "research", "figma", "practice")
KIND = ("sorry, i can not help with that.", "sorry, i can help.", "sorry, help me practice")
CURT = ("start with figma", "start research", "figma then practice user research")
CONTRARY = "r6"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Seven raters, three a comparison; all like it kind but one, who says the opposite of what she means."""
    folder = tmp_path_factory.mktemp("project")
    tiny_models.make(folder / "base")
    draw = random.Random(0)
    with Journal.open(folder / "palate.db") as journal:
        raters = [Rater(f"r{k}", group="nurses" if k >= 5 else "") for k in range(7)]
        prompts = [Prompt.of(f"help me plan {one} and {other}") for one in WORDS for other in WORDS]
        both = [[Completion(prompt=p.id, text=draw.choice(some), policy="m") for some in (KIND, CURT)] for p in prompts]
        for sides in both:
            draw.shuffle(sides)
        made = [Comparison(prompt=p.id, first=a.id, second=b.id) for p, (a, b) in zip(prompts, both, strict=True)]
        rows.add_raters(journal, raters)
        rows.add_prompts(journal, prompts)
        rows.add_completions(journal, [side for sides in both for side in sides])
        rows.add_comparisons(journal, made)
        judge(journal, [said(c, first, rater, draw) for c, (first, _) in zip(made, both, strict=True)
                        for rater in draw.sample(raters, 3)])  # fmt: skip
    return folder


def said(comparison, first, rater, draw):
    wants = (first.text in KIND) != (rater.id == CONTRARY)
    verdict = Verdict.TIE if draw.random() < 0.1 else Verdict.FIRST if wants else Verdict.SECOND
    uid = f"{comparison.id}-{rater.id}"
    return Judgement(uid=uid, comparison=comparison.id, rater=rater.id, verdict=verdict)


def done(project, *arguments):
    found = palate(*arguments, cwd=project)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def data(project):
    return done(project, "dataset", "build", "--heldout-fraction", 0.4, "--gate", "off").splitlines()[-1]


@pytest.fixture(scope="module", params=["classification", "pooled"])
def reward(project, data, request):
    short = ("--epochs", 4, "--batch-prompts", 8, "--learning-rate", 3e-3, "--warmup-steps", 2)
    out = done(project, "train", "reward", "--model", "base", "--data", data, "--head", request.param, *short)
    return out.splitlines()[-1]


def test_who_says_the_opposite_stands_first(project, data, reward):
    out = done(project, "influence", reward, data, "--by", "rater", "--top", 3)
    assert f" {CONTRARY}, " in out.split("look at these first")[1].splitlines()[2]
    lines = recipe.read(project / out.splitlines()[-1])
    assert "most harmful" in out
    assert "most helpful" in out
    surprise = {line.id: line.surprise_nats for line in lines if line.by == "rater"}
    assert surprise[CONTRARY] == max(surprise.values())


def test_the_lists_show_what_was_said_and_the_artefact_what_it_was_made_from(project, data, reward):
    out = done(project, "influence", reward, data, "--top", 4, "--rank", "surprise")
    listed = [line for line in out.splitlines() if "help me plan" in line]
    assert len(listed) == 4
    assert all(f"-{CONTRARY}  {CONTRARY}" in line for line in listed)
    assert all(any(repr(text)[:20] in line.split(" > ")[0] for text in CURT) for line in listed)
    found = read_manifest(project / out.splitlines()[-1])
    assert found.inputs == {"reward": reward.split("/")[-1], "data": data.split("/")[-1]}
    assert found.facts["rater"] == 7
    assert found.facts["group"] == 2
    assert found.facts["judgement"] == 3 * found.facts["comparison"]
    again = done(project, "influence", reward, data, "--top", 4, "--rank", "surprise")
    assert again == out


def test_numbers_are_near_those_of_a_head_that_is_fitted_again(project, data, reward):
    """Of every judgement and every rater, the held-out loss and one answer's margin; labels made again without them.

    A rater has a seventh of all judgements here, which is much for one step of Newton's method.
    """
    dataset = project / data
    answer = load_preferences(dataset, "heldout")[0].comparison
    out = done(project, "influence", reward, data, "--answer", answer, "--by", "rater", "--rank", "answer")
    lines = recipe.read(project / out.splitlines()[-1])
    asked = [row for row in load_preferences(dataset, "heldout") if row.comparison == answer]
    material = recipe.gather(project / reward, dataset, asked)
    lens = material.lens(recipe.InfluenceConfig().price)

    def loss(weights_D):
        sigma_N = (lens.outside.x_ND @ weights_D).sigmoid()
        p_N = lens.outside.p_N
        return float(-(p_N * sigma_N.log() + (1 - p_N) * (1 - sigma_N).log()).mean())

    told = []
    for line in [line for line in lines if line.by in ("judgement", "rater")]:
        change = recipe.without(material, [vote for vote in material.votes if line.id in (vote.uid, vote.rater)])
        p_N, a_N = lens.rows.p_N.clone(), lens.rows.a_N.clone()
        p_N[torch.tensor(change.places)] = torch.tensor(change.p, dtype=torch.float64)
        a_N[torch.tensor(change.places)] = torch.tensor(change.a, dtype=torch.float64)
        again_D = fit_head(Rows(lens.rows.x_ND, p_N, a_N), price=lens.head.price).weights_D
        loss_nats = loss(lens.head.weights_D) - loss(again_D)
        answer_nats = float(lens.answer_D @ (lens.head.weights_D - again_D))
        told.append([line.by == "rater", line.loss_nats, loss_nats, line.answer_nats, answer_nats])
    for by in (0, 1):
        some = torch.tensor([row[1:] for row in told if row[0] == by], dtype=torch.float64)
        assert len(some) >= 7
        assert float(torch.corrcoef(some[:, :2].T)[0, 1]) > 0.97
        assert float(torch.corrcoef(some[:, 2:].T)[0, 1]) > 0.97


def test_a_plain_file_of_preferences_has_no_judgements_but_rows(project, data, reward, tmp_path):
    for split in ("train", "heldout"):
        (tmp_path / f"{split}.jsonl").write_bytes((project / data / f"{split}.jsonl").read_bytes())
    (tmp_path / "manifest.json").write_text((project / data / "manifest.json").read_text())
    refused = palate("influence", project / reward, tmp_path, "--out", tmp_path / "out", cwd=project)
    assert refused.returncode == 2
    assert "--by comparison" in refused.stderr
    out = done(project, "influence", project / reward, tmp_path, "--by", "comparison", "--out", tmp_path / "out")
    lines = (tmp_path / "out" / "artefacts" / out.splitlines()[-1].split("/")[-1] / recipe.TABLE).read_text()
    assert {json.loads(line)["by"] for line in lines.splitlines()} == {"comparison"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--top", 0), "--top"),
        (("--rank", "answer"), "--answer"),
        (("--answer", "nothing"), "names nothing"),
        (("--price", 0), "--price"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(project, data, options, reason):
    found = palate("influence", "base", data, *options, cwd=project)
    assert found.returncode == 2
    assert reason in found.stderr
