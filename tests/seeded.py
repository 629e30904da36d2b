"""A project with people, comparisons, judgements and a guideline: what the pages are tried on."""

import random
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher

from palate.core.records import Comparison, Completion, Judgement, Prompt, Slate, Verdict
from palate.store import check_items, guidelines, judgements, people, queue, rankings, rows
from palate.store.check_items import CheckItem
from palate.store.journal import Journal

REAL_HASHER = people._HASHER
people._HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""Hundreds of tests log in; what a real password costs is tested where passwords are."""
people._nobody.cache_clear()

PASSWORD = "a long enough password"
EMAILS = {role: f"{role}@example.org" for role in ("owner", "lead", "rater")}
GUIDELINE = """# What better means here

Read both answers before you decide.

## Truth first

An answer that is wrong loses to one that is right, however pleasant it reads.

## Say it once

A shorter answer that says the same is better.

## Refuse kindly

Where something must be refused, it is refused in one sentence, with what can be done instead.
"""
TOPICS = ("travel", "cooking", "code", "harmful")
_WORDS = ("morning", "train", "river", "hills", "stone", "houses", "vineyards", "walk", "inn", "leaves", "the", "and")


def text(number: int, length: int, seed: int = 0) -> str:
    draw = random.Random(f"{seed} {number}")
    words = [draw.choice(_WORDS) for _ in range(length)]
    half = length // 2
    return f"{' '.join(words[:half]).capitalize()}.\n\n- {' '.join(words[half:])}\n- **Answer {number}** ends here."


def comparisons(journal: Journal, count: int, *, source: str = "sampling", topic: str = "", length: int = 60):
    """`count` comparisons of new prompts; the records in their order."""
    made, prompts, completions = [], [], []
    for number in range(count):
        kind = topic or TOPICS[number % 3]
        prompt = Prompt.of(
            f"Question {number} of {source}: how do I get there?", kind=kind, language=("en", "de")[number % 2]
        )
        both = [
            Completion(prompt=prompt.id, text=text(number, length + 20 * side, side), policy=f"model-{side}")
            for side in (0, 1)
        ]
        prompts.append(prompt)
        completions += both
        made.append(Comparison(prompt=prompt.id, first=both[0].id, second=both[1].id, source=source))
    rows.add_prompts(journal, prompts)
    rows.add_completions(journal, completions)
    rows.add_comparisons(journal, made)
    return made


def accounts(journal: Journal, raters: int = 1):
    """An owner, a lead, and raters; all with one password."""
    found = {
        role: people.create_account(journal, name=role.title(), email=EMAILS[role], role=role, password=PASSWORD)
        for role in ("owner", "lead", "rater")
    }
    for number in range(2, raters + 1):
        found[f"rater{number}"] = people.create_account(
            journal, name=f"Rater {number}", email=f"rater{number}@example.org", role="rater", password=PASSWORD
        )
    return found


def guideline(journal: Journal):
    made = guidelines.add(journal, GUIDELINE)
    guidelines.put_in_force(journal, made.id)
    return made


def checks(journal: Journal, count: int = 14):
    """Comparisons whose answer is known, with their clause."""
    made = comparisons(journal, count, source="checks", length=20)
    for number, one in enumerate(made):
        expected = (Verdict.FIRST, Verdict.SECOND, Verdict.TIE)[number % 3]
        item = CheckItem(
            comparison=one.id, expected=expected, explanation="The other one invents a fact.", clause="truth-first"
        )
        check_items.add(journal, item)
    return made


def history(journal: Journal, found, made, version: str, seed: int = 0) -> None:
    """Judgements of six raters over the last days, split here and there."""
    draw = random.Random(seed)
    names = [account.rater for account in found.values() if account.role == "rater"]
    now = datetime.now(UTC)
    said = []
    for number, one in enumerate(made):
        for rater in names[: 2 + number % 3]:
            lean = Verdict.FIRST if draw.random() < (0.5 if number % 5 == 0 else 0.85) else Verdict.SECOND
            stamp = now - timedelta(days=draw.randrange(20), minutes=number)
            said.append(
                Judgement(
                    uid=f"{rater}-{number}",
                    comparison=one.id,
                    rater=rater,
                    verdict=lean,
                    strength=draw.choice((1, 2, 3)),
                    note="Sounds sure, and is not." if number % 5 == 0 else "",
                    reasons=("honest",) if number % 4 == 0 else (),
                    guideline=version,
                    seconds=draw.uniform(8, 60),
                    judged_at=stamp.isoformat(timespec="milliseconds"),
                    swapped=draw.random() < 0.5,
                )
            )
    judgements.judge(journal, said)


def slates(journal: Journal, count: int = 2):
    for number in range(count):
        prompt = Prompt.of(f"Rank these, number {number}.")
        four = [Completion(prompt=prompt.id, text=text(number, 40, seed), policy="m") for seed in range(4)]
        rows.add_prompts(journal, [prompt])
        rows.add_completions(journal, four)
        rankings.add_slates(journal, [Slate(prompt=prompt.id, completions=tuple(c.id for c in four), source="k")])


def project(path, *, queued: int = 120, raters: int = 6):
    """The whole: returns the accounts by name."""
    with Journal.open(path) as journal:
        found = accounts(journal, raters)
        version = guideline(journal)
        history(journal, found, comparisons(journal, 60, source="earlier"), version.id)
        checks(journal)
        slates(journal)
        queue.enqueue(journal, comparisons(journal, queued))
        comparisons(journal, 5, source="not queued")
    return found
