"""A project whose judgements became a release, as a round would have left it."""

import json

from palate.core.artefacts import Manifest, Workspace
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.store import people, releases
from palate.store.journal import Journal


def put(workspace, kind, by, inputs, files=None, **facts):
    def write(folder):
        for name, text in (files or {}).items():
            (folder / name).write_text(text)

    manifest = Manifest(kind=kind, made_by=by, config={}, inputs=inputs, facts=facts)
    return workspace.put(manifest, write).name


def released(root):
    """Freeze a dataset of the journal in `root`, and put models and a release on top of it; their ids."""
    workspace = Workspace(root)
    with Journal.open(root / "palate.db") as journal:
        data = freeze(journal, workspace, SnapshotConfig(heldout_fraction=0.0)).name
        reward = put(workspace, "reward", "train reward", {"data": data, "model": "folder-1"})
        policy = put(workspace, "policy", "train ppo", {"reference": "folder-1", "reward": reward, "data": data})
        release = releases.add(journal, policy, why="a test")
        releases.point(journal, "stable", release.id)
    return {"data": data, "reward": reward, "policy": policy, "release": release.id}


def asked_again(journal, workspace, ids, uid):
    """Fresh answers of both policies to the prompt of a judgement, with scores, as `palate later` leaves them."""
    with journal.reading() as connection:
        query = (
            "SELECT c.prompt, a.policy FROM judgement j JOIN comparison c ON c.id = j.comparison "
            f"JOIN completion a ON a.id = CASE j.swapped WHEN 1 THEN c.second ELSE c.first END WHERE j.uid = '{uid}'"
        )
        prompt, old = connection.exec_driver_sql(query).one()
    sides = {
        side: [{"text": f"{side} answer", "policy": id, "score": score, "liked": side == "judged", "completion": ""}]
        for side, id, score in (("judged", old, 3.0), ("old", old, 1.0), ("new", ids["policy"], 2.0))
    }
    told = {"value": 1.0, "low": 0.4, "high": 1.6, "n": 9}
    put(
        workspace, "resampled", "later", {"old": old, "new": ids["policy"], "reward": ids["reward"]},
        {"answers.jsonl": json.dumps({"prompt_id": prompt, **sides}) + "\n"}, prompts=9, new_less_old=told,
        score_old=told, score_new=told, score_liked=told,
    )  # fmt: skip
    return prompt, old


def counted(journal, workspace, who, data):
    """The first judgement of an account, by its name, that counted in a dataset with a verdict for a side."""
    (account,) = [one for one in people.accounts(journal) if one.email == f"{who}@example.org"]
    lines = (workspace.path(data) / "judgements.jsonl").read_text().splitlines()
    heard = {row["uid"] for row in map(json.loads, lines) if row["counted"] and row["verdict"] in ("first", "second")}
    with journal.reading() as connection:
        query = f"SELECT uid FROM judgement WHERE rater = '{account.rater}' ORDER BY seq"
        return next(uid for uid in connection.exec_driver_sql(query).scalars() if uid in heard)
