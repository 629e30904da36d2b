"""Labelling over real HTTP, by a server that fails in every way: nothing is lost, nothing is said twice."""

import collections
import subprocess
import sys
import threading
import time

import pytest
from tests.flaky import flaky, longer

from endpoints import endpoint, said
from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.judging.labelling import label
from palate.judging.model_judge import ModelJudge
from palate.models.servers.conversations import Endpoint
from palate.store import judgements, opinions, rows
from palate.store.journal import Journal
from palate.store.opinions import AIJudge

WHO = AIJudge(name="judge", model="judge", template="pairwise-1", template_id="t")
COUNT = 60


def fill(path, count=COUNT):
    """Comparisons of a longer answer with a shorter one, which comes first in every other."""
    prompts = [Prompt.of(f"question {number}?") for number in range(count)]
    texts = [("a longer answer", "short")[:: 1 if number % 2 else -1] for number in range(count)]
    answers = [
        [Completion(prompt=p.id, text=text, policy=f"p{k}", sample=0) for k, text in enumerate(two)]
        for p, two in zip(prompts, texts, strict=True)
    ]
    made = [
        Comparison(prompt=p.id, first=a.id, second=b.id, source="s") for p, (a, b) in zip(prompts, answers, strict=True)
    ]
    with Journal.open(path) as journal:
        rows.add_prompts(journal, prompts)
        rows.add_completions(journal, [c for two in answers for c in two])
        rows.add_comparisons(journal, made)
    return made


@pytest.fixture
def made(tmp_path):
    return fill(tmp_path / "j.db")


def judge(url, **more):
    settings = {"first_wait_s": 0.01, "attempts": 3, "timeout_s": 0.5, "at_once": 8} | more
    return ModelJudge(Endpoint(url=url, model="judge", **settings))


def check(journal, made):
    """Each comparison is judged once, and rightly; each order has one row."""
    told = {j.comparison: j.verdict for j in judgements.judgements(journal)}
    assert len(judgements.judgements(journal, current=False)) == len(made)
    assert told == {one.id: Verdict.FIRST if number % 2 else Verdict.SECOND for number, one in enumerate(made)}
    kept = opinions.opinions(journal, WHO.rater)
    assert all(sorted(one.swapped for one in some) == [False, True] for some in kept.values())


def test_a_judge_that_is_well_says_all_and_every_token_is_counted(tmp_path, made):
    with endpoint(lambda body, _: longer(body)) as (url, told), Journal.open(tmp_path / "j.db") as journal:
        ledger = label(journal, judge(url), WHO)
        assert (ledger.asked, ledger.said, ledger.abstained, ledger.failed) == (2 * COUNT, 2 * COUNT, 0, 0)
        assert (ledger.prompt_tokens, ledger.completion_tokens) == (7 * 2 * COUNT, 3 * 2 * COUNT)
        assert ledger.cost(1.0, 10.0) == pytest.approx((7 + 30) * 2 * COUNT / 1e6)
        check(journal, made)
        assert label(journal, judge(url), WHO).asked == 0, "all is said"
        assert len(told.bodies) == 2 * COUNT


def test_every_way_to_fail_loses_nothing_and_duplicates_nothing(tmp_path, made):
    """Timeouts, 429, 500, broken JSON, dropped connections, redirects to inside, stalls: each question meets some."""
    with flaky() as server, Journal.open(tmp_path / "j.db") as journal:
        first = label(journal, judge(server.url), WHO)
        assert first.failed > 0, "a redirect and a refusal by the server are not asked again at once"
        assert first.asked == first.said + first.failed == 2 * COUNT
        assert sum(first.reasons.values()) == first.failed
        for _ in range(20):
            if not label(journal, judge(server.url), WHO).failed:
                break
        check(journal, made)
    assert set(server.met) == {*server.ways, "well"}
    assert not server.private.is_set(), "nobody followed a redirect"


def test_a_judge_that_will_not_say_is_asked_once_and_its_silence_is_kept(tmp_path, made):
    refuses = "i can not help with that."

    def shy(body, _):
        return refuses if "question 1?" in body["messages"][-1]["content"] else longer(body)

    with endpoint(shy) as (url, told), Journal.open(tmp_path / "j.db") as journal:
        ledger = label(journal, judge(url), WHO)
        assert (ledger.said, ledger.abstained, ledger.failed) == (2 * COUNT - 2, 2, 0)
        assert label(journal, judge(url), WHO).asked == 0
        (skipped,) = [j for j in judgements.judgements(journal) if j.verdict == Verdict.SKIP]
        assert skipped.comparison == made[1].id
        assert refuses in skipped.note
        assert len(told.bodies) == 2 * COUNT


def test_gaps_are_what_no_person_has_judged(tmp_path, made):
    with endpoint(lambda body, _: longer(body)) as (url, _), Journal.open(tmp_path / "j.db") as journal:
        rows.add_raters(journal, [Rater("a")])
        judgements.judge(
            journal,
            [
                Judgement(uid=f"u{n}", comparison=one.id, rater="a", verdict=Verdict.TIE)
                for n, one in enumerate(made[:25])
            ],
        )
        ledger = label(journal, judge(url), WHO, gaps=True)
        assert ledger.asked == 2 * (COUNT - 25)
        other = AIJudge(name="other", model="other", template="pairwise-1", template_id="t")
        assert label(journal, judge(url), other, gaps=True).asked == 2 * (COUNT - 25), "a model's word fills no gap"
        assert {one.comparison for one in judgements.judgements(journal)} == {one.id for one in made}


def test_a_judge_that_likes_whatever_stands_first_calls_a_tie(tmp_path, made):
    with endpoint(lambda *_: "A") as (url, _), Journal.open(tmp_path / "j.db") as journal:
        label(journal, judge(url), WHO, at_most=5)
        assert [j.verdict for j in judgements.judgements(journal)] == [Verdict.TIE] * 5


def test_after_kill_9_it_goes_on_and_asks_little_again(tmp_path, made):
    program = (
        "import sys\n"
        "from palate.judging.labelling import label\n"
        "from palate.judging.model_judge import ModelJudge\n"
        "from palate.models.servers.conversations import Endpoint\n"
        "from palate.store.journal import Journal\n"
        "from palate.store.opinions import AIJudge\n"
        "with Journal.open(sys.argv[1]) as journal:\n"
        "    judge = ModelJudge(Endpoint(url=sys.argv[2], model='judge', at_once=4))\n"
        "    who = AIJudge(name='judge', model='judge', template='pairwise-1', template_id='t')\n"
        "    label(journal, judge, who, at_once=8)\n"
    )
    path, asked, reached = tmp_path / "j.db", collections.Counter(), threading.Event()

    def slow(body, _):
        asked[body["messages"][-1]["content"]] += 1
        if len(asked) >= COUNT:
            reached.set()
        time.sleep(0.01)
        return said(longer(body))

    with endpoint(slow) as (url, _):
        with subprocess.Popen([sys.executable, "-c", program, str(path), url]) as process:
            assert reached.wait(60)
            process.kill()
        with Journal.open(path) as journal:
            kept = sum(map(len, opinions.opinions(journal, WHO.rater).values()))
            assert COUNT - 16 <= kept < 2 * COUNT
            assert label(journal, judge(url, timeout_s=5), WHO).asked == 2 * COUNT - kept
            check(journal, made)
    assert sum(asked.values()) <= 2 * COUNT + 8, "at most what was under way is asked again"
