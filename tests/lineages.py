"""Random small projects with everything a lineage has, and a walk over them that is slow and obvious."""

import json
import random
from contextlib import suppress

from palate.core.artefacts import Manifest, Workspace
from palate.core.errors import DataError
from palate.core.records import Comparison, Completion, Feedback, Judgement, Prompt, Rater, Verdict, WrittenAnswer
from palate.preferences.contents import collect
from palate.preferences.dataset import freeze_approvals, freeze_demonstrations
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.preferences.thumbs import approvals
from palate.preferences.written import written
from palate.store import consents, demonstrations, feedback, judgements, releases, rounds, rows
from palate.store.journal import Journal

ROLES = ("learned", "measured", "paired", "asked", "held")


def project(journal: Journal, workspace: Workspace, seed: int, prompts: int = 8) -> random.Random:
    """A journal, datasets of it as it grew, models made from them, releases and a round."""
    draw = random.Random(seed)
    made = [Prompt.of(f"question {seed} {n}") for n in range(prompts)]
    sides = {
        p.id: [
            Completion(prompt=p.id, text=f"answer {k} to {p.text}", policy=f"policy-{k:016x}", sample=k)
            for k in range(3)
        ]
        for p in made
    }
    shown = [
        Comparison(prompt=p.id, first=a.id, second=b.id, source=draw.choice(("s", "t")))
        for p in made
        for a, b in zip(sides[p.id], sides[p.id][1:], strict=False)
    ]
    rows.add_prompts(journal, made)
    rows.add_completions(journal, [c for some in sides.values() for c in some])
    rows.add_comparisons(journal, shown)
    rows.add_raters(journal, [*(Rater(f"rater-{k}") for k in range(6)), Rater("model-x", kind="model")])
    last: dict[tuple[str, str], str] = {}
    datasets = []
    for _ in range(3):
        batch = []
        for _ in range(20):
            one, rater = draw.choice(shown), draw.choice([f"rater-{k}" for k in range(6)] + ["model-x"])
            uid = f"click-{draw.getrandbits(64):016x}"
            before = last.get((one.id, rater), "")
            said = Judgement(
                uid=uid, comparison=one.id, rater=rater, verdict=draw.choice([*Verdict, Verdict.FIRST, Verdict.FIRST]),
                supersedes=before if before and draw.random() < 0.5 else "",
                task="model" if rater == "model-x" else "normal",
            )  # fmt: skip
            batch.append(said)
            last[one.id, rater] = uid
        judgements.judge(journal, batch)
        signals(journal, draw, sides, made)
        datasets += frozen(journal, workspace, draw)
    models(journal, workspace, draw, datasets)
    return draw


def signals(journal, draw, sides, made):
    """Thumbs, with a consent or without, and written answers."""
    consent = consents.say(journal, "person-1", "chat", given=True, text="yes").id
    for _ in range(4):
        answer = draw.choice(sides[draw.choice(made).id])
        given = Feedback(
            uid=f"thumb-{draw.getrandbits(64):016x}", completion=answer.id, kind=draw.choice(("up", "down", "none")),
            person="person-1", consent=draw.choice((consent, "")),
        )  # fmt: skip
        feedback.add(journal, given)
    for _ in range(2):
        prompt = draw.choice(made)
        original = draw.choice((sides[prompt.id][0].id, ""))
        text = f"better {draw.randrange(4)}"
        uid = f"text-{draw.getrandbits(64):016x}"
        said = WrittenAnswer(uid=uid, prompt=prompt.id, text=text, rater="rater-1", original=original)
        demonstrations.add(journal, said)


def frozen(journal, workspace, draw):
    """Datasets of the journal as it is now."""
    config = SnapshotConfig(
        heldout_fraction=draw.choice((0.0, 0.4)), heldout_raters=draw.choice((0.0, 0.4)), seed=draw.randrange(3),
        minimum_judgements=draw.choice((1, 2)), models=draw.choice(("apart", "with")),
        sources=draw.choice(((), ("s",))),
    )  # fmt: skip
    found = []
    if collect(journal, sources=config.sources, minimum=config.minimum_judgements, models=config.models).preferences:
        with suppress(DataError):  # the raters who stay may have said too little
            found.append(freeze(journal, workspace, config).name)
    if said := written(journal):
        found.append(freeze_demonstrations(said, workspace, heldout_fraction=0.3).name)
    if thumbs := approvals(journal):
        found.append(freeze_approvals(thumbs, workspace, heldout_fraction=0.3).name)
    if found and draw.random() < 0.5:
        found.append(mixed(workspace, found[0], draw))
    return found


def mixed(workspace, dataset, draw):
    """A dataset of another's rows, which does not say whose words they are."""
    inputs = draw.choice(({"people": dataset}, {"rows": "records-0"}))
    manifest = Manifest(
        kind="dataset", made_by="constitutional preferences", config={"n": draw.random()}, inputs=inputs
    )

    def write(folder):
        for split in ("train", "heldout"):
            (folder / f"{split}.jsonl").write_bytes((workspace.path(dataset) / f"{split}.jsonl").read_bytes())

    return workspace.put(manifest, write).name


def models(journal, workspace, draw, datasets):
    """Reward models and policies made from them; some are released, by a round."""
    found = ["folder-base"]
    for _ in range(10):
        kind, by, inputs = draw.choice(
            (
                ("reward", "train reward", {"model": draw.choice(found), "data": draw.choice(datasets)}),
                ("policy", "train sft", {"model": draw.choice(found), "data": draw.choice(datasets)}),
                (
                    "policy", "train ppo",
                    {"reference": draw.choice(found), "reward": draw.choice(found), "data": draw.choice(datasets)},
                ),
            )
        )  # fmt: skip
        manifest = Manifest(kind=kind, made_by=by, config={"seed": draw.random()}, inputs=inputs)
        found.append(workspace.put(manifest, lambda folder: None).name)
    turn = rounds.begin(journal, {"seed": draw.random()})
    for id in draw.sample(found[1:], 4):
        rounds.note(journal, turn.id, "policy", "done", artefact=id)
        made = releases.add(journal, id, round_=turn.id, why="a test")
        releases.point(journal, draw.choice(("stable", "canary")), made.id)


class Slow:
    """Everything read into lists and dicts; each question looks at all of it."""

    def __init__(self, journal: Journal, workspace: Workspace):
        self.rows = {}
        with journal.reading() as connection:
            for table in ("judgement", "written_answer", "feedback", "completion", "release", "round_step"):
                found = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY seq").mappings()
                self.rows[table] = [dict(row) for row in found]
        self.manifests = {
            path.parent.name: json.loads(path.read_text())
            for path in sorted(workspace.artefacts.glob("*/manifest.json"))
        }
        self.files = {
            id: {
                path.stem: [json.loads(line) for line in path.read_text().splitlines()]
                for path in workspace.path(id).glob("*.jsonl")
            }
            for id, told in self.manifests.items()
            if told["kind"] == "dataset"
        }

    def of_judgement(self, uid):
        """Dataset to role."""
        (said,) = [row for row in self.rows["judgement"] if row["uid"] == uid]
        return {id: role for id in self.files if (role := self._role(id, said))}

    def _role(self, id, said):
        files = self.files[id]
        pair = said["comparison"]
        split = next((s for s in ("train", "heldout") if pair in [r.get("comparison") for r in files.get(s, ())]), "")
        if "judgements" not in files:
            told = [
                one
                for one in self.above(id)
                if pair in [r["id"] for r in self.files.get(one, {}).get("comparisons", ())]
            ]
            return "paired" if split and not told else ""
        if pair not in [row["id"] for row in files["comparisons"]]:
            return ""
        held = [row for row in files["judgements"] if row["uid"] == said["uid"]]
        if not held or said["verdict"] in ("skip", "both_bad"):
            return "held"
        if held[0]["counted"]:
            return {"train": "learned", "heldout": "measured", "": "held"}[split]
        # Of raters who were kept apart the last word that was not taken back counts, where it is a row.
        unseen = [row for row in files.get("unseen_raters", ()) if row["comparison"] == pair]
        rater = [row for row in files["judgements"] if (row["rater"], row["comparison"]) == (said["rater"], pair)]
        standing = [row for row in rater if row["uid"] not in {other["supersedes"] for other in rater}]
        apart = not any(row["counted"] for row in files["judgements"] if row["rater"] == said["rater"])
        return "measured" if unseen and apart and standing and standing[-1]["uid"] == said["uid"] else "held"

    def of_written(self, uid):
        (said,) = [row for row in self.rows["written_answer"] if row["uid"] == uid]
        found = {}
        for id, files in self.files.items():
            for split, role in (("heldout", "measured"), ("train", "learned")):
                for row in files.get(split, ()):
                    if "comparison" not in row and (row["prompt_id"], row["completion"]) == (
                        said["prompt"],
                        said["text"],
                    ):
                        found[id] = role
        if [row for row in self.rows["judgement"] if row["uid"] == f"{uid} edit"]:
            for id, role in self.of_judgement(f"{uid} edit").items():
                found[id] = min(role, found.get(id, role), key=ROLES.index)
        return found

    def above(self, id):
        """Everything that an artefact was made from."""
        found, queue = [], [id]
        while queue:
            for one in self.manifests.get(queue.pop(), {"inputs": {}})["inputs"].values():
                if one not in found:
                    found.append(one)
                    queue.append(one)
        return found

    def follow(self, roles):
        """Artefact to role, until nothing changes."""
        found = {id: role for id, role in roles.items() if role != "held"}
        changed = True
        while changed:
            changed = False
            for id, told in self.manifests.items():
                for name, source in told["inputs"].items():
                    if source not in found:
                        continue
                    role = found[source]
                    if name == "data" and told["made_by"] == "train ppo":
                        if role not in ("learned", "asked"):
                            continue
                        role = "asked"
                    if id not in found or ROLES.index(role) < ROLES.index(found[id]):
                        found[id], changed = role, True
        return found | {id: role for id, role in roles.items() if role == "held"}

    def releases(self, found):
        return {row["id"] for row in self.rows["release"] if found.get(row["policy"], "held") != "held"}

    def held(self, policy):
        """Judgement to best role, over all datasets that shaped an artefact by more than their prompts."""
        whole, queue = {policy}, [policy]
        while queue:
            told = self.manifests.get(queue.pop(), {"inputs": {}, "made_by": ""})
            for name, one in told["inputs"].items():
                if one not in whole and not (name == "data" and told["made_by"] == "train ppo"):
                    whole.add(one)
                    queue.append(one)
        best = {}
        for id in whole & set(self.files):
            for row in self.files[id].get("judgements", ()):
                role = self._role(id, row)
                best[row["uid"]] = min(role, best.get(row["uid"], role), key=ROLES.index)
        pairs = {
            row["comparison"]
            for id in whole & set(self.files)
            for split in ("train", "heldout", "unseen_raters")
            for row in self.files[id].get(split, ())
            if "comparison" in row
        }
        return best, pairs
