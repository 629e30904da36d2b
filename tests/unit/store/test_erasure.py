"""Who is forgotten is gone from every table and from the bytes of the file; everybody else keeps what is theirs."""

import json
import random

import pytest
from sqlalchemy import event, select

from palate.core.errors import ConfigError, DataError, StoreError
from palate.core.records import Comparison, Completion, Feedback, Prompt, Ranking, Slate, Verdict, WrittenAnswer
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
    guidelines,
    people,
    queue,
    rankings,
    releases,
    rounds,
    rows,
    schema,
    sessions,
    settings,
    tokens,
    voice,
)
from palate.store.check_items import CheckItem
from palate.store.exposures import Exposure
from palate.store.journal import Journal
from palate.store.judgements import judge, judgements
from palate.store.queue import QueuePolicy
from palate.store.scouring import scour

SECRET = "MARMALADE"


@pytest.fixture
def ada(journal, where, filled, says):
    """A rater who also chats; every text that is hers holds `SECRET`."""
    made = filled(where, 4)
    queue.enqueue(journal, made)
    account = people.create_account(
        journal, name=f"Ada {SECRET}", email=f"{SECRET}@x.org", role="rater", password="long enough"
    )
    me = account.rater
    judge(journal, [says(made[0], me, note=SECRET), says(made[1], me), says(made[0], "r0"), says(made[1], "r0")])
    queue.take(journal, me, 1, policy=QueuePolicy())
    drafts.save(journal, me, made[2].id, f"draft {SECRET}")
    slate = Slate(prompt=made[0].prompt, completions=(made[0].first, made[0].second))
    rankings.add_slates(journal, [slate])
    rankings.add(journal, [Ranking(uid="k", slate=slate.id, rater=me, ranks=(1, 2), order=(0, 1), note=SECRET)])
    written = WrittenAnswer(uid="w", prompt=made[0].prompt, text=f"better {SECRET}", rater=me, original=made[0].first)
    edited = demonstrations.add(journal, written)
    judge(journal, [says(edited, "r1", Verdict.TIE, note="by another")])
    asked = Prompt.of(f"My name is {SECRET}")
    drafts_of = [Completion(prompt=asked.id, text=f"Hello {SECRET} {k}", policy="p", sample=k) for k in range(2)]
    rows.add_prompts(journal, [asked])
    rows.add_completions(journal, drafts_of)
    weak = Comparison(prompt=asked.id, first=drafts_of[0].id, second=drafts_of[1].id, source="regenerate")
    rows.add_comparisons(journal, [weak])
    queue.enqueue(journal, [weak])
    judge(journal, [says(weak, "r2")])
    chat = chats.create(journal, me, f"About {SECRET}")
    agreed = consents.say(journal, me, chat.id, given=True, text="May we keep this?")
    exposures.add(journal, [Exposure(c.id, me, chat.id) for c in drafts_of])
    signal = Feedback(uid="f", completion=drafts_of[0].id, kind="up", person=me, note=SECRET, consent=agreed.id)
    feedback.add(journal, signal)
    sessions.open(journal, account.id)
    tokens.create(journal, account.id, ["rate"])
    people.invite(journal, "rater", email=f"{SECRET}@x.org")
    audit.write(journal, account.id, "login", account.id)
    return account, made, edited, weak


def everything(journal):
    with journal.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table))]
            for table in schema.metadata.sorted_tables
        }


def test_nothing_of_a_forgotten_person_is_left(journal, where, engine, ada):
    account, made, edited, weak = ada
    assert SECRET in repr(everything(journal))
    receipt = erasure.forget(journal, account.id, actor="lead")
    left = everything(journal)
    assert SECRET.lower() not in repr(left).lower()
    assert account.rater not in repr(left)
    if engine == "sqlite":
        # Not in a free page, nor in the log.
        for path in where.parent.iterdir():
            assert SECRET.encode() not in path.read_bytes(), path.name
            assert SECRET.lower().encode() not in path.read_bytes(), path.name
    assert set(receipt.comparisons) == {made[0].id, made[1].id, edited.id, weak.id}
    assert receipt.deleted["judgement"] == 5
    assert receipt.tombstones == len(left["tombstone"])
    # What others said of what was not hers stays, and somebody else is asked in her place.
    assert {j.uid for j in judgements(journal)} == {f"{made[0].id}-r0", f"{made[1].id}-r0"}
    assert [task.comparison.id for task in queue.take(journal, "r0", 9, policy=QueuePolicy())] != []
    assert backup.verify(journal).problems == ()
    (entry,) = audit.read(journal, action="forgot")
    assert (entry.actor, entry.object, entry.details["deleted"]) == ("lead", receipt.id, receipt.deleted)
    with pytest.raises(DataError, match="nobody of this name"):
        erasure.forget(journal, account.id)


def test_what_comes_again_is_recognised(journal, ada):
    account, made, edited, _ = ada
    receipt = erasure.forget(journal, account.rater)
    assert erasure.erased(journal, "comparison", [edited.id, made[2].id]) == {edited.id}
    assert erasure.erased(journal, "person", [account.rater, "r0"]) == {account.rater}
    assert erasure.erased(journal, "completion", receipt.completions) == set(receipt.completions)
    # The hash is under the project's key: the id alone does not lead to it.
    assert edited.id not in repr(everything(journal)["tombstone"])


def test_the_guards_are_up_again_afterwards_and_when_it_fails(journal, ada, monkeypatch):
    account = ada[0]

    def fails(*_, **__):
        raise KeyError

    before = everything(journal)
    monkeypatch.setattr(erasure.audit, "note", fails)
    with pytest.raises(KeyError):
        erasure.forget(journal, account.id)
    assert everything(journal) == before
    monkeypatch.undo()
    erasure.forget(journal, account.id)
    for statement in ("DELETE FROM judgement", "DELETE FROM tombstone", "UPDATE prompt SET kind = 'x'"):
        with pytest.raises(StoreError, match="refuses an edit"), journal.transaction() as connection:
            connection.exec_driver_sql(statement)


def test_a_person_may_see_all_that_is_theirs_and_no_secret(journal, ada):
    account = ada[0]
    found = erasure.export_person(journal, f"{SECRET}@X.org")
    assert {"judgement", "ranking", "written_answer", "feedback", "exposure", "consent", "chat", "draft"} <= set(found)
    assert {row["text"] for row in found["completion"]} >= {f"Hello {SECRET} 0", f"better {SECRET}"}
    assert found["account"][0]["name"] == f"Ada {SECRET}"
    assert "password" not in found["account"][0]
    assert found["audit"][0]["action"] == "login"
    assert "argon2" not in json.dumps(found)
    assert all(row["rater"] == account.rater for row in found["judgement"])
    with pytest.raises(DataError):
        erasure.export_person(journal, "nobody")


def shown(journal, person, text, at, agreed=None):
    prompt = Prompt.of(f"{text}?")
    answer = Completion(prompt=prompt.id, text=text, policy="p")
    rows.add_prompts(journal, [prompt])
    rows.add_completions(journal, [answer])
    chat = chats.create(journal, person)
    exposures.add(journal, [Exposure(answer.id, person, chat.id, at)])
    if agreed is not None:
        consents.say(journal, person, chat.id, given=agreed, text="Keep it?")
    signal = Feedback(uid=text, completion=answer.id, kind="up", person=person, created_at=at)
    feedback.add(journal, signal)
    return answer


def test_what_is_old_expires_unless_its_person_agreed(journal):
    old, new = "2020-01-01T00:00:00.000+00:00", "2999-01-01T00:00:00.000+00:00"
    gone = shown(journal, "p1", "old", old)
    refused = shown(journal, "p1", "refused", old, agreed=False)
    kept = [shown(journal, "p1", "agreed", old, agreed=True), shown(journal, "p2", "new", new)]
    both = shown(journal, "p2", "seen again", old)
    exposures.add(journal, [Exposure(both.id, "p3", "c", new)])
    receipt = erasure.expire(journal, 30)
    assert set(receipt.completions) == {gone.id, refused.id}
    assert set(rows.completions(journal)) == {c.id for c in [*kept, both]}
    assert {f.uid for f in feedback.every(journal)} == {"agreed", "new"}
    assert erasure.expire(journal, 30).deleted == {}
    with pytest.raises(ConfigError):
        erasure.expire(journal, 0)


def test_what_was_withheld_from_somebody_goes_with_what_they_asked(journal):
    """Nobody was shown it, so nobody's exposure leads to it; another's question of the same words keeps it."""
    asked = [Prompt.of(f"a question of {SECRET}"), Prompt.of("a question of two")]
    said = [Completion(prompt=one.id, text="No.", policy="guardrails-1") for one in asked]
    unseen = [Completion(prompt=one.id, text=f"withheld {SECRET}", policy="withheld:p") for one in asked]
    rows.add_prompts(journal, asked)
    rows.add_completions(journal, [*said, *unseen])
    exposures.add(journal, [Exposure(one.id, "ada", "c1") for one in said] + [Exposure(said[1].id, "bob", "c2")])
    gone = erasure.forget(journal, "ada")
    assert set(gone.completions) == {said[0].id, unseen[0].id}
    assert rows.counts(journal)["completion"] == 2
    erasure.forget(journal, "bob")
    assert rows.counts(journal)["completion"] == rows.counts(journal)["prompt"] == 0


def test_what_a_lead_did_stays_without_who_and_why(journal, where, filled):
    made = filled(where, 2)
    lead = people.create_account(journal, name="Lea Lead", email="lea@x.org", role="lead", password="long enough")
    version = guidelines.add(journal, "## Be kind\n\nAlways.\n", author=lead.id)
    guidelines.put_in_force(journal, version.id, actor=lead.id)
    item = CheckItem(comparison=made[0].id, expected=Verdict.FIRST, explanation=SECRET, author=lead.id)
    check_items.add(journal, item)
    voice.star(journal, made[1].id, Verdict.FIRST, note=SECRET, actor=lead.id)
    turn = rounds.begin(journal, {"beta": 1})
    rounds.note(journal, turn.id, "gate", "overridden", details={"why": SECRET, "actor": lead.id})
    release = releases.add(journal, "policy-1", why=SECRET, actor=lead.id)
    people.invite(journal, "rater", email="new@x.org", inviter=lead.id)
    audit.write(journal, "", "invited", "LEA@x.org", by=[lead.id], kept=1)
    settings.put(journal, "told", {"whom": lead.id})
    renamed = erasure.forget(journal, lead.id).renamed
    left = repr(everything(journal))
    for gone in (SECRET, lead.id, lead.rater or lead.id, "lea@x.org", "LEA@x.org"):
        assert gone not in left
    assert renamed["audit"] >= 2
    assert guidelines.current(journal).text == version.text
    (alias,) = {one.actor for one in releases.every(journal)}
    assert alias.startswith("gone-")
    assert rounds.steps(journal, turn.id)[-1].details == {"why": "", "actor": alias}
    assert releases.every(journal)[0]._replace(why="", actor="") == release._replace(why="", actor="")
    assert settings.get(journal, "told") == {"whom": alias}
    assert [one.details for one in audit.read(journal, action="invited")] == [{"by": [alias], "kept": 1}]
    assert backup.verify(journal).problems == ()


@pytest.fixture
def crowded(journal, where, engine, filled, says):
    """Many long notes of two raters, so that pages are full, split, and freed."""
    if engine != "sqlite":
        pytest.skip("pages of a file")
    # Some builds of SQLite overwrite by themselves.
    event.listen(journal.engine, "connect", lambda connection, _: connection.execute("PRAGMA secure_delete = OFF"))
    journal.engine.dispose()
    made = filled(where, 300)
    draw = random.Random(0)
    order = [(one, rater) for one in made for rater in ("r0", "r1")]
    draw.shuffle(order)
    for start in range(0, len(order), 50):
        some = order[start : start + 50]
        note = {"r0": SECRET * 3, "r1": "fine " * 5}
        longer = {"r0": SECRET * 900, "r1": "fine"}
        judge(journal, [says(c, who, note=(longer if k % 10 == 0 else note)[who], uid=f"{draw.random()} {who} {SECRET if who == 'r0' else ''}") for k, (c, who) in enumerate(some)])  # fmt: skip # noqa: E501
    for number in range(20):
        drafts.save(journal, "r0", made[number].id, f"{SECRET} {number}" * 200)
        with journal.transaction() as connection:
            drafts.drop(connection, "r0", made[number].id)
    return where


def bytes_of(where):
    return b"".join(path.read_bytes() for path in where.parent.iterdir() if path.name.startswith(where.name))


def test_freed_and_split_pages_hold_nothing_and_overwriting_alone_is_not_enough(journal, crowded, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(erasure, "scour", lambda journal: ())
        erasure.forget(journal, "r0")
    with journal.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert SECRET.encode() in bytes_of(crowded), "what secure_delete leaves"
    assert scour(journal) == ()
    assert SECRET.encode() not in bytes_of(crowded)
    assert {j.rater for j in judgements(journal)} == {"r1"}
    assert backup.verify(journal).problems == ()


@pytest.mark.slow  # it waits for whoever reads
def test_who_reads_meanwhile_keeps_the_log_and_the_receipt_says_so(journal, crowded):
    with journal.reading() as connection:
        connection.execute(select(schema.judgement).limit(1)).all()
        with Journal.open(crowded) as other:
            erasure.forget(other, "r1")
            (told,) = scour(other, wait_s=0.1)
    assert "somebody reads it" in told
    assert scour(journal) == ()
