"""An A/B test that people took part in, written into a journal as the server would have written it."""

from datetime import UTC, datetime, timedelta

from palate.core.ids import content_id
from palate.core.records import Comparison, Completion, Feedback, Judgement, Prompt, Rater, Verdict
from palate.rounds import trials
from palate.serving import trial
from palate.store import experiments, exposures, feedback, judgements, releases, rows
from palate.store.exposures import Exposure

WINDOW = timedelta(hours=24)


def begun(journal, plan=None, name="warmer"):
    """Two releases, stable and candidate, and a test of the second."""
    one, other = (releases.add(journal, f"policy-{side}") for side in ("old", "new"))
    releases.point(journal, "stable", one.id)
    releases.point(journal, "candidate", other.id)
    plan = plan or trials.Plan(difference=0.2, people=300)
    return trials.begin(journal, name, "stable", "candidate", plan)


class Visit:
    """Somebody who is shown answers of their arm, or of a policy that they named."""

    def __init__(self, journal, test, person, policy=""):
        self.journal, self.test, self.person = journal, test, person
        self.arm = trial.arm_of(test, person)
        self.treated = self.arm == list(test.arms)[1]
        self.policy = policy or f"policy-{'new' if self.treated else 'old'}"
        if not policy:
            experiments.assign(journal, test.id, person, self.arm)
        self.began = datetime.now(UTC)
        self.answers = []

    def see(self, hours=0.0, policy=""):
        """One more answer, so long after the first time."""
        prompt = Prompt.of(f"{self.person} asks {len(self.answers)} {policy}")
        said = Completion(prompt=prompt.id, text="well", policy=policy or self.policy, temperature=0.8)
        at = (self.began + timedelta(hours=hours, milliseconds=1)).isoformat(timespec="milliseconds")
        rows.add_prompts(self.journal, [prompt])
        rows.add_completions(self.journal, [said])
        exposures.add(self.journal, [Exposure(said.id, self.person, f"chat {self.person}", at)])
        self.answers.append(said.id)
        return said.id

    def say(self, completion, kind, hours=0.0, value="", person=""):
        """A signal, so long after the first time."""
        at = (self.began + timedelta(hours=hours, milliseconds=2)).isoformat(timespec="milliseconds")
        uid = content_id("signal", [completion, kind, hours, value, person])
        told = Feedback(
            uid=uid, completion=completion, kind=kind, person=person or self.person, value=value, created_at=at
        )
        feedback.add(self.journal, told)


def pair(journal, person, verdict, number=0, policies=("policy-old", "policy-new"), at=None, kind="person"):
    """Two drafts side by side, and what somebody said of them."""
    prompt = Prompt.of(f"pair {number} of {person}")
    sides = [Completion(prompt=prompt.id, text=f"draft {k}", policy=one) for k, one in enumerate(policies)]
    rows.add_prompts(journal, [prompt])
    rows.add_completions(journal, sides)
    shown = Comparison(prompt=prompt.id, first=sides[0].id, second=sides[1].id, source="draft")
    rows.add_comparisons(journal, [shown])
    rows.add_raters(journal, [Rater(person, kind=kind)])
    more = {"judged_at": at.isoformat(timespec="milliseconds")} if at else {}
    said = Judgement(uid=f"{person} {number}", comparison=shown.id, rater=person, verdict=Verdict(verdict), **more)
    judgements.judge(journal, [said])


def crowd(journal, test, people, thumb):
    """People who are each shown one answer and give the thumb that `thumb(treated)` says, all at once."""
    visits = [Visit(journal, test, person) for person in people]
    prompts = [Prompt.of(f"{one.person} asks") for one in visits]
    said = [
        Completion(prompt=prompt.id, text="well", policy=one.policy, temperature=0.8)
        for prompt, one in zip(prompts, visits, strict=True)
    ]
    rows.add_prompts(journal, prompts)
    rows.add_completions(journal, said)
    at = [(one.began + timedelta(milliseconds=1)).isoformat(timespec="milliseconds") for one in visits]
    shown = zip(said, visits, at, strict=True)
    exposures.add(journal, [Exposure(answer.id, one.person, "chat", when) for answer, one, when in shown])
    for answer, one in zip(said, visits, strict=True):
        one.say(answer.id, thumb(one.treated))
