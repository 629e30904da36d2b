"""Self-improvement end to end: real tiny models, a real journal, a judge that says what it is told to."""

import json
import math
from dataclasses import replace

import pytest

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError, DataError
from palate.core.ids import content_id
from palate.core.judges import Opinion
from palate.core.progress import SILENT
from palate.core.records import Demonstration, Judgement, Prompt, Rater, Verdict
from palate.judging.collapse import Audited, State
from palate.preferences import dataset
from palate.rounds import audits, self_play
from palate.rounds.audits import PAIRS
from palate.rounds.own_answers import Asked
from palate.rounds.self_play import Given, SelfPlayConfig, improve
from palate.store import enqueueing, judgements, opinions, rows
from palate.store.journal import Journal
from palate.store.opinions import AIJudge
from palate.training.dpo import DPOConfig
from palate.training.sft import SFTConfig
from tiny_models import make

WHAT = ("a career", "a password", "figma", "user research", "practice", "a plan", "a start", "a change")
PROMPTS = [Prompt.of(f"help me with {what}") for what in WHAT]
CONFIG = SelfPlayConfig(
    rounds=2, completions=4, audit=0.5, max_new_tokens=60,
    dpo=DPOConfig(learning_rate=1e-3, batch_size=4, warmup_steps=0),
    sft=SFTConfig(learning_rate=1e-3, batch_size=4, warmup_steps=0),
)  # fmt: skip


class Longer:
    """Likes what is longer, and counts how often it is asked."""

    name = "longer"

    def __init__(self, fails=False):
        self.asked, self.fails = 0, fails

    def judge(self, pairs, progress=SILENT):
        self.asked += len(pairs)
        if self.fails:
            return [Opinion(None, "it is down", failed=True) for _ in pairs]
        return [Opinion(0.9 if len(pair.first) > len(pair.second) else 0.1) for pair in pairs]


@pytest.fixture
def place(tmp_path):
    with Journal.open(tmp_path / "palate.db") as journal:
        yield make(tmp_path / "model", "gpt2"), Workspace(tmp_path), journal


def given(model, judge=None, **more):
    who = AIJudge(name="longer", model="longer-1")
    return Given(model, PROMPTS, judges=[Asked(judge or Longer(), who, (False,))], **more)


def pairs(workspace, row):
    return [one for _, one in dataset.read_lines(workspace.path(row["comparisons"]) / PAIRS)]


def metrics(workspace):
    (file,) = workspace.root.glob("runs/improve-*/metrics.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def people_say(journal, workspace, agree):
    """A person judges every pair of every round."""
    rows.add_raters(journal, [Rater("p-1")])
    told = []
    for row in metrics(workspace):
        for one in pairs(workspace, row):
            verdict = Verdict.FIRST if (one["p_first"] > 0.5) == agree(row["round"]) else Verdict.SECOND
            uid = content_id("test", one["comparison"])
            told.append(Judgement(uid=uid, comparison=one["comparison"], rater="p-1", verdict=verdict))
    judgements.judge(journal, told)


def test_best_against_worst_is_learned_and_a_share_waits_for_people(place):
    model, workspace, journal = place
    told = improve(CONFIG, given(model), workspace, journal)
    first, second = metrics(workspace)
    assert told.policy == workspace.path(second["policy"])
    assert (told.rounds, told.ended, len(told.found)) == (2, "", 2)
    assert read_manifest(told.policy).inputs["reference"] == first["policy"], "its opponent is the round before"
    for row in (first, second):
        learned = dataset.load_preferences(workspace.path(row["dataset"]))
        assert learned
        assert all(len(one.chosen) > len(one.rejected) for one in learned)
        assert row["orders_agree"] is None, "this judge sees no order"
        assert row["kl_nats"] == 0 if row is first else row["kl_nats"] != 0
    drawn = [
        one["comparison"]
        for row in (first, second)
        for one in audits.drawn(workspace.path(row["comparisons"]), CONFIG.audit, CONFIG.seed)
    ]
    assert len(drawn) == sum(math.ceil(0.5 * row["pairs"]) for row in (first, second)) == told.waiting
    assert enqueueing.progress(journal).open == len(drawn), "and nothing else is asked of people"
    assert opinions.opinions(journal, AIJudge(name="", model="longer-1").rater).keys() >= set(drawn)


def test_a_run_that_was_cut_off_goes_on_and_samples_nothing_twice(place, monkeypatch):
    model, workspace, journal = place
    whole, judge = self_play._train, Longer()

    def dies(config, number, *rest):
        if number == 2:
            raise KeyboardInterrupt
        return whole(config, number, *rest)

    monkeypatch.setattr(self_play, "_train", dies)
    with pytest.raises(KeyboardInterrupt):
        improve(CONFIG, given(model, judge), workspace, journal)
    assert len(metrics(workspace)) == 1
    asked = judge.asked
    monkeypatch.setattr(self_play, "_train", whole)
    monkeypatch.setattr(self_play, "draw", None)  # whoever samples again fails
    told = improve(CONFIG, given(model, judge), workspace, journal)
    assert told.rounds == 2
    assert judge.asked == asked
    assert [row["round"] for row in metrics(workspace)] == [1, 2]


def test_people_who_no_longer_agree_end_it_and_take_it_back(place):
    model, workspace, journal = place
    config = replace(CONFIG, audit=1.0)
    before = [Audited(0.9, 1.0)] * 95 + [Audited(0.9, 0.0)] * 5
    improve(config, given(model, before=before), workspace, journal)
    people_say(journal, workspace, agree=lambda number: number == 1)
    once = metrics(workspace)
    # 6 audits or more, all lost: factors of up to .6 / .16 each, against ln(2 / .05) + ln(2) + ln(5) = 6 nats.
    told = improve(config, given(model, before=before), workspace, journal)
    assert [one.state for one in told.found] == [State.OK, State.COLLAPSE]
    assert told.found[1].agreement == 0
    assert told.policy == workspace.path(once[0]["policy"]), "round 2 is taken back"
    assert told.ended.startswith("collapse: people agree with the judge on 0%")
    assert told.waiting == 0
    (file,) = workspace.root.glob("runs/improve-*/findings.jsonl")
    assert [json.loads(line)["state"] for line in file.read_text().splitlines()] == ["ok", "collapse"]


def test_whoever_waits_learns_what_people_say(place):
    model, workspace, journal = place
    config = replace(CONFIG, wait=True, rounds=1, audit=1.0)
    told = improve(config, given(model), workspace, journal)
    assert told.policy == model
    assert told.waiting > 0
    assert "wait for people" in told.ended
    rows.add_raters(journal, [Rater("p-1")])
    shown = [one.id for one in rows.comparisons(journal)]
    judgements.judge(
        journal, [Judgement(uid=f"u {id}", comparison=id, rater="p-1", verdict=Verdict.FIRST) for id in shown]
    )
    told = improve(config, given(model), workspace, journal)
    assert (told.rounds, told.waiting, told.ended) == (1, 0, "")
    (row,) = metrics(workspace)
    learned = dataset.load_preferences(workspace.path(row["dataset"]))
    assert [one.chosen for one in learned] == [one["first"] for one in pairs(workspace, row)]
    assert read_manifest(workspace.path(row["dataset"])).facts["by_people"] == len(learned)


def test_spin_takes_demonstrations_over_own_answers(place):
    model, workspace, journal = place
    shown = [Demonstration(prompt=prompt, completion="start with figma and then practice.") for prompt in PROMPTS]
    config = replace(CONFIG, how="spin")
    told = improve(config, Given(model, [], shown), workspace, journal)
    assert told.rounds == 2
    for row in metrics(workspace):
        learned = dataset.load_preferences(workspace.path(row["dataset"]))
        assert {one.chosen for one in learned} == {"start with figma and then practice."}
        assert all(one.rejected != one.chosen for one in learned)
        assert row["margin"] is None
    own = {one.policy for one in rows.completions(journal).values()} - {"demonstrations"}
    assert len(own) == 2, "the opponent of round 2 is the policy of round 1"
    with pytest.raises(ConfigError, match="asks no judge"):
        improve(config, given(model, demonstrations=shown), workspace, journal)
    with pytest.raises(ConfigError, match="learns from demonstrations"):
        improve(config, given(model), workspace, journal)


def test_distillation_learns_the_best(place):
    model, workspace, journal = place
    told = improve(replace(CONFIG, how="distil", rounds=1), given(model), workspace, journal)
    (row,) = metrics(workspace)
    assert read_manifest(told.policy).made_by == "train sft"
    best = {max(one["first"], one["second"], key=len) for one in pairs(workspace, row)}
    assert {one.completion for one in dataset.load_demonstrations(workspace.path(row["dataset"]))} == best


def test_a_judge_that_is_down_leaves_nothing_half_done(place):
    model, workspace, journal = place
    with pytest.raises(DataError, match="could not be asked everything"):
        improve(CONFIG, given(model, Longer(fails=True)), workspace, journal)
    assert not list(workspace.artefacts.glob("*")) if workspace.artefacts.is_dir() else True
    assert improve(replace(CONFIG, rounds=1), given(model), workspace, journal).rounds == 1


@pytest.mark.parametrize(
    "wrong", [{"how": "magic"}, {"audit": 1.5}, {"audit": 0.0, "wait": True}, {"rounds": 0}, {"completions": 1}]
)
def test_settings_that_cannot_work(wrong):
    with pytest.raises(ConfigError):
        SelfPlayConfig(**wrong)
