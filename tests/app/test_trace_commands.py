"""`palate trace` and `palate later`, from the command line to what they print and leave."""

import json

import pytest
from transformers import set_seed

import lineages
import tiny_models
from palate.cli.later import later
from palate.cli.trace import trace
from palate.core.artefacts import Manifest, Workspace, identify, read_manifest
from palate.core.errors import ConfigError, DataError
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.models import load
from palate.models.tokenizers import with_pad_token
from palate.rounds import fresh
from palate.rounds.lineage import Lineage
from palate.rounds.resampled import ResampleConfig
from palate.store import judgements, releases, rows
from palate.store.journal import Journal


@pytest.fixture
def project(tmp_path):
    with Journal.open(tmp_path / "palate.db") as journal:
        lineages.project(journal, Workspace(tmp_path), 7)
        slow = lineages.Slow(journal, Workspace(tmp_path))
    return tmp_path, slow


def learned(slow):
    """A click that reached a release."""
    for row in slow.rows["judgement"]:
        found = slow.follow(slow.of_judgement(row["uid"]))
        if slow.releases(found):
            return row["uid"], found, slow.releases(found)
    raise AssertionError("no click reached a release")


def test_a_tree_names_all_that_a_click_shaped(project, capsys):
    root, slow = project
    uid, found, released = learned(slow)
    trace(uid, out=root)
    told = capsys.readouterr().out
    for id in (*found, *released):
        assert id in told
    assert "what it shaped" in told
    assert "what it came from and holds" in told
    trace(uid, up=True, out=root)
    assert "what it came from" not in capsys.readouterr().out


def test_json_has_the_same_and_all_streams_every_row(project, capsys):
    root, slow = project
    uid, found, released = learned(slow)
    trace(uid, json=True, out=root)
    told = json.loads(capsys.readouterr().out)
    assert {edge["node"]["id"] for edge in told["up"]["edges"] if edge["node"]["kind"] != "round"} == {
        *found,
        *released,
    }
    assert {edge["word"] for edge in told["down"]["edges"]} >= {
        "given by",
        "judges",
        "asks",
        "shows first",
        "written by",
    }
    release = sorted(released)[0]
    (row,) = [one for one in slow.rows["release"] if one["id"] == release]
    best, _ = slow.held(row["policy"])
    trace(release, all=True, json=True, out=root)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["id"]: one["word"] for one in lines if one["kind"] == "judgement"} == best
    trace(release, all=True, out=root)
    assert len(capsys.readouterr().out.splitlines()) == len(lines)


def test_what_is_not_there_is_said(project):
    root, _ = project
    with pytest.raises(DataError, match="nothing here is named so"):
        trace("no-such-thing", out=root)
    with pytest.raises(DataError, match="several things begin like this"):
        trace("dataset", out=root)


@pytest.fixture
def judged(tmp_path):
    """Two tiny policies, an answer of the first that was liked, and a release of the second."""
    workspace = Workspace(tmp_path)
    ids = []
    for seed in (0, 1):
        manifest = Manifest(kind="policy", made_by="train sft", config={"seed": seed}, inputs={})
        tiny = tiny_models.make(tmp_path / f"tiny-{seed}", seed=seed)
        ids.append(workspace.put(manifest, lambda folder, tiny=tiny: _copy(tiny, folder)).name)
    with Journal.open(tmp_path / "palate.db") as journal:
        prompts = [Prompt.of("how do i protect a password?"), Prompt.of("help me plan a career change.")]
        rows.add_prompts(journal, prompts)
        rows.add_raters(journal, [Rater("r")])
        for prompt in prompts:
            both = [Completion(prompt=prompt.id, text=t, policy=ids[0]) for t in ("start with figma", "sorry")]
            shown = Comparison(prompt=prompt.id, first=both[0].id, second=both[1].id)
            rows.add_completions(journal, both)
            rows.add_comparisons(journal, [shown])
            said = Judgement(uid=f"u-{prompt.id}", comparison=shown.id, rater="r", verdict=Verdict.FIRST)
            judgements.judge(journal, [said])
        releases.point(journal, "stable", releases.add(journal, ids[1], why="a test").id)
    return tmp_path, ids, prompts


def _copy(source, folder):
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())


def _reward(root):
    set_seed(0)
    model, tokenizer = load.load_scalar(root / "tiny-0"), load.load_tokenizer(root / "tiny-0")
    with_pad_token(model, tokenizer)
    model.score.weight.data.normal_(std=0.3)
    (root / "rm").mkdir()
    load.save(root / "rm", model, tokenizer)
    return root / "rm"


def test_old_and_new_are_asked_again(judged, capsys):
    root, ids, prompts = judged
    settings = ResampleConfig(each=2, max_new_tokens=8, temperature=1.0)
    reward = _reward(root)
    later(ids[0], "stable", reward=reward, out=root, settings=settings)
    told = capsys.readouterr().out
    assert "new less old, both fresh" in told
    folder = root / "artefacts" / told.splitlines()[-1].rpartition("/")[2]
    manifest = read_manifest(folder)
    assert manifest.inputs["reward"] == identify(reward)
    gap = manifest.facts["new_less_old"]["value"]
    assert gap == pytest.approx(manifest.facts["score_new"]["value"] - manifest.facts["score_old"]["value"])
    assert (manifest.inputs["old"], manifest.inputs["new"]) == tuple(ids)
    with Journal.open(root / "palate.db") as journal:
        lineage = Lineage(journal, Workspace(root))
        for prompt in prompts:
            found = fresh.find(lineage.artefacts, lineage.workspace, prompt.id, *ids)
            assert [one.liked for one in found.judged] == [True, False]
            assert len(found.old) == len(found.new) == 2
            assert {one.policy for one in found.old} == {ids[0]}
            assert all(one.score is not None for one in (*found.judged, *found.old, *found.new))
            assert {one.policy for one in found.new} == {ids[1]}
    before = (folder / fresh.ANSWERS).read_bytes()
    later(ids[0], ids[1], out=root, reward=reward, settings=settings)  # found, not asked again
    assert str(folder.name) in capsys.readouterr().out
    assert (folder / fresh.ANSWERS).read_bytes() == before


def test_what_cannot_be_asked_is_refused(judged):
    root, ids, _ = judged
    with pytest.raises(DataError, match="no answer of the old policy was judged"):
        later(ids[1], ids[0], out=root)
    with pytest.raises(DataError, match="no such release"):
        later("nothing", ids[0], out=root)
    with pytest.raises(ConfigError):
        ResampleConfig(each=0)
    with pytest.raises(ConfigError):
        ResampleConfig(temperature=-1.0)
