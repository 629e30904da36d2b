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


def test_in_a_mixed_round_the_model_counts_where_no_person_has_spoken():
    told = LEAST | {"round": {"shape": "mixed"}, "judge": {"model": "m", "share": 0.3}}
    found = project.parse(told)
    assert found.dataset.models == "gaps"
    assert found.judge == project.JudgeConfig(model="m", share=0.3)
    with pytest.raises(ConfigError, match="would not count"):
        project.parse(told | {"dataset": {"models": "apart"}})
    before = json.loads(json.dumps(found.as_dict())) | {"judge": "m"}
    assert project.of(before).judge == project.JudgeConfig(model="m"), "as rounds kept it that began earlier"


def test_stages_of_constitutional_ai_have_settings_of_their_own():
    told = {"round": {"shape": "cai"}, "project": {**LEAST["project"], "red_team": "red.txt"}}
    found = project.parse(told | {"policy": {"rounds": 2, "sft": {"epochs": 7}, "dpo": {"beta": 0.3}}})
    assert found.policy.config.rounds == 2
    assert (found.policy.stages["sft"].epochs, found.policy.stages["dpo"].beta) == (7, 0.3)
    assert project.of(json.loads(json.dumps(found.as_dict()))) == found
    one, two = (project.for_round(found, number).policy.stages["sft"].seed for number in (1, 2))
    assert one != two
    with pytest.raises(ConfigError, match=r"\[policy.dpo\] has no such setting"):
        project.parse(told | {"policy": {"dpo": {"betta": 0.3}}})


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
        ("judge", {"model": "m", "share": 1.5}, "no share"),
        ("judge", {"model": "m", "share": 0.5}, "nobody whom a model could spare work"),
        ("policy", {"sft": {"epochs": 2}}, r"\[policy\] has no such setting"),
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
