"""Workers that share a judge: the rows are those of one process, whoever dies, and nothing is asked twice."""

import os
from pathlib import Path

import pytest
from tests.unit.judging.crews import Longer

from palate.core.artefacts import Workspace
from palate.core.judges import Pair
from palate.core.records import Comparison, Completion, Preference, Prompt
from palate.evaluation.reward_judge import RewardJudge
from palate.fleet.processes import Processes
from palate.fleet.work import Job
from palate.judging.crew import Crew
from palate.judging.labelling import label
from palate.judging.local_judge import LocalJudge
from palate.store import judgements, opinions, rows
from palate.store.journal import Journal
from palate.store.opinions import AIJudge
from palate.training import reward
from tiny_models import make

HERE = Path(__file__).resolve().parents[3]
WHO = AIJudge(name="judge", model="m")
COUNT = 120


@pytest.fixture(autouse=True)
def _workers_find_their_work(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


def job(name, **settings):
    return Job(f"tests.unit.judging.crews:{name}", settings)


def dying(one, tmp_path):
    return job("deadly", make=one.make, settings=one.settings, killed=str(tmp_path / "killed"))


def project(path):
    """Comparisons of answers of many lengths; some are as long as each other."""
    prompts = [Prompt.of(f"question {number}?", kind="plan") for number in range(COUNT)]
    answers = [
        [Completion(prompt=p.id, text="figma " * (1 + (n + 2 * k) % 5) + "." * k, policy="p", sample=k) for k in (0, 1)]
        for n, p in enumerate(prompts)
    ]
    with Journal.open(path) as journal:
        rows.add_prompts(journal, prompts)
        rows.add_completions(journal, [c for two in answers for c in two])
        rows.add_comparisons(
            journal,
            [
                Comparison(prompt=p.id, first=a.id, second=b.id, source="s")
                for p, (a, b) in zip(prompts, answers, strict=True)
            ],
        )
    return path


def told(path, judge, *, orders=(False, True), at_once=64, at_most=0):
    """What the journal holds after a judge was asked: the ledger, and opinions without their times."""
    with Journal.open(path) as journal:
        ledger = label(journal, judge, WHO, orders=orders, at_once=at_once, at_most=at_most)
        kept = {
            (id, one.swapped): (one.p_first, one.why, one.principle)
            for id, some in opinions.opinions(journal, WHO.rater).items()
            for one in some
        }
        verdicts = {j.comparison: j.verdict for j in judgements.judgements(journal)}
    return ledger, (kept, verdicts)


def test_rows_are_those_of_one_process_also_after_a_worker_was_killed_and_after_a_new_start(tmp_path):
    _, alone = told(project(tmp_path / "alone.db"), Longer())
    assert len(alone[0]) == 2 * COUNT
    path = project(tmp_path / "crew.db")
    with Crew("longer", dying(job("longer"), tmp_path), Processes(2)) as crew:
        ledger, _ = told(path, crew, at_once=64 * 2, at_most=80)
        assert crew.deaths == 1
        assert (ledger.asked, ledger.failed) == (160, 0)
        ledger, shared = told(path, crew, at_once=64 * 2)
    assert ledger.asked == 2 * (COUNT - 80), "what was said is not asked again"
    assert shared == alone


def test_what_a_judge_cannot_judge_has_failed_and_the_others_have_not():
    pairs = [Pair(Prompt.of("q"), "x" * n, "yy") for n in range(4)]
    with Crew("longer", job("longer"), Processes(1)) as crew:
        found = crew.judge(pairs)
    assert [one.failed for one in found] == [True, False, False, False]
    assert found[0].why == "the judge could not be asked: ValueError: there is nothing to judge"
    assert [one.p_first for one in found[1:]] == [1 / 3, None, 3 / 5]
    assert found[2].why == "as long"


def folders(tmp_path):
    """A causal model and a reward model as judges, with the jobs that make the same ones."""
    base = make(tmp_path / "base", "gpt2", context=1024)
    learned = [Preference(comparison="c", prompt=Prompt.of("q?"), chosen="figma", rejected="user", p_chosen=1.0)]
    scored = reward.train(reward.RewardConfig(warmup_steps=1), base, learned, Workspace(tmp_path))
    asking = {"clamp": [0.4, 0.6]}
    for folder, judge, orders in ((base, LocalJudge(base), (False, True)), (scored, RewardJudge(scored), (False,))):
        from palate.cli.judges import chosen

        settings = {"folder": str(folder), "asking": asking, "rater": chosen(str(folder)).who.rater, "threads": 1}
        yield judge, Job("palate.cli.crews:work", settings), orders


@pytest.mark.slow  # workers load torch
def test_folders_give_the_same_rows_to_the_last_bit(tmp_path):
    for number, (judge, one, orders) in enumerate(folders(tmp_path)):
        place = tmp_path / str(number)
        place.mkdir()
        _, alone = told(project(place / "alone.db"), judge, orders=orders)
        with Crew(judge.name, dying(one, place), Processes(2)) as crew:
            ledger, shared = told(project(place / "crew.db"), crew, orders=orders, at_once=64 * 8)
            assert (crew.deaths, ledger.failed) == (1, 0)
        assert shared == alone
        assert len({p for p, _, _ in alone[0].values()}) > COUNT / 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_two_workers_of_ray_give_the_same_rows(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    from palate.fleet.ray_workers import RayWorkers

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    judge, one, orders = next(folders(tmp_path))
    _, alone = told(project(tmp_path / "alone.db"), judge, orders=orders)
    with Crew(judge.name, dying(one, tmp_path), RayWorkers(2)) as crew:
        ledger, shared = told(project(tmp_path / "crew.db"), crew, orders=orders, at_once=64 * 8)
        assert (crew.deaths, ledger.failed) == (1, 0)
    assert shared == alone


@pytest.mark.slow
def test_another_folder_in_a_workers_place_is_refused(tmp_path):
    _, one, _ = next(folders(tmp_path))
    other = Job(one.make, {**one.settings, "rater": "model-other"})
    with Crew("m", other, Processes(1)) as crew:
        (found,) = crew.judge([Pair(Prompt.of("q"), "x", "y")])
    assert found.failed
    assert "a worker has another judge" in found.why
