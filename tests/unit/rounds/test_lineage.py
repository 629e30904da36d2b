"""What came of what, against a walk that reads everything and looks at all of it."""

import json
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import lineages
from palate.core.artefacts import Manifest, Workspace
from palate.core.errors import DataError
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.rounds import lineage_down, lineage_held, lineage_index
from palate.rounds.lineage import Lineage, Node, find
from palate.rounds.lineage_up import NOT_YET, ROLES, up
from palate.store import judgements, releases, rounds, rows
from palate.store.journal import Journal


def roles_of(side):
    """Artefact to its best role, and the releases, as a walk gives them."""
    found, named = {}, set()
    for edge in side.edges:
        if edge.node.kind == "release":
            named.add(edge.node.id)
        elif edge.role and edge.node.kind != "round":
            known = found.get(edge.node.id, edge.role)
            found[edge.node.id] = min(edge.role, known, key=ROLES.index)
    return found, named


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
@example(seed=13)  # a pair has a row of raters who were kept apart, and another's word beside it is in none
def test_walk_equals_brute_force(tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("project")
    workspace = Workspace(folder)
    with Journal.open(folder / "palate.db") as journal:
        lineages.project(journal, workspace, seed)
        lineage, slow = Lineage(journal, workspace), lineages.Slow(journal, workspace)
        for row in slow.rows["judgement"]:
            held = slow.of_judgement(row["uid"])
            expected = slow.follow(held)
            side = up(lineage, Node("judgement", row["uid"]))
            assert roles_of(side) == (expected, slow.releases(expected))
            assert (NOT_YET in side.notes) == (set(held.values()) <= {"held"})
        for row in slow.rows["written_answer"]:
            expected = slow.follow(slow.of_written(row["uid"]))
            assert roles_of(up(lineage, Node("written answer", row["uid"]))) == (expected, slow.releases(expected))
        for row in slow.rows["release"]:
            _downward(lineage, slow, row)


def _downward(lineage, slow, release):
    best, pairs = slow.held(release["policy"])
    counts = lineage_held.counts(lineage, lineage_down.datasets_of(lineage, Node("release", release["id"])))
    told = Counter(best.values())
    assert (counts.learned, counts.measured, counts.held) == tuple(told[r] for r in ("learned", "measured", "held"))
    assert counts.comparisons == len(pairs)
    found = list(lineage_down.stream(lineage, Node("release", release["id"])))
    assert {one.id: role for one, role in found if one.kind == "judgement"} == best
    assert Counter(one.id for one, _ in found if one.kind == "comparison") == Counter(pairs)
    assert len([one for one, _ in found if one.kind == "judgement"]) == len(best)  # each once


@pytest.fixture
def project(tmp_path):
    workspace = Workspace(tmp_path)
    with Journal.open(tmp_path / "palate.db") as journal:
        lineages.project(journal, workspace, 7)
        yield Lineage(journal, workspace)


def test_what_counted_is_what_changes_the_row(tmp_path):
    """Whoever takes a judgement away sees the dataset's row change if and only if the walk says that it counted."""
    lineages_roles = Counter()
    for seed in range(2):
        folder = tmp_path / str(seed)
        with Journal.open(folder / "palate.db") as journal:
            lineages.project(journal, Workspace(folder), seed, prompts=5)
            config = SnapshotConfig(heldout_fraction=0.4)
            data = freeze(journal, Workspace(folder), config)
            index = lineage_index.build(data)
            said = lineages.Slow(journal, Workspace(folder)).rows["judgement"]
            for gone in random.Random(seed).sample(said, 8):
                others = [r for r in said if (r["comparison"], r["rater"]) == (gone["comparison"], gone["rater"])]
                if len(others) > 1 and others[-1] is gone:
                    continue  # the one before takes its place, which may say the same
                state = lineage_index.STATES[index.judgement(gone["uid"])]
                without = _rows_without(journal, tmp_path / f"{seed}-{gone['uid']}", gone["uid"], config)
                changed = _votes(data, gone["comparison"]) != without(gone["comparison"])
                assert changed == (state in ("learned", "measured")), (gone, state)
                lineages_roles[state] += 1
    assert {"learned", "measured"} < set(lineages_roles)
    assert len(lineages_roles) > 3


def _votes(data, comparison):
    rows = [
        json.loads(line) for name in ("train", "heldout") for line in (data / f"{name}.jsonl").read_text().splitlines()
    ]
    return [(row["p_chosen"], row["chosen"]) for row in rows if row["comparison"] == comparison]


def _rows_without(journal, folder, uid, config):
    with Journal.open(folder / "palate.db") as other:
        rows.add_prompts(other, rows.prompts(journal).values())
        rows.add_completions(other, rows.completions(journal).values())
        rows.add_comparisons(other, rows.comparisons(journal))
        rows.add_raters(other, rows.raters(journal).values())
        kept = [j for j in judgements.judgements(journal, current=False) if j.uid != uid]
        judgements.judge(other, [replace(j, supersedes="") if j.supersedes == uid else j for j in kept])
        data = freeze(other, Workspace(folder), config)
    return lambda comparison: _votes(data, comparison)


def test_index_is_made_once_and_dropped(project):
    workspace = project.workspace
    data = project.artefacts.datasets()[0]
    first = project.indices.of(data)
    kept = workspace.root / ".lineage" / data / "judgements.npy"
    changed = kept.stat().st_mtime_ns
    assert Lineage(project.journal, workspace).indices.of(data).states_J.tolist() == first.states_J.tolist()
    assert kept.stat().st_mtime_ns == changed
    lineage_index.drop_index(workspace)
    assert not (workspace.root / ".lineage").exists()
    # A dataset whose rows were taken away holds nothing, whatever was known of it.
    for path in workspace.path(data).glob("*.jsonl"):
        path.unlink()
    assert len(project.indices.of(data).judgements_J) == 0


def test_an_unreadable_dataset_is_said_not_skipped(project):
    data = next(id for id in project.artefacts.datasets() if (project.workspace.path(id) / "judgements.jsonl").exists())
    (project.workspace.path(data) / "new").write_text("")  # its folder changed
    (project.workspace.path(data) / "train.jsonl").write_text("{")
    with project.journal.reading() as connection:
        uid = connection.exec_driver_sql("SELECT uid FROM judgement LIMIT 1").scalar()
    assert any(data in note and "cannot be read" in note for note in up(project, Node("judgement", uid)).notes)


def test_ids_in_full_by_their_beginning_and_by_alias(project):
    with project.journal.reading() as connection:
        uid = connection.exec_driver_sql("SELECT uid FROM judgement WHERE uid LIKE 'click-%' LIMIT 1").scalar()
    assert find(project, uid) == find(project, uid[:-4]) == find(project, f"judgement:{uid}")
    policy = releases.every(project.journal)[0].policy
    assert find(project, policy).kind == find(project, policy[:-3]).kind
    assert find(project, policy.rpartition("-")[2]).id == policy
    alias, release = next(iter(releases.aliases(project.journal).items()))
    assert find(project, alias) == find(project, release)
    assert find(project, "person-1").kind == "person"
    assert find(project, rounds.every(project.journal)[0].id).kind == "round"
    with pytest.raises(DataError, match="several things"):
        find(project, "click-")
    for wrong in ("nothing-like-it", "", "release:" + uid, "x"):
        with pytest.raises(DataError, match="nothing here is named so"):
            find(project, wrong)
    with pytest.raises(DataError) as told:
        find(project, uid[:-4] + "zzzz")
    assert "nothing here" in told.value.what


def test_a_new_artefact_is_seen_at_once(project):
    data = project.artefacts.datasets()[0]
    before = len(up(project, Node("dataset", data)).edges)
    manifest = Manifest(kind="report", made_by="a test", config={}, inputs={"data": data})
    project.workspace.put(manifest, lambda folder: None)
    assert len(up(project, Node("dataset", data)).edges) == before + 1


def test_every_kind_can_be_traced(project):
    tables = {
        "judgement": "uid", "feedback": "uid", "written_answer": "uid", "comparison": "id", "completion": "id",
        "prompt": "id", "rater": "id", "release": "id", "round": "id",
    }  # fmt: skip
    with project.journal.reading() as connection:
        ids = [connection.exec_driver_sql(f"SELECT {c} FROM {t} LIMIT 1").scalar() for t, c in tables.items()]
    for id in [*ids, "person-1", *project.artefacts.all()]:
        node = find(project, id)
        both = up(project, node), lineage_down.down(project, node)
        assert all(edge.node.line is not None for side in both for edge in side.edges)
        held = [one for one in both[1].members if one.first]
        assert all(len(one.first) == min(one.number, 100) for one in held), node
        list(lineage_down.stream(project, node))
