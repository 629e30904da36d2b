"""What the guardrails did goes into the audit log: which version, which filter, which answer; no text of anybody.

What was withheld is stored as an answer that nobody was shown, where the settings and the chat allow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from palate.core.authors import WITHHELD, is_changed, is_stop
from palate.core.records import Completion, Prompt
from palate.guardrails.decisions import Decision
from palate.guardrails.guard import Guardrails
from palate.serving.answering import Collected
from palate.serving.keeping import cleaned
from palate.store import audit, rows
from palate.store.journal import Journal

QUESTION: Final = "guardrails stopped a question"
ANSWER: Final = "guardrails stopped an answer"
CHANGED: Final = "guardrails changed an answer"
FAILED: Final = "guardrails failed and let pass"
ACTIONS: Final = (QUESTION, ANSWER, CHANGED, FAILED)
_SENTENCES: Final = {
    "stop": "Stopped by the guardrails of this server: these words are theirs, not the model's.",
    "change": "The guardrails of this server changed this answer.",
}


def author(guard: Guardrails | None, said: Collected, index: int, policy: str) -> str:
    """Who wrote what was shown of an answer, see `core.authors`."""
    decision = said.decisions.get(index)
    policy, guard = said.policies.get(index, policy), said.guards.get(index, guard)
    if guard is None or decision is None or decision.action == "pass":
        return policy
    return guard.id if decision.blocked else f"{guard.id}:{policy}"


def sentence(author: str) -> str:
    """What is said beside an answer, "" when it is the policy's own."""
    return _SENTENCES["stop"] if is_stop(author) else _SENTENCES["change"] if is_changed(author) else ""


def note(
    journal: Journal,
    guard: Guardrails | None,
    said: Collected,
    *,
    policy: str,
    ids: Sequence[str] = (),
    places: Sequence[str] = (),
    prompt: Prompt | None = None,
    temperature: float = 1.0,
) -> None:
    """Write down what the guardrails did with some answers.

    Args:
        journal: The journal.
        guard: The guardrails.
        said: The answers.
        policy: Id of the artefact that was asked.
        ids: Completions as they are stored; none where nothing of the conversation is kept.
        places: Where each was shown: the chat, or the id of the reply.
        prompt: The conversation, where what was withheld may be kept as well.
        temperature: Of the answers.
    """
    for index, decision in said.decisions.items():
        looked = said.guards.get(index, guard)
        if looked is None:
            continue
        by, wrote = "; ".join(mark.sentence for mark in decision.marks), said.policies.get(index, policy)
        details = {"by": by, "version": looked.id, "policy": wrote}
        if places:
            details["chat"] = places[index]
        written = said.withheld.get(index, "")
        if prompt is not None and written and looked.settings.keep_withheld:
            details["withheld"] = _withheld(journal, prompt, written, wrote, temperature)
        audit.write(journal, "", _action(decision), ids[index] if ids else "", **details)


def _action(decision: Decision) -> str:
    if decision.blocked:
        return QUESTION if decision.side == "input" else ANSWER
    return FAILED if decision.action == "pass" and any(mark.failed for mark in decision.marks) else CHANGED


def _withheld(journal: Journal, prompt: Prompt, text: str, policy: str, temperature: float) -> str:
    clean = cleaned(prompt, [text])
    completion = Completion(
        prompt=clean.prompt.id, text=clean.answers[0], policy=f"{WITHHELD}{policy}", temperature=float(temperature)
    )
    rows.add_completions(journal, [completion])
    return completion.id
