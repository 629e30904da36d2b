import pytest

from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.store import rows
from palate.store.journal import Journal


@pytest.fixture
def filled():
    """A function that makes a journal of so many comparisons, one a prompt, with raters r0, r1 …"""

    def fill(path, comparisons, raters=4):
        prompts = [Prompt.of(f"prompt {number}") for number in range(comparisons)]
        answers = [
            [Completion(prompt=p.id, text=f"answer {k}", policy=f"policy-{k}", sample=k) for k in range(2)]
            for p in prompts
        ]
        made = [
            Comparison(prompt=p.id, first=a.id, second=b.id, source="s")
            for p, (a, b) in zip(prompts, answers, strict=True)
        ]
        with Journal.open(path) as journal:
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
