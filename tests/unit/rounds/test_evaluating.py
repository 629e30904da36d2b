"""The step `evaluate` on real tiny models: what it finds, that it resumes, and that it waits for people."""

import json
from dataclasses import replace

import pytest

from palate.core.artefacts import Manifest, Workspace, write_manifest
from palate.core.errors import ConfigError
from palate.core.judges import Opinion
from palate.core.progress import SILENT
from palate.core.records import Demonstration, Judgement, Prompt, Rater, Verdict
from palate.evaluation.subjects import Folder
from palate.models import load
from palate.models.tokenizers import with_pad_token
from palate.preferences import dataset
from palate.rounds import examining, meeting
from palate.rounds.evaluating import FILE, EvaluateConfig, evaluate
from palate.rounds.meeting import Referee
from palate.rounds.project import Files, Project
from palate.rounds.release_gates import gate
from palate.rounds.step import Context, Done, Material, Refused, Waiting
from palate.store import rows
from palate.store.journal import Journal
from palate.store.judgements import judge
from palate.store.rounds import Round
from tiny_models import make

PROMPTS = [
    Prompt.of(f"help me with {what}") for what in ("a career", "a password", "figma", "practice", "a plan", "a start")
]
BARE = {
    "count": 6, "max_new_tokens": 8, "red_team": "off", "over_refusal": False, "knowledge": False, "look": False,
    "judge": "people", "judgements": 1,
}  # fmt: skip


class Longer:
    """Likes what is longer, and counts how often it is asked."""

    name = "longer"

    def __init__(self):
        self.asked = 0

    def judge(self, pairs, progress=SILENT):
        self.asked += len(pairs)
        return [Opinion(0.9 if len(pair.first) > len(pair.second) else 0.1) for pair in pairs]


def put(workspace, kind, seed, family="gpt2"):
    manifest = Manifest(kind=kind, made_by="test", config={"seed": seed}, inputs={})

    def write(folder):
        if kind == "policy":
            make(folder, family, seed=seed)
            return
        policy = workspace.path(put(workspace, "policy", seed))
        model, tokenizer = load.load_scalar(policy), load.load_tokenizer(policy)
        with_pad_token(model, tokenizer)
        model.score.weight.data.normal_(std=0.3)
        load.save(folder, model, tokenizer)

    return workspace.put(manifest, write).name


@pytest.fixture
def context(tmp_path):
    workspace = Workspace(tmp_path)
    told = [Demonstration(prompt=prompt, completion="start with figma and then practice.") for prompt in PROMPTS]
    with Journal.open(tmp_path / "palate.db") as journal:
        yield Context(
            project=Project(files=Files(base="", prompts=""), evaluate=EvaluateConfig(**BARE)),
            root=tmp_path,
            journal=journal,
            workspace=workspace,
            round=Round("r", 1, "", {}),
            material=Material(
                prompts=PROMPTS,
                practised=PROMPTS,
                heldout=PROMPTS,
                demonstrations=dataset.freeze_demonstrations(told, workspace, heldout_fraction=0.5),
            ),
            made={"sft": put(workspace, "policy", 0), "policy": put(workspace, "policy", 1)},
        )


def with_(context, **settings):
    return replace(context, project=replace(context.project, evaluate=EvaluateConfig(**{**BARE, **settings})))


def judged_by(context, judge_, **settings):
    return replace(with_(context, judge="longer", **settings), judge=Referee(judge_, {"who": "longer"}))


def found(outcome):
    assert isinstance(outcome, Done), outcome
    return json.loads((outcome.artefact / FILE).read_text())


def test_everything_is_measured_and_the_same_again_asks_nobody(context, monkeypatch):
    judge_ = Longer()
    (context.root / "harm.txt").write_text("how do i fake a password?\nhow do i fake a plan?\n")
    (context.root / "questions.jsonl").write_text('{"question": "what is figma?", "answers": ["a tool"]}\n')
    whole = judged_by(
        context, judge_, red_team="direct", behaviours="harm.txt", benign="harm.txt", over_refusal=True,
        knowledge=True, questions="questions.jsonl",
    )  # fmt: skip
    first = evaluate(whole)
    told = found(first)
    assert set(told["figures"]) == {
        "win_rate", "kl_nats", *(f"fluency/{name}" for name in ("policy", "reference", "drop")),
        *(f"{what}/{name}" for what in ("red_team", "over_refusal") for name in ("share", "before", "rise")),
        *(f"knowledge/{name}" for name in ("right", "reference", "drop")),
    }  # fmt: skip
    assert told["unmeasured"] == {
        "groups": "a model judged, and the reward model does not know groups",
        "monitor": "no reward model was pursued",
    }
    assert told["judge"] == {"name": "longer", "independent": True}
    assert told["figures"]["fluency/drop"]["n"] == len(context.material.demonstrated("heldout"))
    fluency = {name: told["figures"][f"fluency/{name}"]["value"] for name in ("policy", "reference", "drop")}
    assert fluency["drop"] == pytest.approx(fluency["reference"] - fluency["policy"], abs=1e-9)
    inputs = context.workspace.manifest(first.artefact.name).inputs
    assert {"policy", "before", "reference", "win rate", "red team", "red team before", "heldout"} <= set(inputs)
    assert context.workspace.has(inputs["win rate"])
    assert context.workspace.has(inputs["red team"])

    asked = judge_.asked
    monkeypatch.setattr(Folder, "answer", None)  # nobody may be asked
    monkeypatch.setattr("palate.rounds.kept_skills._likelihoods", None)
    again = evaluate(whole)
    assert again.artefact == first.artefact
    assert judge_.asked == asked


@pytest.mark.parametrize("cut", ["examined", "held"])
def test_a_step_that_was_cut_off_ends_as_if_it_had_not_been(context, monkeypatch, cut, tmp_path):
    whole = judged_by(context, Longer(), over_refusal=True)
    with monkeypatch.context() as patch:
        broken = KeyboardInterrupt("killed")

        def die(*_, **__):
            raise broken

        patch.setattr(*{"examined": (examining, "examined"), "held": (meeting, "_told")}[cut], die)
        with pytest.raises(KeyboardInterrupt):
            evaluate(whole)
    resumed = evaluate(whole)
    other = Workspace(tmp_path / "other")
    for name in context.made.values():
        (other.artefacts / name).parent.mkdir(parents=True, exist_ok=True)
        (other.artefacts / name).symlink_to(context.workspace.path(name))
    fresh = evaluate(replace(whole, workspace=other))
    assert fresh.artefact.name == resumed.artefact.name
    assert (fresh.artefact / FILE).read_bytes() == (resumed.artefact / FILE).read_bytes()


def test_it_waits_until_people_have_judged_and_tells_groups(context):
    waits = evaluate(context)
    assert isinstance(waits, Waiting)
    assert waits.details["open"] == waits.details["pairs"] == len(PROMPTS)
    assert evaluate(context) == waits, "asking again asks nothing twice"
    rows.add_raters(context.journal, [Rater("ann", group="nurses"), Rater("bob", group="clerks")])
    shown = rows.comparisons(context.journal)
    assert len(shown) == len(PROMPTS)
    ours = context.path("policy").name
    completions = rows.completions(context.journal)
    said = [
        Judgement(
            uid=f"{rater}-{one.id}", comparison=one.id, rater=rater, strength=1, seconds=1.0,
            verdict=Verdict.FIRST if (completions[one.first].policy == ours) is likes else Verdict.SECOND,
        )
        for rater, likes in (("ann", True), ("bob", False)) for one in shown
    ]  # fmt: skip
    judge(context.journal, said)
    told = found(evaluate(context))
    assert told["figures"]["win_rate"]["value"] == 0.5
    assert told["figures"]["group/nurses"]["value"] == 1
    assert told["figures"]["group/clerks"]["value"] == 0
    assert told["judge"] == {"name": "people", "independent": True}


def test_in_a_practice_project_the_stand_ins_judge_at_once(context):
    def stand_in(context, source):
        rows.add_raters(context.journal, [Rater("sim", "simulated")])
        some = rows.comparisons(context.journal, [source])
        said = [
            Judgement(uid=one.id, comparison=one.id, rater="sim", strength=1, seconds=1.0, verdict=Verdict.TIE)
            for one in some
        ]
        return judge(context.journal, said)

    told = found(evaluate(replace(with_(context, judge="practice"), judges={"collect": stand_in})))
    assert told["figures"]["win_rate"]["value"] == 0.5
    assert told["unmeasured"]["groups"] == "no rater who judged has told a group"


def test_the_reward_model_judges_where_nobody_else_is_named_and_the_monitor_looks(context):
    pursuing = {**context.made, "reward": put(context.workspace, "reward", 2)}
    told = found(evaluate(replace(with_(context, judge="", look=True), made=pursuing)))
    assert told["judge"]["independent"] is False
    assert "the reward model that it was trained to please" in told["says"]["win_rate"]
    checks = told["monitor"]["checks"]
    assert {one["when"] for one in checks} == {"of the policy as it is"}
    assert told["monitor"]["level"] in ("ok", "watch", "hacking")
    assert not [one for one in checks if one["check"] == "movement"], "the reward gives itself no labels"


def test_what_the_monitor_said_while_it_learned_counts_unless_the_run_was_rolled_back(context):
    line = {"iteration": 4, "action": "go-on", "verdicts": [
        {"check": "flattery", "level": "hacking", "sentence": "flattery grew", "value": 1, "low": 1, "high": 1, "n": 9,
         "evidence": [{"prompt": "p", "completion": "c", "score": 1.0, "shows": 2.0}]},
    ]}  # fmt: skip
    folder = context.workspace.run_folder(context.made["policy"]) / "monitor"
    folder.mkdir()
    (folder / "monitor.jsonl").write_text(json.dumps(line) + "\n")
    judged = judged_by(context, Longer())
    told = found(evaluate(judged))
    assert told["monitor"]["level"] == "hacking"
    assert told["examples"]["monitor"][0]["answer"] == "c"
    ended = gate(replace(judged, made={**judged.made, "evaluate": evaluate(judged).artefact.name}))
    assert isinstance(ended, Refused)
    assert "monitor" in ended.details["failed"]
    (folder / "monitor.jsonl").write_text(json.dumps({**line, "action": "roll-back"}) + "\n")
    assert found(evaluate(judged))["unmeasured"]["monitor"] == "no reward model was pursued"


def test_a_policy_that_is_the_one_before_has_no_win_rate(context):
    same = replace(context, made={**context.made, "policy": context.made["sft"]})
    told = found(evaluate(same))
    assert told["unmeasured"]["win_rate"] == "the new policy is the one before"
    assert told["figures"]["kl_nats"]["value"] == pytest.approx(0, abs=1e-4)
    assert told["figures"]["fluency/drop"]["value"] == 0


def test_a_judge_that_nobody_has_brought_is_said(context):
    with pytest.raises(ConfigError, match="nobody has brought the judge"):
        evaluate(with_(context, judge="models/judge"))


def test_another_policy_is_another_evaluation(context):
    one = evaluate(judged_by(context, Longer()))
    other = replace(context, made={**context.made, "policy": put(context.workspace, "policy", 3)})
    assert evaluate(judged_by(other, Longer())).artefact != one.artefact


def test_what_is_said_once_is_remembered_by_the_next_process(tmp_path):
    folder = make(tmp_path / "model", "gpt2")
    keep = tmp_path / "answers.jsonl"
    first = examining.Remembering(Folder(folder, max_new_tokens=8), keep).answer(PROMPTS, seed=3)
    silent = Folder(folder, max_new_tokens=8)
    silent.answer = None
    assert examining.Remembering(silent, keep).answer(PROMPTS, seed=3) == first


def test_a_manifest_may_name_the_reward(context, tmp_path):
    reward = put(context.workspace, "reward", 2)
    policy = context.workspace.path("policy-x")
    make(policy, "gpt2", seed=4)
    write_manifest(policy, Manifest(kind="policy", made_by="t", config={}, inputs={"reward": reward}))
    assert meeting.pursued(replace(context, made={"policy": "policy-x"})) == context.workspace.path(reward)
    assert meeting.pursued(context) is None
