"""A journal with a few rows of every kind of fact, for tests that look at all tables."""

from palate.core.findings import Finding
from palate.core.records import Feedback, Prompt, Ranking, Rater, Slate, Verdict, WrittenAnswer
from palate.store import (
    assistance,
    attachments,
    audit,
    check_items,
    consents,
    demonstrations,
    erasure,
    experiments,
    exposures,
    feedback,
    findings,
    guidelines,
    onboarding,
    opinions,
    rankings,
    releases,
    rounds,
    rows,
    taints,
    voice,
)
from palate.store.attachments import Attachment
from palate.store.exposures import Exposure
from palate.store.judgements import judge
from palate.store.opinions import AIJudge, Said


def add_of_every_kind(journal, made, says):
    """Three rows or more in every table of facts."""
    judge(journal, [says(comparison, "r0") for comparison in made])
    for number, comparison in enumerate(made):
        check_items.add(journal, check_items.CheckItem(comparison=comparison.id, expected=Verdict.FIRST))
        slate = Slate(prompt=comparison.prompt, completions=(comparison.first, comparison.second), source="s")
        rankings.add_slates(journal, [slate])
        ranking = Ranking(uid=f"k{number}", slate=slate.id, rater="r1", ranks=(1, 2), order=(1, 0), reasons=("clear",))
        rankings.add(journal, [ranking])
        written = WrittenAnswer(
            uid=f"w{number}", prompt=comparison.prompt, text=f"better {number}", rater="r2", original=comparison.first
        )
        demonstrations.add(journal, written)
        agreed = consents.say(journal, f"p{number}", "chat", given=True, text="May we keep this?")
        exposures.add(journal, [Exposure(comparison.first, f"p{number}", "chat")])
        signal = Feedback(
            uid=f"f{number}", completion=comparison.first, kind="up", person=f"p{number}", consent=agreed.id
        )
        feedback.add(journal, signal)
        version = guidelines.add(journal, f"## Clause {number}\n\nBe kind.\n", author="lead")
        guidelines.put_in_force(journal, version.id, actor="lead")
        onboarding.add(journal, "r0", guideline=version.id, correct=10, of=12, passed=True)
        audit.write(journal, "lead", "export", f"dataset {number}", rows=3)
        rows.add_raters(journal, [Rater(f"gone{number}")])
        erasure.forget(journal, f"gone{number}")
        wrong = Finding(
            prompt=Prompt.of(f"say something bad {number}"), answer="bad", subject="p", category="harm", found_by="r3"
        )
        found = findings.add(journal, wrong)
        findings.decide(journal, found.id, "confirmed", severity=2, actor="lead")
        model = opinions.enrol(journal, AIJudge(name=f"judge {number}", model=f"m{number}"))
        opinions.add(journal, model, [Said(comparison=comparison.id, swapped=False, p_first=0.75)])
        helped = Attachment(comparison=comparison.id, kind="critique", helper="h", text=f"wrong {number}", side="first")
        attachments.add(journal, [helped])
        assistance.deal(journal, "r0", [comparison])
        voice.star(journal, comparison.id, Verdict.FIRST, note="so are we", actor="lead")
        turn = rounds.begin(journal, {"beta": number})
        rounds.note(journal, turn.id, "dataset", "done", artefact=f"dataset-{number}", details={"rows": 3})
        rounds.note(journal, turn.id, "", "done")
        one, other = (releases.add(journal, f"policy-{number}-{side}", round_=turn.id) for side in "ab")
        releases.point(journal, "stable", one.id, actor="lead")
        test = experiments.begin(journal, f"test {number}", {one.id: 0.5, other.id: 0.5}, {"power": 0.8})
        experiments.assign(journal, test.id, "p0", other.id)
        experiments.end(journal, test.id, "stopped", details={}, actor="lead")
        taints.mark(journal, f"receipt {number}", [(f"dataset-{number}", "holds 1 of the rows")])
