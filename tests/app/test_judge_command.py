"""`palate judge` as a person types it: a model folder and a server judge, and are held against people."""

import random

import pytest
import torch

import seeded
from endpoints import Status, endpoint
from palate.core import constitutions
from palate.core.artefacts import Workspace
from palate.core.judges import Pair
from palate.core.records import Comparison, Completion, Preference, Prompt, Verdict
from palate.evaluation.reward_judge import RewardJudge
from palate.judging.thinking import Thinking
from palate.models import load
from palate.preferences import dataset
from palate.store import judgements, opinions, rows
from palate.store.journal import Journal
from palate.training import reward
from palate.world import demonstrations
from palate.world.gold import gold
from palate.world.prompts import split
from tiny_models import make
from typed import palate


@pytest.fixture
def project(tmp_path):
    seeded.project(tmp_path / "palate.db", queued=5)
    return tmp_path


def first_of(body, _):
    return "A"


def test_a_server_judges_and_is_held_against_people(project, capsys):
    with endpoint(first_of, models=("big",)) as (url, told):
        done = palate("judge", "label", url, "--price-prompt", 1000, cwd=project)
        assert done.returncode == 0, done.stderr
        count = len(told.bodies) // 2
        assert f"{2 * count} questions: {2 * count} opinions, 0 without one, 0 failed" in done.stdout
        assert f"cost {2 * count * 7 * 1000 / 1e6:.2f}" in done.stdout
        assert palate("judge", "label", url, cwd=project).stdout.count("0 questions") == 1
    with Journal.open(project / "palate.db") as journal:
        ((rater, who),) = opinions.judges(journal).items()
        assert who.model == f"{url}#big"
        assert rows.raters(journal)[rater].kind == "model"
        said = [j for j in judgements.judgements(journal) if j.rater == rater]
        assert {j.verdict for j in said} == {Verdict.TIE}, "it took whatever was shown first"
        assert len(said) == count == rows.counts(journal)["comparison"]
    listed = palate("judge", "list", cwd=project)
    assert f"{rater}  big at {url} (pairwise-1)  {count} comparisons" in listed.stdout
    table = palate("judge", "audit", cwd=project)
    assert table.returncode == 0, table.stderr
    (line,) = [line for line in table.stdout.split("\n") if "shown first" in line]
    assert "0.500" in line, "all of it"


def test_what_fails_is_told_and_asked_again(project):
    def ill(body, number):
        return Status(403, "no money left") if number == 0 else "B"

    with endpoint(ill) as (url, _):
        done = palate("judge", "label", url, "--at-most", 3, cwd=project)
        assert "6 questions: 0 opinions, 0 without one, 6 failed" in done.stdout
        assert "6 × the judge could not be asked: 403 no money left" in done.stdout
        assert "asks again" in done.stdout
        again = palate("judge", "label", url, "--at-most", 3, cwd=project)
        assert "6 questions: 6 opinions, 0 without one, 0 failed" in again.stdout


def test_a_model_folder_judges(project):
    model = make(project / "model", "gpt2", context=4096)
    done = palate("judge", "label", model, "--at-most", 4, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "8 questions: 8 opinions" in done.stdout
    with Journal.open(project / "palate.db") as journal:
        (rater,) = opinions.judges(journal)
        p = [one.p_first for some in opinions.opinions(journal, rater).values() for one in some]
        assert len(set(p)) > 4
        assert all(0 < one < 1 for one in p)


def test_a_model_that_is_too_short_for_the_question_says_why(project):
    model = make(project / "model", "gpt2")
    done = palate("judge", "label", model, "--at-most", 1, cwd=project)
    assert "2 questions: 0 opinions, 2 without one, 0 failed" in done.stdout
    assert "tokens are more than the 96 of its context" in done.stdout


@pytest.fixture(scope="module")
def rewarded(tmp_path_factory):
    """A reward model that has learned a little: that rivers are better than stones."""
    place = tmp_path_factory.mktemp("rewarded")
    base = make(place / "base", "gpt2", context=1024)
    rows_ = [
        Preference(comparison=f"c{n}", prompt=Prompt.of(f"q {n}?"), chosen="river", rejected="stone", p_chosen=1.0)
        for n in range(8)
    ]
    config = reward.RewardConfig(epochs=2, learning_rate=1e-3, warmup_steps=1)
    return reward.train(config, base, rows_, Workspace(place))


def test_a_reward_model_judges_in_one_order_and_what_it_thinks_becomes_soft_labels(project, rewarded):
    done = palate("judge", "label", rewarded, "--source", "sampling", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "5 questions: 5 opinions, 0 without one, 0 failed" in done.stdout
    assert palate("judge", "label", rewarded, "--source", "sampling", cwd=project).stdout.count("0 questions") == 1
    judge = RewardJudge(rewarded)
    with Journal.open(project / "palate.db") as journal:
        ((rater, who),) = opinions.judges(journal).items()
        assert (who.name, who.template) == (rewarded.name, "")
        texts, prompts = rows.completions(journal), rows.prompts(journal)
        thought = {}
        for one in rows.comparisons(journal, ["sampling"]):
            (told,) = judge.judge([Pair(prompts[one.prompt], texts[one.first].text, texts[one.second].text)])
            (kept,) = opinions.opinions(journal, rater)[one.id]
            assert (kept.swapped, kept.p_first) == (False, pytest.approx(told.p_first, abs=1e-6))
            thought[one.id] = kept.p_first
    options = ("--source", "sampling", "--models", "alone", "--heldout-fraction", 0)
    built = palate("dataset", "build", *options, "--soft", cwd=project)
    assert "5 of 5 labels are the probability that models named" in built.stdout, built.stderr
    labels = {p.comparison: p.p_chosen for p in dataset.load_preferences(project / built.stdout.splitlines()[-1])}
    assert labels == {id: max(p, 1 - p) for id, p in thought.items()}
    assert len(set(labels.values())) == 5


def test_a_reward_model_is_asked_nothing(project, rewarded):
    for words in (("--think",), ("--principles", "default")):
        done = palate("judge", "label", rewarded, *words, cwd=project)
        assert done.returncode == 2
        assert "this judge is asked nothing in words" in done.stderr


def test_a_folder_thinks_first_by_two_principles_and_its_thoughts_are_kept(project):
    model = make(project / "model", "gpt2", context=4096)
    loaded, tokenizer = load.load_causal(model)
    with torch.no_grad():  # the likeliest token is then a word
        silent = [id for id in range(len(tokenizer)) if not tokenizer.decode([id]).strip().isalpha()]
        loaded.get_output_embeddings().weight[silent] = 0
    load.save(model, loaded, tokenizer)
    words = ("--principles", "default", "--principles-per-pair", 2, "--think", "--think-tokens", 5, "--clamp", 0.3, 0.7)
    done = palate("judge", "label", model, *words, "--at-most", 2, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "model (principle-thinking-1 0.3 to 0.7, 2 each)" in done.stdout
    with Journal.open(project / "palate.db") as journal:
        (rater,) = opinions.judges(journal)
        told = [one for some in opinions.opinions(journal, rater).values() for one in some]
    assert len(told) == 4
    assert all(
        one.p_first is not None and 0.3 <= one.p_first <= 0.7 and len(one.why.split("\n")) == 2 for one in told
    ), [(o.p_first, o.why) for o in told]
    assert all(one.principle.count(" + ") == 1 for one in told)


def test_a_server_that_knows_no_log_probabilities_thinks_first(project):
    def plain(body, _):
        if "logprobs" in body:
            return Status(400, "what is that?")
        return "B" if body["messages"][-1]["content"] == Thinking().verdict else "B is brief."

    with endpoint(plain) as (url, _):
        assert palate("judge", "label", url, "--think", "--at-most", 1, cwd=project).returncode == 0
    with Journal.open(project / "palate.db") as journal:
        ((rater, who),) = opinions.judges(journal).items()
        ((one, other),) = opinions.opinions(journal, rater).values()
    assert who.template == "pairwise-thinking-1 0.4 to 0.6"
    assert (one.p_first, other.p_first) == (0.4, 0.6)
    assert one.why == other.why == "B is brief."


def test_by_the_principles_of_a_file_and_each_opinion_knows_its_own(project):
    assert palate("judge", "constitution", "ours.md", cwd=project).returncode == 0
    ours = constitutions.read(project / "ours.md")
    with endpoint(first_of) as (url, told):
        for file in ("ours.md", "default"):
            assert palate("judge", "label", url, "--principles", file, cwd=project).returncode == 0
        asked = [body["messages"][-1]["content"] for body in told.bodies]
    with Journal.open(project / "palate.db") as journal:
        (rater,) = opinions.judges(journal)
        by = {one.principle for some in opinions.opinions(journal, rater).values() for one in some}
    assert len(asked) == 2 * rows_of(project), "the same words are the same judge"
    assert by <= {p.id for p in ours.principles}
    assert len(by) > 1
    assert all(any(p.preference_request in text for p in ours.principles) for text in asked)
    again = palate("judge", "constitution", "ours.md", cwd=project)
    assert again.returncode == 2
    assert "cannot be written" in again.stderr


def rows_of(project):
    with Journal.open(project / "palate.db") as journal:
        return rows.counts(journal)["comparison"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("label", "nowhere"), "this is nobody who can judge"),
        (("label", "nowhere", "--at-most", "-1"), "0 or more"),
        (("audit",), "no model has judged here"),
        (("audit", "model-x"), "no model has judged here"),
    ],
)
def test_what_cannot_be_is_refused(project, words, told):
    done = palate("judge", *words, cwd=project)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_judge_of_what_nobody_else_has_judged_has_nothing_to_be_held_against(tmp_path):
    seeded.project(tmp_path / "palate.db", queued=3)
    with Journal.open(tmp_path / "palate.db") as journal:
        alone = [
            c for c in rows.comparisons(journal) if c.id not in {j.comparison for j in judgements.judgements(journal)}
        ]
        who = opinions.enrol(journal, opinions.AIJudge(name="somebody", model="m"))
        for one in alone[:1]:
            opinions.add(
                journal, who, [opinions.Said(comparison=one.id, swapped=s, p_first=0.9) for s in (False, True)]
            )
    done = palate("judge", "audit", cwd=tmp_path)
    assert done.returncode == 2
    assert "nobody judged what this judge has judged" in done.stderr


def test_gold_judges_in_the_practice_world_and_abstains_elsewhere(project, tmp_path):
    done = palate("judge", "label", "gold", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "0 opinions" in done.stdout
    assert "no question of the practice world" in done.stdout
    (question,) = split()[0].sample(1, 3)
    said = answers_of(question)
    with Journal.open(tmp_path / "world" / "palate.db") as journal:
        rows.add_prompts(journal, [question.prompt])
        told = [Completion(prompt=question.prompt.id, text=text, policy="anyone") for text in said]
        rows.add_completions(journal, told)
        pair = Comparison(prompt=question.prompt.id, first=told[0].id, second=told[1].id, source="world")
        rows.add_comparisons(journal, [pair])
    done = palate("judge", "label", "gold", cwd=tmp_path / "world")
    assert "1 opinions" in done.stdout, done.stdout + done.stderr
    with Journal.open(tmp_path / "world" / "palate.db") as journal:
        (said_by_gold,) = judgements.judgements(journal)
    better = gold(question, said[0]) - gold(question, said[1])
    assert said_by_gold.verdict is (Verdict.FIRST if better > 0 else Verdict.SECOND)
    refused = palate("judge", "label", "gold", "--workers", 2, cwd=project)
    assert refused.returncode == 2
    assert "needs no workers" in refused.stderr


def answers_of(question):
    """Two answers of which gold likes one better."""
    drawn = [demonstrations.answer(question, random.Random(seed)) for seed in range(50)]
    ranked = sorted(set(drawn), key=lambda text: gold(question, text))
    assert gold(question, ranked[0]) < gold(question, ranked[-1])
    return ranked[0], ranked[-1]
