"""What stopped a release, or that nothing did, as a page of Markdown in which nothing that a model wrote is markup."""

from __future__ import annotations

from collections.abc import Sequence

from palate.evaluation.report import as_markdown
from palate.evaluation.report.document import Block, Bullets, Grid, Paragraph, Report, Section, Sides
from palate.rounds.release_gates import Check

_NAMES = ("before", "the new policy")
_OVERRIDE = "Whoever releases it all the same says why: palate round resume --override --why '…'. The journal keeps it."


def page(checks: Sequence[Check], number: int) -> str:
    """All of it.

    Args:
        checks: Of a gate, in their order.
        number: The round's.
    """
    failed = [one for one in checks if not one.passed]
    names = ", ".join(one.gate.replace("_", " ") for one in failed)
    says = f"Stopped by {len(failed)} of {len(checks)} gates: {names}." if failed else "It may be released."
    grid = Grid(("gate", "", "bound"), [(_name(one), _state(one), str(one.bound)) for one in checks], prose=True)
    sections = [Section("What was found", [Bullets([f"{_name(one)}: {one.sentence}" for one in checks])])]
    sections += [Section(f"Seen by {_name(one)}", _examples(one)) for one in failed if one.examples]
    lead: list[Block] = [Paragraph(says), grid]
    if failed:
        override = (
            "`palate round resume --override --why '…'` releases it all the same; the reason stands in the journal."
        )
        lead.append(Paragraph(override.replace("`", "")))
    return as_markdown.write(Report(f"The gates of round {number}", lead, sections))


def _name(one: Check) -> str:
    return one.gate.replace("_", " ")


def _state(one: Check) -> str:
    if not one.measured:
        return "not measured" if one.passed else "not measured, and required"
    return "passed" if one.passed else "failed"


def _examples(one: Check) -> list[Block]:
    return [
        Sides(f"Example {number}", shown.note, [("prompt", shown.prompt)], shown.before or None, shown.answer, _NAMES)
        for number, shown in enumerate(one.examples, start=1)
    ]
