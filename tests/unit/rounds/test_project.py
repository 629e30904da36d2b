"""`palate.toml`: what is read, what is refused and how, and that a round finds its settings again."""

import json
import tomllib
from importlib.resources import files

import pytest

from palate.core.errors import ConfigError, MissingArtefact
from palate.rounds import project

LEAST = {"project": {"base": "model", "prompts": "prompts.jsonl"}}


def test_the_least_has_the_defaults_and_seeds_of_its_own():
    found = project.parse(LEAST)
    assert (found.shape, found.policy.recipe, found.collect.raters, found.alias) == (
        "classic", "ppo", "people", "candidate",
    )  # fmt: skip
    seeds = {found.sft.seed, found.reward.seed, found.policy.config.seed, found.dataset.seed, found.evaluate.seed}
    assert len(seeds) == 5, "each use of randomness has a stream of its own"
    assert project.parse(LEAST) == found
    other = project.parse({"project": {**LEAST["project"], "seed": 1}})
    assert other.reward.seed != found.reward.seed


@pytest.mark.parametrize("shape", project.SHAPES)
def test_every_shape_is_found_again_in_what_a_round_keeps(shape):
    told = {
        "project": {**LEAST["project"], "red_team": "red.txt"}, "round": {"shape": shape},
        "judge": {"model": "http://localhost:1/v1"},
        "dataset": {"sources": ["a", "b"], "gates": {"duplicates": "drop"}},
        "reward": {"epochs": 3}, "release": {"alias": "mine"}, "continuous": {"rounds": 2},
    }  # fmt: skip
    found = project.parse(told)
    assert project.of(json.loads(json.dumps(found.as_dict()))) == found
    assert found.dataset.sources == ("a", "b")
    assert found.dataset.gates.duplicates == "drop"
    assert found.steps[-3:] == ("evaluate", "gate", "release")


def test_what_learns_draws_anew_in_every_round_and_the_split_stays():
    found = project.parse(LEAST)
    one, two = project.for_round(found, 1), project.for_round(found, 2)
    assert one.reward.seed != two.reward.seed
    assert one.policy.config.seed != two.policy.config.seed
    assert one.dataset == two.dataset == found.dataset
    assert one.sft == two.sft == found.sft


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        ("colect", {}, r"\[colect\]\n  expected: collect, perhaps"),
        ("reward", {"epoch": 3}, "expected: epochs, perhaps"),
        ("reward", {"epochs": "many"}, r"\[reward\] epochs cannot be so"),
        ("policy", {"recipe": "pop"}, "expected: ppo, perhaps"),
        ("policy", {"recipe": "dpo"}, "shape classic cannot end in this recipe"),
        ("policy", {"start": "first"}, "last or reference"),
        ("collect", {"completions": 1}, "completions from 2"),
        ("collect", {"enough": 0.0}, "enough above 0"),
        ("round", {"shape": "oval"}, "no such shape"),
        ("round", {"shape": "mixed"}, "nobody fills the gaps"),
        ("round", {"shape": "cai"}, "nobody to be harmless to"),
        ("release", {"name": "x"}, "alias"),
        ("project", {"base": "m"}, "lacks a setting"),
    ],
)
def test_what_cannot_be_is_refused_in_words(section, values, words):
    with pytest.raises(ConfigError, match=words):
        project.parse(LEAST | {section: values})


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(MissingArtefact, match="palate init"):
        project.read(tmp_path)
    (tmp_path / project.FILE).write_text("[project\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        project.read(tmp_path)


@pytest.mark.parametrize("shape", project.SHAPES)
def test_the_template_can_be_read_for_every_shape(shape):
    text = files("palate.rounds").joinpath("template.toml").read_text("utf-8")
    text = text.replace("@BASE@", "model").replace("@SHAPE@", shape)
    text = text.replace("# red_team", "red_team").replace("# [judge]", "[judge]").replace("# model", "model")
    assert project.parse(tomllib.loads(text)).shape == shape
