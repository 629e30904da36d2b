"""What flows where in Constitutional AI: revisions to SFT, a model's preferences and no human harm label to the mix."""

import json
from collections import Counter

import pytest

import tiny_models
from palate.core.artefacts import Workspace, read_manifest
from palate.core.constitutions import parse
from palate.core.errors import ConfigError, DataError
from palate.core.judges import Opinion
from palate.core.records import Comparison, Completion, Demonstration, Judgement, Prompt, Rater, Verdict
from palate.core.subjects import Answer
from palate.preferences import dataset
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.rounds.ai_preferences import Judging, labelled, mixed
from palate.rounds.collecting import Asked, Writer, compared
from palate.rounds.constitutional_settings import ConstitutionalConfig, Material
from palate.rounds.principles import deeds
from palate.rounds.revisions import teach
from palate.store import rows
from palate.store.journal import Journal
from palate.store.judgements import judge as put_judgements
from palate.store.opinions import TIE, AIJudge
from palate.training.sft import SFTConfig

OURS = parse("- be kind\n- be brief\n", ".md")
RED = [Prompt.of(f"steal {number}?", kind="harmful") for number in range(8)]
HELP = [Prompt.of(f"plan {number}?", kind="career") for number in range(4)]
HOW = {"soft": True, "heldout_fraction": 0.0, "seed": 0}
WHO = AIJudge(name="scripted", model="scripted", template="t", template_id="1")


class Scripted:
    """Says another thing in each turn and each time it is asked the same."""

    name = "scripted"

    def __init__(self, fails=()):
        self.fails, self.asked = fails, 0

    def answer(self, prompts, *, seed=0, progress=None):
        self.asked += len(prompts)
        seen = Counter()
        told = []
        for prompt in prompts:
            first = prompt.messages[0].content
            if first in self.fails:
                told.append(Answer("", finished=False, error="down"))
                continue
            told.append(Answer(f"{'abcdefgh'[seen[prompt.id]]} {len(prompt.messages)} {first}"))
            seen[prompt.id] += 1
        return told


class FondOfA:
    """Prefers what comes first in the alphabet, by the principle of the pair."""

    name = "scripted"

    def __init__(self):
        self.asked = 0

    def judge(self, pairs, progress=None):
        self.asked += len(pairs)
        return [Opinion(0.9 if p.first < p.second else 0.1, principle=OURS.drawn(p.prompt.id).id) for p in pairs]


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "j.db") as opened:
        yield opened


def taught(workspace, model, subject, **more):
    config = ConstitutionalConfig(heldout_fraction=0.0, **more)
    beside = [Demonstration(prompt=prompt, completion="gladly") for prompt in HELP]
    material = Material(red_team=RED, helpful=HELP, demonstrations=beside)
    settings = SFTConfig(epochs=1, batch_size=4, learning_rate=1e-3, turns="last")
    return teach(config, model, OURS, material, workspace, settings, subject=subject)


def test_revisions_and_what_lies_beside_them_are_what_sft_learns(workspace, tmp_path):
    model = tiny_models.make(tmp_path / "model", "gpt2")
    told = taught(workspace, model, Scripted(fails=("steal 3?",)))
    assert list(told.failed) == [RED[3].id]
    manifest = read_manifest(told.policy)
    assert manifest.inputs["data"] == told.data.name
    assert manifest.inputs["model"].startswith("folder-")
    lines = [json.loads(line) for line in (told.data / "train.jsonl").read_text().splitlines()]
    revised = {line["prompt"][0]["content"]: line for line in lines if line["kind"] == "harmful"}
    assert set(revised) == {prompt.text for prompt in RED} - {"steal 3?"}
    assert revised["steal 1?"]["completion"] == "a 5 steal 1?", "the revision, not the answer or the critique"
    assert all(set(line["principles"]) <= {"principle-1", "principle-2"} for line in revised.values())
    assert all(len(line["principles"]) == 1 for line in revised.values())
    rest = Counter(line["completion"] for line in lines if line["kind"] == "career")
    assert rest == Counter({"gladly": 4, **{f"a 1 plan {n}?": 1 for n in range(4)}}), "demonstrations, and its own"
    steps = [json.loads(line) for line in (told.data / "revisions.jsonl").read_text().splitlines()]
    assert steps[0]["steps"][0].keys() == {"principle", "critique", "revision"}
    assert read_manifest(told.data).inputs["constitution"] == f"constitution-{OURS.id}"
    again = taught(workspace, model, Scripted(fails=("steal 3?",)))
    assert (again.policy, again.data) == (told.policy, told.data)


def test_nothing_revised_is_an_error(workspace, tmp_path):
    model = tiny_models.make(tmp_path / "model", "gpt2")
    with pytest.raises(DataError, match="nothing was revised"):
        taught(workspace, model, Scripted(fails=tuple(p.text for p in RED)))


def people_say(journal, workspace, prompts):
    """A dataset of one person's word on two answers to each prompt."""
    sides = [[Completion(prompt=p.id, text=text, policy="x") for text in ("yes", "no")] for p in prompts]
    pairs = [Comparison(prompt=a.prompt, first=a.id, second=b.id, source="help") for a, b in sides]
    rows.add_prompts(journal, prompts)
    rows.add_completions(journal, [side for both in sides for side in both])
    rows.add_comparisons(journal, pairs)
    rows.add_raters(journal, [Rater("someone")])
    said = [Judgement(uid=c.id, comparison=c.id, rater="someone", verdict=Verdict.FIRST) for c in pairs]
    put_judgements(journal, said)
    return freeze(journal, workspace, SnapshotConfig(sources=("help",), heldout_fraction=0.0))


def test_the_mix_holds_the_models_word_on_harm_and_peoples_on_the_rest(journal, workspace):
    people = people_say(journal, workspace, HELP)
    asked, subject, judge = Asked(3, 2, 1.0, 0), Scripted(), FondOfA()

    def go():
        compared(journal, [Writer(subject, "policy-1")], RED, asked, "constitutional/1")
        return labelled(journal, Judging(judge, WHO), "constitutional/1", workspace, **HOW)

    told = go()
    assert subject.asked == 8 * 3
    assert judge.asked == 8 * 2 * 2, "two pairs a prompt, each in both orders"
    assert go().data == told.data
    assert (subject.asked, judge.asked) == (8 * 3, 8 * 2 * 2), "nothing is asked twice"
    data = mixed(told.data, told.principles, people, workspace, RED)
    lines = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    ours = [line for line in lines if line["by"] == "model"]
    theirs = [line for line in lines if line["by"] == "people"]
    assert {line["kind"] for line in ours} == {"harmful"}
    assert {line["kind"] for line in theirs} == {"career"}
    assert len(ours) == 16
    assert len(theirs) == 4
    assert all(line["chosen"] < line["rejected"] for line in ours)
    assert {line["p_chosen"] for line in ours} == {0.9}, "what the judge said, not only what it decided"
    assert {line["principle"] for line in ours} == {"principle-1", "principle-2"}
    for line in ours:
        assert line["principle"] == OURS.drawn(line["prompt_id"]).id
    assert read_manifest(data).facts["people_on_red_team"] == 0
    assert read_manifest(data).inputs == {"model": told.data.name, "people": people.name}
    assert len(dataset.load_preferences(data)) == 20, "trainers read it as any other"


def test_a_human_harm_label_is_counted_where_there_is_one(journal, workspace):
    people = people_say(journal, workspace, [*HELP, RED[2]])
    compared(journal, [Writer(Scripted(), "policy-1")], RED, Asked(2, 1, 1.0, 0), "constitutional/1")
    told = labelled(journal, Judging(FondOfA(), WHO), "constitutional/1", workspace, **HOW)
    assert read_manifest(mixed(told.data, told.principles, people, workspace, RED)).facts["people_on_red_team"] == 1


def test_what_was_cut_off_or_is_the_same_is_not_compared(journal):
    class Cut(Scripted):
        def answer(self, prompts, *, seed=0, progress=None):
            told = super().answer(prompts)
            return [Answer(one.text, finished=n % 3 != 0) for n, one in enumerate(told)]

    assert compared(journal, [Writer(Cut(), "p")], RED, Asked(3, 5, 1.0, 0), "s") == 8, (
        "one pair of two finished ones each"
    )

    class Same(Scripted):
        def answer(self, prompts, *, seed=0, progress=None):
            return [Answer("the same")] * len(prompts)

    with pytest.raises(DataError, match="no two answers"):
        compared(journal, [Writer(Same(), "p")], RED, Asked(3, 5, 1.0, 0), "t")


def test_the_table_counts_what_each_principle_did(workspace, tmp_path):
    model = tiny_models.make(tmp_path / "model", "gpt2")
    told = taught(workspace, model, Scripted(), rounds=2)
    table = deeds(OURS, told.revised, [("principle-1", 0.9), ("principle-1", 0.52), ("principle-2", None)], TIE)
    assert [row.principle for row in table] == ["principle-1", "principle-2"]
    assert sum(row.revisions for row in table) == 16
    one, other = table
    assert (one.comparisons, one.decided, one.silent) == (2, 1, 0)
    assert one.clearness == pytest.approx((0.8 + 0.04) / 2)
    assert (other.comparisons, other.decided, other.silent) == (1, 0, 1)
    # The second round says the same as the first: "a 5 …".
    assert sum(row.changed for row in table) == 8


@pytest.mark.parametrize(
    "wrong", [{"completions": 1}, {"pairs": 0}, {"rounds": 0}, {"policy": "rloo"}, {"heldout_fraction": 1.0}]
)
def test_settings_refuse_nonsense(wrong):
    with pytest.raises(ConfigError):
        ConstitutionalConfig(**wrong)
