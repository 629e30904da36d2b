from itertools import combinations

import pytest

from palate.core.records import Comparison, Completion, Judgement, Prompt, Rater, Verdict
from palate.store import rows
from palate.store.journal import Journal
from palate.store.judgements import judge


@pytest.fixture(scope="session")
def asked():
    """A function that queues the comparisons of so many prompts, three a prompt, from three policies."""

    def ask(journal, prompts, first=0):
        questions = [Prompt.of(f"question {k}", kind=f"kind {k % 2}") for k in range(first, first + prompts)]
        answers = {
            p.id: [Completion(prompt=p.id, text=f"answer{' more' * k}", policy=f"policy-{k}") for k in range(3)]
            for p in questions
        }
        made = [
            Comparison(prompt=p.id, first=a.id, second=b.id, source=p.kind.replace("kind", "source"))
            for p in questions
            for a, b in combinations(answers[p.id], 2)
        ]
        rows.add_prompts(journal, questions)
        rows.add_completions(journal, [c for three in answers.values() for c in three])
        rows.add_comparisons(journal, made)
        rows.add_raters(journal, [Rater(f"r{k}") for k in range(4)])
        return made

    return ask


@pytest.fixture(scope="session")
def said():
    """A function that makes judgements of a comparison from `(rater, verdict)`, in their order."""

    def say(comparison, *given, start=0, **more):
        return [
            Judgement(
                uid=f"{comparison}/{start + k}", comparison=comparison, rater=rater, verdict=Verdict(verdict), **more
            )
            for k, (rater, verdict) in enumerate(given)
        ]

    return say


@pytest.fixture
def study(asked, said):
    """A function that makes a journal of so many prompts; r0 and r1 agree on two comparisons of three."""

    def make(path, prompts):
        with Journal.open(path) as journal:
            made = asked(journal, prompts)
            given = [
                said(c.id, ("r0", "first"), ("r1", "second" if k % 3 == 0 else "first")) for k, c in enumerate(made)
            ]
            judge(journal, [j for group in given for j in group])
        return made

    return make
