"""Accounts, sessions, tokens and invitations: who comes in, who does not, and what the journal keeps of secrets."""

import time

import pytest
from sqlalchemy import select, update

import seeded
from palate.core.errors import ConfigError, DataError
from palate.core.pseudonyms import pseudonym
from palate.store import audit, drafts, people, queue, rows, schema, sessions, settings, tokens
from palate.store.queue import QueuePolicy

GOOD = "correct horse battery"


@pytest.fixture
def as_dear_as_in_earnest(monkeypatch):
    monkeypatch.setattr(people, "_HASHER", seeded.REAL_HASHER)
    people._nobody.cache_clear()
    yield
    people._nobody.cache_clear()


def test_a_guess_is_dear(as_dear_as_in_earnest):
    """At least what OWASP's password storage sheet asks of Argon2id: 19 MiB, two passes."""
    assert people._HASHER.memory_cost >= 19 * 1024
    assert people._HASHER.time_cost >= 2


@pytest.fixture
def owner(journal):
    return people.create_account(journal, name="Ada", email="Ada@Example.org ", role="owner", password=GOOD)


def everything(journal):
    """All that is stored, as text."""
    with journal.reading() as connection:
        return repr([connection.execute(select(table)).all() for table in schema.metadata.sorted_tables])


def test_a_password_lets_in_and_is_not_stored(journal, owner):
    assert owner.email == "ada@example.org"
    assert people.verify(journal, " ADA@example.org", GOOD) == owner
    for email, password in (("ada@example.org", "wrong"), ("bob@example.org", GOOD), ("", ""), ("ada@example.org", "")):
        assert people.verify(journal, email, password) is None
    assert GOOD not in everything(journal)
    assert "$argon2id$" in everything(journal)


def test_an_unknown_address_takes_as_long_as_a_wrong_password(as_dear_as_in_earnest, journal, owner):
    def took(email):
        began = time.process_time()
        people.verify(journal, email, "wrong")
        return time.process_time() - began

    took("warm@up")
    # Hashing is nearly all of it; without it the unknown would take a hundredth.
    assert 0.3 < min(took("nobody@x") for _ in range(3)) / min(took("ada@example.org") for _ in range(3)) < 3


def test_a_rater_is_a_pseudonym_under_the_projects_key(journal, owner):
    assert owner.rater == pseudonym(settings.key(journal), owner.id, "r")
    assert rows.raters(journal)[owner.rater].kind == "person"
    assert "ada" not in owner.rater.lower()
    other = people.create_account(journal, name="robot", role="app")
    assert (other.rater, other.email) == ("", "")
    settings.new_pseudonyms(journal)
    assert pseudonym(settings.key(journal), owner.id, "r") != owner.rater


def test_accounts_that_cannot_be_are_refused(journal, owner):
    make = people.create_account
    with pytest.raises(DataError, match="account already"):
        make(journal, name="x", email="ADA@example.org", role="rater", password=GOOD)
    for wrong in (
        {"role": "king", "email": "x@y"},
        {"role": "rater", "email": ""},
        {"role": "rater", "email": "x@y", "password": "short"},
        {"role": "rater", "email": "x@y", "password": "x" * 2000},
    ):
        with pytest.raises(ConfigError):
            make(journal, name="x", **wrong)
    assert people.accounts(journal) == [owner]


def test_sessions_open_and_end(journal, owner):
    one, other = (sessions.open(journal, owner.id) for _ in range(2))
    assert sessions.find(journal, one.token) == (owner, one.csrf)
    assert one.token not in everything(journal)
    assert sessions.find(journal, "made up") is None
    assert sessions.count(journal, owner.id) == 2
    assert sessions.close_all(journal, owner.id, but=one.token) == 1
    assert sessions.find(journal, other.token) is None
    sessions.close(journal, one.token)
    assert sessions.find(journal, one.token) is None


def test_a_session_runs_out(journal, owner):
    opened = sessions.open(journal, owner.id, hours=1)
    with journal.transaction() as connection:
        connection.execute(update(schema.session).values(expires_s=time.time() - 1))
    assert sessions.find(journal, opened.token) is None
    sessions.open(journal, owner.id)
    assert rows.counts(journal)["session"] == 1


def test_a_token_does_what_its_scopes_say_until_it_is_revoked(journal, owner):
    secret = tokens.create(journal, owner.id, ["chat", "rate"], name="script")
    assert secret.startswith("sk-palate-")
    assert len(secret) >= len("sk-palate-") + 43  # 32 bytes
    found = tokens.find(journal, secret)
    assert (found.account, found.scopes) == (owner, ("chat", "rate"))
    assert secret not in everything(journal)
    (listed,) = tokens.of(journal, owner.id)
    assert secret.startswith(listed.prefix)
    assert listed.last_used is not None
    assert tokens.find(journal, secret + "x") is None
    assert tokens.revoke(journal, listed.id)
    assert not tokens.revoke(journal, listed.id)
    assert tokens.find(journal, secret) is None
    with pytest.raises(ConfigError):
        tokens.create(journal, owner.id, ["everything"])
    old = tokens.create(journal, owner.id, ["chat"], days=-1)
    assert tokens.find(journal, old) is None


def test_deactivation_ends_sessions_tokens_and_leases(journal, where, filled, owner):
    rater = people.create_account(journal, name="Bo", email="bo@x", role="rater", password=GOOD)
    queue.enqueue(journal, filled(where, 2))
    assert len(queue.take(journal, rater.rater, 2, policy=QueuePolicy())) == 2
    session, token = sessions.open(journal, rater.id), tokens.create(journal, rater.id, ["rate"])
    people.deactivate(journal, rater.id)
    assert sessions.find(journal, session.token) is None
    assert tokens.find(journal, token) is None
    assert people.verify(journal, "bo@x", GOOD) is None
    assert queue.progress(journal).held == 0
    for refused in (lambda: sessions.open(journal, rater.id), lambda: tokens.create(journal, rater.id, ["rate"])):
        with pytest.raises(DataError, match="closed"):
            refused()
    people.activate(journal, rater.id)
    assert people.verify(journal, "bo@x", GOOD) is not None
    assert tokens.find(journal, token) is None


def test_the_last_owner_stays(journal, owner):
    assert people.owner_exists(journal)
    for refused in (lambda: people.deactivate(journal, owner.id), lambda: people.set_role(journal, owner.id, "rater")):
        with pytest.raises(DataError, match="without an owner"):
            refused()
    assert people.find(journal, owner.id) == owner
    other = people.create_account(journal, name="Eve", email="e@x", role="lead", password=GOOD)
    people.set_role(journal, other.id, "owner")
    people.set_role(journal, owner.id, "lead")
    assert people.find(journal, owner.id).role == "lead"
    with pytest.raises(DataError, match="no such account"):
        people.rename(journal, "nobody", "x")


def test_an_invitation_works_once(journal, owner):
    secret = people.invite(journal, "rater", email="New@x.org", inviter=owner.id)
    assert secret not in everything(journal)
    assert people.invitation(journal, secret).email == "new@x.org"
    assert people.invitation(journal, "made up") is None
    with pytest.raises(ConfigError, match="wrong length"):
        people.accept(journal, secret, name="N", password="short")
    with pytest.raises(DataError, match="another address"):
        people.accept(journal, secret, name="N", email="other@x.org", password=GOOD)
    made = people.accept(journal, secret, name="N", email="new@X.org", password=GOOD)
    assert (made.role, made.email) == ("rater", "new@x.org")
    assert people.invitation(journal, secret) is None
    with pytest.raises(DataError, match="no longer good"):
        people.accept(journal, secret, name="N", password=GOOD)
    with pytest.raises(ConfigError):
        people.invite(journal, "app")


def test_a_mistake_does_not_use_an_invitation_up(journal, owner):
    secret = people.invite(journal, "rater")
    with pytest.raises(DataError, match="account already"):
        people.accept(journal, secret, name="N", email="ada@example.org", password=GOOD)
    assert people.accept(journal, secret, name="N", email="n@x", password=GOOD).email == "n@x"


def test_a_reset_link_sets_a_password_and_ends_sessions(journal, owner):
    session = sessions.open(journal, owner.id)
    secret = people.invite_reset(journal, owner.id)
    assert people.accept(journal, secret, password="another good one").id == owner.id
    assert sessions.find(journal, session.token) is None
    assert people.verify(journal, owner.email, GOOD) is None
    assert people.verify(journal, owner.email, "another good one") == owner
    late = people.invite_reset(journal, owner.id, hours=-1)
    assert people.invitation(journal, late) is None


def test_settings_drafts_and_the_audit_log(journal, owner):
    assert settings.get(journal, "budget") is None
    settings.put(journal, "budget", {"comparison": 0.5, "words": "ü"})
    settings.put(journal, "budget", {"comparison": 0.7})
    assert settings.get(journal, "budget") == {"comparison": 0.7}
    settings.put(journal, "budget", None)
    assert settings.get(journal, "budget") is None
    drafts.save(journal, "r", "c", "half a tho\x00ught")
    drafts.save(journal, "r", "c", "half a thought\x00, and more")
    assert drafts.get(journal, "r", "c") == "half a thought\x00, and more"
    drafts.save(journal, "r", "c", "")
    assert drafts.get(journal, "r", "c") == ""
    for number in range(5):
        audit.write(journal, owner.id, "export" if number % 2 else "login", f"thing {number}", rows=number)
    newest, *rest = audit.read(journal, most=3)
    assert (newest.actor, newest.action, newest.object, newest.details) == (owner.id, "login", "thing 4", {"rows": 4})
    assert [entry.object for entry in rest] == ["thing 3", "thing 2"]
    assert [entry.object for entry in audit.read(journal, before=rest[-1].number)] == ["thing 1", "thing 0"]
    assert [entry.object for entry in audit.read(journal, action="export")] == ["thing 3", "thing 1"]
