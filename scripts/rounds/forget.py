"""Forget a person of whom random words stand in every field, and look for them in every byte that is left.

| name | what it averages |
|---|---|
| `forget/bytes_left` | places in a project's folder where a random word of a forgotten person, or a name of theirs, is still found in any form; n is words × forms × files; nothing but 0 will do |
| `forget/bytes_before` | the same before `palate forget`, so that the search is known to find |
| `forget/tainted_exact` | share of random projects whose marked artefacts are those of a walk by hand |
| `forget/recut_new_ids` | share of emptied datasets that were cut again under another id, whose new content is proven free of the erased |
| `forget/postgres_left` | as the first, in a PostgreSQL's data directory without its log |
| `forget/postgres_log_left` | in that log (`pg_wal`), where the server keeps no old segments (`wal_recycle = off`) |
| `forget/postgres_before` | in the data directory before |

The person is a rater who also chats, attacks and leads: what they write goes through the functions that pages call, a
word in each field. Datasets are frozen, a tiny reward model and a policy are trained, an RL run leaves samples, a server
a log; a backup is made, and a copy of an older version. Forms: as it is, in small and large letters, escaped for JSON,
HTML and URLs, base64, hex, and SHA-256 of names. Where there is no PostgreSQL, its rows are left out.
"""  # noqa: E501

from __future__ import annotations

import base64
import hashlib
import html
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from scripts.evaluation.rows import row, share
from scripts.rounds.searching import forms, hashes, left

from palate.core.artefacts import Manifest, Workspace
from palate.core.findings import Finding
from palate.core.ids import derive_seed
from palate.core.records import (
    Comparison,
    Completion,
    Feedback,
    Judgement,
    Prompt,
    Ranking,
    Rater,
    Slate,
    Verdict,
    WrittenAnswer,
)
from palate.preferences.dataset import freeze_demonstrations, load_preferences
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.preferences.taint import tainted
from palate.preferences.written import written
from palate.rounds import absence, forgetting
from palate.store import (
    audit,
    backup,
    chats,
    check_items,
    consents,
    demonstrations,
    drafts,
    erasure,
    exposures,
    feedback,
    findings,
    guidelines,
    judgements,
    onboarding,
    opening,
    people,
    profiles,
    queue,
    rankings,
    releases,
    rounds,
    rows,
    sessions,
    tokens,
    voice,
)
from palate.store.exposures import Exposure
from palate.store.journal import Journal
from palate.store.queue import QueuePolicy
from palate.store.traces import Traces

PAIRS: Final = 40
PROJECTS: Final = 100
"""Random ones, for the tainted set."""


class Person(NamedTuple):
    """Who is forgotten, and every word that must not be found afterwards."""

    account: str
    rater: str
    words: dict[str, str]
    """By field."""
    texts: list[str]
    """What they wrote, with a word in each."""


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; the same seed gives the same rows, but for sizes of files."""
    told = [*_project(seed), row("forget/tainted_exact", share(_exact(seed, n) for n in range(PROJECTS)))]
    return [*told, *_server(seed)]


def count(name: str, value: int, n: int) -> dict[str, Any]:
    """A count that is no estimate."""
    return {"name": name, "value": float(value), "low": None, "high": None, "n": n, "seeds": 1}


def _project(seed: int) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        root.mkdir()
        with Journal.open(root / "palate.db") as journal:
            person = lived(journal, seed)
            workspace = Workspace(root)
            _made(journal, workspace, person, seed)
            names = [person.rater, person.account, person.words["mail"]]
            sought = [*person.words.values(), *names]
            yield count("forget/bytes_before", *left(root, sought, names))
            told = forgetting.forget(journal, workspace, person.account, actor="cell")
            yield count("forget/bytes_left", *left(root, sought, names))
            cuts = [one for one in told["recut"] if one["new"]]
            proven = [
                one["new"] != one["old"] and not absence.prove(journal, workspace, one["new"]).problems for one in cuts
            ]
            yield row("forget/recut_new_ids", share(proven + [False] * (len(told["recut"]) - len(cuts))))


def lived(journal: Journal, seed: int) -> Person:
    """A project of others in which one person did everything that a person can do."""
    rng = random.Random(derive_seed(seed, "words"))
    words: dict[str, str] = {}
    texts: list[str] = []

    def said(field: str, before: str = "") -> str:
        words[field] = f"Canary{rng.getrandbits(60):015x} of {field}"
        texts.append(f'{before}Then "{words[field]}" & more.\nEnd.')
        return texts[-1]

    version = guidelines.add(journal, "# What better means\n\n## Truth\n\nBe right.\n", author="lead")
    guidelines.put_in_force(journal, version.id, actor="lead")
    made = pairs(journal, PAIRS, "sampling")
    queue.enqueue(journal, made)
    words["mail"] = f"canary{rng.getrandbits(60):015x}@example.org"
    words["name"] = f"Olga Canary{rng.getrandbits(60):015x}"
    account = people.create_account(
        journal, name=words["name"], email=words["mail"], role="rater", password="long enough to be one"
    )
    me = account.rater
    rows.add_raters(journal, [Rater(f"other-rater-{k}") for k in range(3)])
    profiles.put(journal, Rater(me, languages=("en",), group="nurses"), avoids=("harm",))
    onboarding.add(journal, me, guideline=version.id, correct=10, of=12, passed=True)
    for number, one in enumerate(made):
        told = [(f"other-rater-{number % 3}", "fine")]
        told += [(me, said(f"judgement {number}"))] if number % 4 == 0 else []
        judgements.judge(journal, [
            Judgement(uid=f"{rng.getrandbits(64):016x}", comparison=one.id, rater=rater, note=note,
                      verdict=Verdict.FIRST if rng.random() < 0.7 else Verdict.SECOND)
            for rater, note in told
        ])  # fmt: skip
    queue.take(journal, me, 2, policy=QueuePolicy())
    for number in range(2):
        drafts.save(journal, me, made[number].id, said(f"draft {number}"))
    slate = Slate(prompt=made[0].prompt, completions=(made[0].first, made[0].second))
    rankings.add_slates(journal, [slate])
    ranked = Ranking(uid="canary-ranking", slate=slate.id, rater=me, ranks=(1, 2), order=(0, 1), note=said("ranking"))
    rankings.add(journal, [ranked])
    for number in range(6):
        answer = WrittenAnswer(
            uid=f"canary-written-{number}", prompt=made[number].prompt, text=said(f"written {number}"), rater=me,
            original=made[number].first if number % 2 else "",
        )  # fmt: skip
        demonstrations.add(journal, answer)
    other = WrittenAnswer(uid="theirs", prompt=made[7].prompt, text="As another put it.", rater="other-rater-0")
    demonstrations.add(journal, other)
    _chatted(journal, me, said)
    _led(journal, account.id, me, made, said)
    sessions.open(journal, account.id)
    tokens.create(journal, account.id, ["rate"], name=said("token"))
    people.invite(journal, "rater", email=words["mail"], inviter=account.id)
    return Person(account.id, me, words, [one for one in texts if "token" not in one])


def pairs(journal: Journal, number: int, source: str) -> list[Comparison]:
    """Comparisons of new prompts."""
    prompts = [Prompt.of(f"{source} question {n}: what is a good word?") for n in range(number)]
    sides = [[Completion(prompt=p.id, text=f"answer {n} {k}", policy=f"policy-{k}") for k in range(2)]
             for n, p in enumerate(prompts)]  # fmt: skip
    made = [Comparison(prompt=one.prompt, first=one.id, second=two.id, source=source) for one, two in sides]
    rows.add_prompts(journal, prompts)
    rows.add_completions(journal, [one for both in sides for one in both])
    rows.add_comparisons(journal, made)
    return made


def _chatted(journal: Journal, me: str, said: Any) -> None:
    """Chats with feedback of every kind, and attacks with findings."""
    for number in range(4):
        chat = chats.create(journal, me, said(f"title {number}"))
        agreed = consents.say(journal, me, chat.id, given=True, text="May we keep this?")
        asked = Prompt.of(said(f"chat {number}"))
        shown = [Completion(prompt=asked.id, text=said(f"echo {number} {k}", "You said: "), policy="policy-1", sample=k)
                 for k in range(2)]  # fmt: skip
        rows.add_prompts(journal, [asked])
        rows.add_completions(journal, shown)
        exposures.add(journal, [Exposure(one.id, me, chat.id) for one in shown])
        pair = Comparison(prompt=asked.id, first=shown[0].id, second=shown[1].id, source="regenerate")
        rows.add_comparisons(journal, [pair])
        judged = Judgement(uid=f"about-{number}", comparison=pair.id, rater="other-rater-1", verdict=Verdict.FIRST)
        judgements.judge(journal, [judged])
        for kind, value in (("up", ""), ("edit", said(f"edit {number}")), ("report", "")):
            signal = Feedback(uid=f"canary-{kind}-{number}", completion=shown[0].id, kind=kind, person=me, value=value,
                              note=said(f"{kind} note {number}"), consent=agreed.id)  # fmt: skip
            feedback.add(journal, signal)
    bad = Finding(prompt=Prompt.of(said("attack")), answer=said("attacked", "Sure: "), subject="policy-1",
                  category="harm", found_by=me, note=said("finding"), better=said("better"))  # fmt: skip
    found = findings.add(journal, bad)
    findings.decide(journal, found.id, "confirmed", severity=2, actor="lead")


def _led(journal: Journal, account: str, me: str, made: list[Comparison], said: Any) -> None:
    """What a lead does: facts that stay, without who did them and why."""
    version = guidelines.add(journal, "# What better means\n\n## Truth\n\nBe right, and kind.\n", author=account)
    guidelines.put_in_force(journal, version.id, actor=account)
    item = check_items.CheckItem(
        comparison=made[9].id, expected=Verdict.FIRST, explanation=said("explanation"), author=account
    )
    check_items.add(journal, item)
    voice.star(journal, made[10].id, Verdict.FIRST, note=said("star"), actor=account)
    turn = rounds.begin(journal, {"beta": 0.1}, actor=account)
    rounds.note(journal, turn.id, "gate", "overridden", details={"why": said("override"), "actor": account})
    rounds.note(journal, turn.id, "", "done")
    release = releases.add(journal, "policy-served", why=said("release"), actor=account)
    releases.point(journal, "canary", release.id, why=said("alias"), actor=account)
    audit.write(journal, account, "login", account)
    audit.write(journal, "lead", "changed a role", account, who=me, why=said("role"))


def _made(journal: Journal, workspace: Workspace, person: Person, seed: int) -> None:
    """What is made from the journal: datasets, models, runs, caches, logs, backups."""
    data = freeze(journal, workspace, SnapshotConfig(heldout_fraction=0.25))
    freeze_demonstrations(written(journal), workspace, heldout_fraction=0.0)
    _trained(workspace, data)
    words = [*person.texts, person.words["name"]]
    run = workspace.run_folder("policy-of-a-run")
    lines = [{"prompt": [{"role": "user", "content": one}], "completion": f"about {one}"} for one in words]
    for name, ascii in (("samples.jsonl", True), ("heldout.jsonl", False)):
        told = [*lines, {"prompt": [], "completion": "of others"}]
        (run / name).write_text("".join(json.dumps(one, ensure_ascii=ascii) + "\n" for one in told), encoding="utf-8")
    (run / "config.json").write_text(json.dumps({"note": words[3], "raters": [person.rater], "beta": 0.1}))
    (workspace.run_folder("answers-1") / "answers.jsonl").write_text(json.dumps({"text": json.dumps(words[4])}) + "\n")
    page = "".join(f"<p>{html.escape(one)}</p>" for one in words)
    workspace.put(
        Manifest(kind="report", made_by="eval report", config={}, inputs={"data": data.name}, facts={"worst": words}),
        lambda folder: (folder / "report.html").write_text(page, encoding="utf-8") and None,
    )
    log = "".join(
        f"GET /chat?q={quote(one)}&who={person.rater}\nlogin {person.words['mail'].upper()} "
        f"{base64.b64encode(person.account.encode()).decode()} {hashlib.sha256(person.rater.encode()).hexdigest()}\n"
        for one in words
    )
    (workspace.root / "serve.log").write_text(f"started\n{log}stopped\n", encoding="utf-8")
    (workspace.root / "quarantine").mkdir()
    (workspace.root / "quarantine" / "x.jsonl").write_text(json.dumps({"excerpt": words[5]}) + "\n", encoding="utf-8")
    backup.backup(journal, workspace.root / "backup.db")
    opening.copy_aside(journal.path)
    # Work goes on: pages are split and freed, and a draft is thrown away.
    pairs(journal, PAIRS, f"later {seed}")


def _trained(workspace: Workspace, data: Path) -> None:
    """A tiny reward model on the dataset, and a policy on the reward model."""
    from palate.models import load, tiny
    from palate.training import dpo, reward
    from palate.training.dpo import DPOConfig
    from palate.training.reward import RewardConfig

    texts = ["a good word is a question of sampling", "answer 0 1 2 3 4 5 6 7 8 9"]
    tokenizer = tiny.train_tokenizer(texts, vocab_size=400, kind="words", lowercase=True)
    model = tiny.make_model(tokenizer, family="llama", width=16, layers=1, heads=2, context=256, seed=0)
    base = workspace.root / "base"
    base.mkdir()
    load.save(base, model, tokenizer)
    learned = load_preferences(data)
    reward.train(RewardConfig(epochs=1), base, learned, workspace, data_id=data.name)
    dpo.train(DPOConfig(epochs=1), base, learned, workspace, data_id=data.name)


def _exact(seed: int, number: int) -> bool:
    """A random project: what is marked, against a walk by hand that knows who put what where."""
    rng = random.Random(derive_seed(seed, "project", number))
    with tempfile.TemporaryDirectory() as folder, Journal.open(Path(folder) / "palate.db") as journal:
        workspace = Workspace(folder)
        made = pairs(journal, 12, "sampling")
        rows.add_raters(journal, [Rater("rater-of-mine"), Rater("rater-of-others")])
        theirs = {one.id for one in made if rng.random() < 0.3} or {made[0].id}
        said = [
            Judgement(uid=f"uid-{who}-{one.id}", comparison=one.id, rater=f"rater-of-{who}", verdict=Verdict.FIRST)
            for one in made for who in ("mine", "others") if who == "others" or one.id in theirs
        ]  # fmt: skip
        judgements.judge(journal, said)
        holds, parents = {}, {}
        for n in range(14):
            inputs = rng.sample(sorted(holds), min(len(holds), rng.randint(0, 2)))
            some = rng.sample(made, rng.randint(1, 4)) if rng.random() < 0.5 else []
            lossless, old = rng.random() < 0.5, rng.random() < 0.3
            kept = [j for j in said if j.comparison in {one.id for one in some} and rng.random() < 0.7]
            id = _artefact(workspace, n, inputs, some, kept if lossless else None, old=old)
            if lossless:
                holds[id] = any(j.rater == "rater-of-mine" for j in kept)
            else:
                holds[id] = not old and any(one.id in theirs for one in some)
            parents[id] = inputs
        wanted: set[str] = set()
        for id in holds:  # inputs come before what is made from them
            if holds[id] or set(parents[id]) & wanted:
                wanted.add(id)
        found = tainted(workspace, Traces(erasure.known(journal, "rater-of-mine").marks))
        return {one.id for one in found} == wanted and {one.id for one in found if one.holds} == {
            id for id in holds if holds[id]
        }


def _artefact(
    workspace: Workspace, number: int, inputs: list[str], some: list[Comparison], kept: list[Judgement] | None,
    *, old: bool,
) -> str:  # fmt: skip
    def write(folder: Path) -> None:
        if some:
            text = "".join(json.dumps({"comparison": one.id, "prompt_id": one.prompt}) + "\n" for one in some)
            (folder / "train.jsonl").write_text(text)
        if kept is not None:
            text = "".join(
                json.dumps({"uid": j.uid, "comparison": j.comparison, "rater": j.rater}) + "\n" for j in kept
            )
            (folder / "judgements.jsonl").write_text(text)

    kind = "dataset" if some else "reward"
    manifest = Manifest(
        kind=kind, made_by="x", config={"n": number}, inputs={str(k): one for k, one in enumerate(inputs)}
    )
    path = workspace.put(manifest, write)
    if old:
        told = json.loads((path / "manifest.json").read_text())
        (path / "manifest.json").write_text(json.dumps(told | {"made_at": "2001-01-01T00:00:00+00:00"}))
    return path.name


def _server(seed: int) -> Iterator[dict[str, Any]]:
    """The same journal on a PostgreSQL of our own."""
    try:
        from tests.postgres.server import Server

        server = Server()
    except (ImportError, AssertionError) as error:
        print(f"forget/postgres_left is left out: {error}", file=sys.stderr)
        return
    try:
        from tests.postgres.server import database

        with database(server.url()) as url, Journal.open(url) as journal:
            with journal.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for setting in ("wal_recycle = off", "min_wal_size = '32MB'"):
                    connection.exec_driver_sql(f"ALTER SYSTEM SET {setting}")
                connection.exec_driver_sql("SELECT pg_reload_conf()")
            person = lived(journal, seed)
            with journal.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("ANALYZE")
                connection.exec_driver_sql("CHECKPOINT")
            names = [person.rater, person.account, person.words["mail"]]
            sought = [*person.words.values(), *names]
            yield count("forget/postgres_before", *_in_files(server.data, sought, names, log=False))
            gone = erasure.forget(journal, person.account, actor="cell")
            if gone.left:
                print(f"left: {gone.left}", file=sys.stderr)
            yield count("forget/postgres_left", *_in_files(server.data, sought, names, log=False))
            yield count("forget/postgres_log_left", *_in_files(server.data, sought, names, log=True))
    finally:
        server.close()


def _in_files(data: Path, sought: list[str], names: list[str], *, log: bool) -> tuple[int, int]:
    """As `left`, in a server's data directory: in its log, or in all the rest."""
    wanted = {form for one in sought for form in forms(one)} | {form for one in names for form in hashes(one)}
    files = [path for path in data.rglob("*") if path.is_file() and ("pg_wal" in path.parts) is log]
    hits = 0
    for path in files:
        held = path.read_bytes()
        # One look for what all words have in common, before each is looked for.
        if b"anary" in held.lower() or any(form in held for one in names for form in forms(one)):
            hits += sum(form in held for form in wanted)
    return hits, len(wanted) * len(files)
