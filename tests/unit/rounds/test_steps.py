"""What a round asks, who answers, when people have done enough, and what a plan says."""

import math
from dataclasses import replace

import pytest
from tests import tiny_models

from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError, DataError
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.preferences.dataset import SPLITS, load_preferences
from palate.rounds import planning, project, recutting, steps
from palate.rounds.collecting import Asked, Writer, compared
from palate.rounds.planning import Team
from palate.rounds.step import Context, Material, Waiting
from palate.store import judgements, queue, rows
from palate.store.journal import Journal
from palate.store.rounds import Round
from scripted import Parrot

PROMPTS = [Prompt.of(f"why {number}?") for number in range(10)]


@pytest.fixture
def context(tmp_path):
    told = {"project": {"base": "model", "prompts": "p"}, "collect": {"count": 4, "first": 2, "pairs": 2}}
    with Journal.open(tmp_path / "palate.db") as journal:
        yield Context(
            project=project.parse(told), root=tmp_path, journal=journal, workspace=Workspace(tmp_path),
            round=Round("r1", 1, "", {}), material=Material(prompts=PROMPTS, practised=PROMPTS, heldout=PROMPTS),
        )  # fmt: skip


def in_round(context, number):
    earlier = tuple(Round(f"r{n}", n, "", {}) for n in range(1, number))
    return replace(context, round=Round(f"r{number}", number, "", {}), earlier=earlier)


def test_each_round_asks_other_prompts_as_long_as_there_are_any(context):
    drawn = [steps.drawn(in_round(context, number)) for number in (1, 2, 3, 4)]
    assert [len(some) for some in drawn] == [2, 4, 4, 4]
    assert {p.id for some in drawn[:3] for p in some} == {p.id for p in PROMPTS}
    assert {p.id for p in drawn[3]} <= {p.id for some in drawn[:2] for p in some}, "then from the beginning"
    assert steps.drawn(in_round(context, 2)) == drawn[1]


def test_two_policies_answer_equally_often_and_meet(context):
    writers = [Writer(Parrot(lambda p, name=name: f"{name} says {p.text}"), name) for name in ("new", "old")]
    count = compared(context.journal, writers, PROMPTS[:3], Asked(4, 6, 1.0, 0), "round/1")
    said = rows.completions(context.journal)
    pairs = rows.comparisons(context.journal, ["round/1"])
    assert count == len(pairs) == 12, "of four answers, two and two the same: four pairs differ, of each prompt"
    assert {frozenset((said[c.first].policy, said[c.second].policy)) for c in pairs} == {frozenset(("new", "old"))}
    assert compared(context.journal, writers, PROMPTS[:3], Asked(4, 6, 1.0, 0), "round/1") == 12
    assert len(writers[0].subject.heard) == 6, "a second call asks nobody"
    with pytest.raises(ConfigError, match="not every policy"):
        compared(context.journal, writers, PROMPTS, Asked(1, 1, 1.0, 0), "round/2")
    with pytest.raises(DataError, match="no two answers"):
        compared(context.journal, writers[:1], PROMPTS, Asked(2, 1, 1.0, 0), "round/3")


def test_people_are_waited_for_until_enough_have_judged(context, monkeypatch):
    tiny_models.make(context.root / "model")
    number = iter(range(100))
    monkeypatch.setattr(steps, "_answering", lambda *_: Parrot(lambda p: f"answer {next(number)}"))
    waits = steps.collect(context)
    assert isinstance(waits, Waiting)
    assert waits.why == "0 of 4 comparisons have their 2 judgements"
    assert queue.progress(context.journal).open == 4
    rows.add_raters(context.journal, [Rater("a"), Rater("b")])
    made = rows.comparisons(context.journal, [context.source])
    for rater in "ab":
        said = [Judgement(uid=f"{rater}{c.id}", comparison=c.id, rater=rater, verdict=Verdict.FIRST) for c in made[:2]]
        judgements.judge(context.journal, said)
    assert steps.collect(context).details == {"comparisons": 4, "finished": 2}
    half = replace(context.project, collect=replace(context.project.collect, enough=0.5))
    assert not isinstance(steps.collect(replace(context, project=half)), Waiting)


def test_what_is_left_to_the_model_is_no_work_for_people(context, monkeypatch):
    tiny_models.make(context.root / "model")
    number = iter(range(1000))
    monkeypatch.setattr(steps, "_answering", lambda *_: Parrot(lambda p: f"answer {next(number)}"))
    told = {"project": {"base": "model", "prompts": "p"}, "round": {"shape": "mixed"},
            "judge": {"model": "m", "share": 0.4}, "collect": {"count": 10, "pairs": 6}}  # fmt: skip
    mixed = replace(context, project=project.parse(told))
    waits = steps.collect(mixed)
    asked = waits.details["for people"]
    assert waits.details["comparisons"] == 60
    assert 24 <= asked <= 48, "36 but for chance"
    assert queue.progress(mixed.journal).open == asked
    assert steps.collect(mixed).details == waits.details, "the same ones when it is asked again"
    heard = {one.id for one in mixed.for_people(mixed.source)}
    rows.add_raters(mixed.journal, [Rater("a"), Rater("b")])
    for rater in "ab":
        said = [Judgement(uid=f"{rater}{id}", comparison=id, rater=rater, verdict=Verdict.FIRST) for id in heard]
        judgements.judge(mixed.journal, said)
    assert not isinstance(steps.collect(mixed), Waiting)


def test_nothing_is_learned_from_what_people_said_in_an_evaluation(context):
    rows.add_raters(context.journal, [Rater("a")])
    for number, source in enumerate(["round/1"] * 6 + ["winrate:ab"] * 3):
        one, two = (Completion(prompt=PROMPTS[number].id, text=text, policy="p") for text in "xy")
        pair = Comparison(prompt=PROMPTS[number].id, first=one.id, second=two.id, source=source)
        rows.add_prompts(context.journal, [PROMPTS[number]])
        rows.add_completions(context.journal, [one, two])
        rows.add_comparisons(context.journal, [pair])
        judgements.judge(
            context.journal, [Judgement(uid=f"u{number}", comparison=pair.id, rater="a", verdict=Verdict.FIRST)]
        )
    made = steps.dataset(context).artefact
    learned = {row.prompt.id for split in SPLITS for row in load_preferences(made, split)}
    assert learned == {one.id for one in PROMPTS[:6]}
    assert "winrate" not in (made / "comparisons.jsonl").read_text()
    again = recutting.recut(context.journal, context.workspace, [made.name])
    assert [one.new for one in again] == [made.name], "and cut again it is the same"


def test_a_plan_says_what_people_can_do_in_a_week_and_what_can_be_seen(context):
    tiny_models.make(context.root / "model")
    told = " ".join(planning.plan(context, Team(3, 5, 60)))
    assert "sft, collect, dataset, reward, policy, evaluate, gate, release" in told
    assert "4 prompts with 4 answers each make up to 8 comparisons, 16 judgements" in told
    assert "some 360 comparisons a week" in told
    assert "known after the first round" in told
    mixed = {"project": {"base": "model", "prompts": "p"}, "collect": {"count": 4, "pairs": 2},
             "round": {"shape": "mixed"}, "judge": {"model": "m", "share": 0.25}}  # fmt: skip
    told = " ".join(planning.plan(replace(context, project=project.parse(mixed)), Team(3, 5, 60)))
    assert "Some 25% of 8 comparisons are left to m" in told
    assert "up to 6 comparisons, 12 judgements" in told
    with pytest.raises(ConfigError, match="nobody would judge"):
        list(planning.plan(context, Team(0, 5, 60)))


def test_what_can_be_seen_is_what_a_normal_test_sees():
    assert planning.detectable(400, ties=0.0) == pytest.approx(2.8016 * math.sqrt(0.25 / 400), rel=1e-4)
    assert planning.detectable(400) < planning.detectable(400, ties=0.0)
    assert planning.detectable(0) == math.inf
