"""Each gate fails for its own reason, says so with its figure, and what was not measured is told."""

import json
import math

import pytest

from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError
from palate.evaluation.statistics import Figure
from palate.rounds import measured, release_gates
from palate.rounds.evaluating import FILE, EvaluateConfig
from palate.rounds.gate_page import page
from palate.rounds.measured import Example, Measured
from palate.rounds.project import Files, Project, of, parse
from palate.rounds.release_gates import CHECKS, GATES, PAGE, ReleaseGateConfig, checks, gate, why
from palate.rounds.step import Context, Done, Material, Refused
from palate.store.rounds import Round

GOOD = Measured(
    figures={
        "win_rate": Figure(0.7, 0.6, 0.8, 64),
        "red_team/rise": Figure(0.0, -0.11, 0.11, 24),
        "over_refusal/rise": Figure(-0.04, -0.17, 0.09, 24),
        "knowledge/drop": Figure(0.0, -0.11, 0.11, 24),
        "fluency/drop": Figure(0.1, 0.08, 0.12, 256),
        "group/nurses": Figure(0.6, 0.45, 0.75, 40),
        "group/clerks": Figure(0.7, 0.55, 0.85, 40),
    },
    says={
        "win_rate": "in the eyes of people the new policy wins 70% of 64 pairs",
        "red_team/rise": "0 of 24 harmful requests were brought about",
        "over_refusal/rise": "1 of 24 harmless requests were refused",
        "knowledge/drop": "20 of 24 questions are answered right",
        "fluency/drop": "a token is 0.10 nats less probable",
        "monitor": "none of 9 checks is alarmed",
        "group/nurses": "by raters of the group",
        "group/clerks": "by raters of the group",
    },
    examples={
        name: [Example(f"{name}?", "new answer", "old answer", "why")] * 4
        for name in ("win_rate", "red_team", "over_refusal", "monitor", "knowledge", "fluency", "group/nurses")
    },
    told={"monitor": {"level": "ok", "checks": []}, "judge": {"name": "people", "independent": True}},
)


def changed(name, figure):
    return GOOD._replace(figures={**GOOD.figures, name: figure})


BAD = {
    "win_rate": changed("win_rate", Figure(0.6, 0.48, 0.71, 64)),
    "red_team": changed("red_team/rise", Figure(2 / 24, -0.04, 0.2, 24)),
    "over_refusal": changed("over_refusal/rise", Figure(0.5, 0.3, 0.7, 24)),
    "monitor": GOOD._replace(told={**GOOD.told, "monitor": {"level": "hacking", "checks": []}}),
    "knowledge": changed("knowledge/drop", Figure(0.25, 0.1, 0.4, 24)),
    "fluency": changed("fluency/drop", Figure(0.24, 0.2, 0.28, 256)),
    "groups": changed("group/nurses", Figure(0.3, 0.18, 0.45, 40)),
}


def failed(found, **settings):
    return [one.gate for one in checks(found, ReleaseGateConfig(**settings)) if not one.passed]


def test_a_good_policy_passes_every_gate():
    every = checks(GOOD, ReleaseGateConfig())
    assert [one.gate for one in every] == list(GATES)
    assert all(one.passed and one.measured for one in every)


@pytest.mark.parametrize("name", GATES)
def test_each_gate_fails_for_its_own_reason_alone_and_shows_three_examples(name):
    (one,) = [one for one in checks(BAD[name], ReleaseGateConfig()) if not one.passed]
    assert one.gate == name
    assert len(one.examples) == 3
    assert "must be" in one.sentence or "says hacking" in one.sentence
    assert failed(GOOD) == []


def test_a_difference_of_few_counts_itself_and_of_many_its_upper_end():
    one_more = Figure(1 / 24, -0.08, 0.17, 24)
    assert failed(changed("red_team/rise", one_more)) == []
    sure = Figure(0.01, -0.03, 0.05, 200)
    unsure = Figure(0.01, -0.05, 0.07, 200)
    assert failed(changed("red_team/rise", sure)) == []
    assert failed(changed("red_team/rise", unsure)) == ["red_team"]
    assert failed(changed("red_team/rise", unsure), enough=201) == []
    told = {one.gate: one.sentence for one in checks(changed("red_team/rise", one_more), ReleaseGateConfig())}
    assert "the difference itself counts" in told["red_team"]


def test_what_is_not_measured_is_told_and_passes_only_where_it_is_not_required():
    bare = Measured(unmeasured={"knowledge": "no question got an answer", "fluency": "no demonstrations"})
    told = {one.gate: one for one in checks(bare, ReleaseGateConfig())}
    assert not any(one.measured for one in told.values())
    assert [name for name, one in told.items() if not one.passed] == list(ReleaseGateConfig().required)
    assert "no question got an answer" in told["knowledge"].sentence
    assert "no demonstrations" in told["fluency"].sentence
    assert failed(bare, required=("fluency",)) == ["fluency"]


def test_a_gate_that_is_off_says_nothing():
    names = {"win_rate", "red_team_rise", "over_refusal_rise", "monitor", "knowledge_drop", "fluency_drop"}
    assert checks(Measured(), ReleaseGateConfig(**dict.fromkeys(names, "off"), group_floor="off")) == []


def test_groups_with_few_judgements_are_not_held_to_the_floor():
    few = GOOD._replace(figures={**GOOD.figures, "group/nurses": Figure(0.1, 0.0, 0.5, 5)})
    assert failed(few) == []
    assert failed(few, least=5) == ["groups"]


def test_a_judge_that_the_policy_was_trained_to_please_is_told():
    own = GOOD._replace(told={**GOOD.told, "judge": {"name": "reward-1", "independent": False}})
    (one,) = [one for one in checks(own, ReleaseGateConfig()) if one.gate == "win_rate"]
    assert "cannot see that its own flaws were exploited" in one.sentence


def test_watch_stops_a_release_only_where_it_is_said():
    wary = GOOD._replace(told={**GOOD.told, "monitor": {"level": "watch", "checks": []}})
    assert failed(wary) == []
    assert failed(wary, monitor="watch") == ["monitor"]


def test_figures_go_through_their_file_and_come_back():
    odd = GOOD._replace(figures={**GOOD.figures, "kl_nats": Figure(1.0, math.nan, math.nan, 1)})
    back = measured.of(json.loads(json.dumps(odd.as_dict())))
    assert back.figures["win_rate"] == GOOD.figures["win_rate"]
    assert math.isnan(back.figures["kl_nats"].low)
    assert back.told == GOOD.told
    assert [len(some) for some in back.examples.values()] == [3] * 7


def test_the_reason_names_two_gates_and_counts_the_others_by_name():
    every = [one for found in BAD.values() for one in checks(found, ReleaseGateConfig()) if not one.passed]
    said = why(every)
    assert said.startswith("not released. win rate: in the eyes of people")
    assert said.endswith("; and over refusal, monitor, knowledge, fluency, groups")


def test_a_page_shows_what_a_model_wrote_as_words():
    evil = GOOD._replace(
        figures=BAD["red_team"].figures,
        examples={"red_team": [Example("<script>x</script>", "```\n# not a heading\n<img src=x>", "", "# no")]},
    )
    text = page(checks(evil, ReleaseGateConfig()), 3)
    assert text.startswith("# The gates of round 3\n")
    assert "Stopped by 1 of 7 gates" in text
    assert "\n````text\n" in text
    assert "### Example 1\n\n\\# no" in text


@pytest.mark.parametrize(
    "wrong",
    [{"win_rate": 2.0}, {"fluency_drop": -1.0}, {"monitor": "loud"}, {"required": ("luck",)}, {"group_floor": -0.1}],
)
def test_bounds_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError):
        ReleaseGateConfig(**wrong)


@pytest.mark.parametrize("wrong", [{"count": 1}, {"red_team": "huge"}, {"enough": 0.0}, {"judgements": 0}])
def test_evaluations_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError):
        EvaluateConfig(**wrong)


def test_bounds_come_from_palate_toml_and_survive_the_journal():
    told = {
        "project": {"base": "base", "prompts": "p.jsonl"},
        "evaluate": {"judge": "people", "red_team": "off"},
        "gate": {"win_rate": "off", "fluency_drop": 0.5, "required": ["knowledge"]},
    }
    made = parse(told)
    assert made.gate.win_rate == "off"
    assert made.gate.required == ("knowledge",)
    again = of(json.loads(json.dumps(made.as_dict())))
    assert again.gate == made.gate
    assert again.evaluate == made.evaluate


def before_gates(tmp_path, found, **settings):
    evaluation = tmp_path / "artefacts" / "evaluation-1"
    evaluation.mkdir(parents=True, exist_ok=True)
    (evaluation / FILE).write_text(json.dumps(found.as_dict()), encoding="utf-8")
    return Context(
        project=Project(files=Files(base="", prompts=""), gate=ReleaseGateConfig(**settings)),
        root=tmp_path,
        journal=None,
        workspace=Workspace(tmp_path),
        round=Round("r", 2, "", {}),
        material=Material(prompts=[], practised=[], heldout=[]),
        made={"evaluate": "evaluation-1"},
    )


def test_the_gate_leaves_its_checks_and_refuses_in_a_sentence(tmp_path):
    ended = gate(before_gates(tmp_path, BAD["knowledge"]))
    assert isinstance(ended, Refused)
    assert "knowledge: 20 of 24 questions are answered right: +25 points of the questions are lost" in ended.why
    told = {one["gate"]: one for one in json.loads((ended.artefact / CHECKS).read_text())}
    assert not told["knowledge"]["passed"]
    assert told["knowledge"]["figure"]["n"] == 24
    assert told["knowledge"]["examples"][0]["prompt"] == "knowledge?"
    assert "Stopped by 1 of 7 gates: knowledge" in (ended.artefact / PAGE).read_text()
    manifest = Workspace(tmp_path).manifest(ended.artefact.name)
    assert manifest.kind == "gate"
    assert manifest.inputs == {"evaluation": "evaluation-1"}
    assert manifest.facts == {"passed": False, "failed": ["knowledge"]}


def test_other_bounds_are_another_gate_and_may_pass(tmp_path):
    strict = gate(before_gates(tmp_path, BAD["knowledge"]))
    loose = gate(before_gates(tmp_path, BAD["knowledge"], knowledge_drop=0.3))
    assert isinstance(loose, Done)
    assert loose.artefact != strict.artefact
    assert gate(before_gates(tmp_path, BAD["knowledge"], knowledge_drop=0.3)) == loose
    assert release_gates.checks(BAD["knowledge"], ReleaseGateConfig(knowledge_drop="off"))
