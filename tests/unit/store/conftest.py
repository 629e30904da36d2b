import zlib

import pytest
from sqlalchemy import make_url
from tests.postgres import server

from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.store import rows
from palate.store.journal import Journal


def pytest_configure(config):
    config.addinivalue_line("markers", "postgres: on a real PostgreSQL; `make test` runs a tenth, `make postgres` all")


def pytest_collection_modifyitems(items):
    """Each test runs on SQLite and on PostgreSQL; of the latter nine in ten are left to `make postgres`."""
    for item in items:
        if getattr(item, "callspec", None) and item.callspec.params.get("engine") == "postgresql":
            item.add_marker(pytest.mark.postgres)
            if zlib.crc32(item.nodeid.encode()) % 10:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def postgres():
    """The URL of a running PostgreSQL with an empty journal to copy from."""
    with server.running() as (url, _), server.database(url) as template:
        Journal.open(template).close()
        yield url, make_url(template).database


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    return request.param


@pytest.fixture
def where(engine, tmp_path, request):
    """Where a new journal goes: a path, or the URL of an empty database."""
    if engine == "sqlite":
        yield tmp_path / "j.db"
    else:
        url, template = request.getfixturevalue("postgres")
        with server.database(url, template) as made:
            yield made


@pytest.fixture
def journal(where):
    with Journal.open(where) as opened:
        yield opened


@pytest.fixture
def filled():
    """A function that makes a journal of so many comparisons, one a prompt, with raters r0, r1 …"""

    def fill(where, comparisons, raters=4):
        prompts = [Prompt.of(f"prompt {number}") for number in range(comparisons)]
        answers = [
            [Completion(prompt=p.id, text=f"answer {k}", policy=f"policy-{k}", sample=k) for k in range(2)]
            for p in prompts
        ]
        made = [
            Comparison(prompt=p.id, first=a.id, second=b.id, source="s")
            for p, (a, b) in zip(prompts, answers, strict=True)
        ]
        with Journal.open(where) as journal:
            rows.add_prompts(journal, prompts)
            rows.add_completions(journal, [c for pair in answers for c in pair])
            rows.add_comparisons(journal, made)
            rows.add_raters(journal, [Rater(f"r{k}") for k in range(raters)])
        return made

    return fill


@pytest.fixture
def says():
    """A function that makes a judgement of a comparison."""

    def say(comparison, rater, verdict=Verdict.FIRST, uid="", **more):
        uid = uid or f"{comparison.id}-{rater}"
        return Judgement(uid=uid, comparison=comparison.id, rater=rater, verdict=verdict, **more)

    return say
