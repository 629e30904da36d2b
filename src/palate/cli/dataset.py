"""`palate dataset …`: freeze the journal into datasets, look at one, hold two against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from palate.cli.data import JOURNAL, prompts_of
from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError, DataError, MissingArtefact
from palate.preferences import comparing, filtering, gates
from palate.preferences.aggregate import PRIOR
from palate.preferences.dataset import SPLITS, freeze_approvals, freeze_demonstrations, load_preferences
from palate.preferences.snapshot import SnapshotConfig, freeze
from palate.preferences.thumbs import approvals as thumbs
from palate.preferences.written import written
from palate.store.journal import Journal

app = App(name="dataset", help="Build, show and compare frozen datasets of preferences.")
_NAMED = 5


@app.command
def build(
    *,
    out: Path = Path(),
    source: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative_iterable=())] = (),
    besides: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative_iterable=())] = (),
    label: Literal["soft", "majority", "one-coin", "dawid-skene", "recommended"] = "soft",
    minimum_judgements: int = 1,
    prior: float = PRIOR,
    heldout_fraction: float = 0.15,
    heldout_raters: float = 0.0,
    agreed: float = 0.0,
    gate: Literal["off", "warn", "drop"] = "warn",
    drop: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative_iterable=())] = (),
    one_rater_share: float = 0.3,
    evaluation: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative_iterable=())] = (),
    models: Literal["apart", "with", "gaps", "alone"] = "apart",
    soft: Annotated[bool, Parameter(negative=())] = False,
    measure_filter: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 0,
) -> None:
    """Freeze what the raters said into a dataset, with a card and a lossless file of all judgements beside it.

    Parameters
    ----------
    out
        Project folder: the journal is read there, and the artefact goes to `artefacts/` in it.
    source
        Only comparisons of these sources.
    besides
        No comparison of a source that begins so; "winrate:" leaves out what people said when models were evaluated.
    label
        How votes become a label: soft keeps how sure raters are, majority names a side, recommended lets the data
        choose between soft and weights by skill.
    minimum_judgements
        Comparisons that fewer raters judged are left out; with --models gaps, of people, and one verdict of a model
        is enough where no person has judged.
    prior
        Votes imagined for each side of a soft label.
    heldout_fraction
        Share of prompts kept for evaluation.
    heldout_raters
        Share of raters kept for evaluation: nothing they said is trained on.
    agreed
        Leave out comparisons whose leading side has a smaller share of votes; see --measure-filter first.
    gate
        What gates do with what they find: off, warn or drop.
    drop
        Gates that drop, whatever --gate says: duplicates, identity, unfinished, contradictions, one_rater,
        evaluation.
    one_rater_share
        More of all judgements should not come from one rater.
    evaluation
        Files or datasets of prompts that models are evaluated on; none of them may be trained on.
    models
        What becomes of verdicts of `palate judge`: apart leaves them out, with makes each a vote, gaps takes them where
        no person has judged, alone takes nothing else.
    soft
        With --models: what models alone have judged is labelled by the probability that they named, mean of both
        orders, and not by their verdict.
    measure_filter
        Say whether leaving out divided comparisons would help here.
    seed
        Of the splits.
    """
    unknown = sorted(set(drop) - set(gates.GATES))
    if unknown:
        raise ConfigError("there is no such gate", expected=", ".join(gates.GATES), found=", ".join(unknown))
    modes = dict.fromkeys(gates.GATES, gate) | dict.fromkeys(drop, "drop")
    config = SnapshotConfig(
        sources=source,
        besides=besides,
        heldout_fraction=heldout_fraction,
        label=label,
        minimum_judgements=minimum_judgements,
        prior=prior,
        seed=seed,
        heldout_raters=heldout_raters,
        agreed=agreed,
        gates=gates.GateConfig(**modes, one_rater_share=one_rater_share),
        models=models,
        soft_models=soft,
    )
    texts = [prompt.text for file in evaluation for prompt in prompts_of(file, out)[0]]
    with _journal(out) as journal:
        folder = freeze(journal, Workspace(out), config, evaluation=texts)
    _tell(folder)
    if measure_filter:
        rows = [row for split in SPLITS for row in load_preferences(folder, split)]
        print(filtering.sentence(filtering.measure_filter(rows, seed=seed)))
    print(folder)


@app.command
def demonstrations(*, out: Path = Path(), heldout_fraction: float = 0.05, seed: int = 0) -> None:
    """Freeze the answers that people wrote or edited into a dataset, for `palate train sft`.

    Parameters
    ----------
    out
        Project folder: the journal is read there, and the artefact goes to `artefacts/` in it.
    heldout_fraction
        Share of prompts kept for evaluation.
    seed
        Of the split.
    """
    with _journal(out) as journal:
        found = written(journal)
    if not found:
        raise DataError("nobody has written an answer yet", where=str(out), hint="the page Write is for that")
    _done(freeze_demonstrations(found, Workspace(out), heldout_fraction=heldout_fraction, seed=seed))


@app.command
def approvals(*, out: Path = Path(), heldout_fraction: float = 0.15, seed: int = 0) -> None:
    """Freeze thumbs from chats whose people agreed into a dataset, for `palate train kto`.

    Parameters
    ----------
    out
        Project folder: the journal is read there, and the artefact goes to `artefacts/` in it.
    heldout_fraction
        Share of prompts kept for evaluation.
    seed
        Of the split.
    """
    with _journal(out) as journal:
        found = thumbs(journal)
    if not found:
        raise DataError("there is no thumb that may be used", where=str(out), hint="`palate serve` has the chat")
    _done(freeze_approvals(found, Workspace(out), heldout_fraction=heldout_fraction, seed=seed))


@app.command
def show(folder: Path) -> None:
    """Print the card of a dataset.

    Parameters
    ----------
    folder
        The dataset's.
    """
    card = folder / "card.md"
    manifest = read_manifest(folder)
    if not card.is_file():
        raise MissingArtefact(f"{folder} has no card", expected="a dataset of preferences", found=manifest.made_by)
    print(card.read_text(encoding="utf-8"), end="")
    if "content" in manifest.facts:
        print(f"\ncontent: sha256 {manifest.facts['content']}")


@app.command
def diff(one: Path, other: Path) -> None:
    """Say what is different from one dataset to another: settings, rows and beliefs.

    Parameters
    ----------
    one
        The folder of the earlier.
    other
        The folder of the later.
    """
    found = comparing.compare(one, other)
    for name, (before, after) in found.settings.items():
        print(f"{name}: {before} -> {after}")
    print(comparing.sentence(found))
    for title, ids in (("came", found.added), ("went", found.removed)):
        _list(title, ids)
    for title, changes in (("turned", found.turned), ("moved", found.moved)):
        _list(title, [f"{c.comparison} {c.before:.2f} -> {c.after:.2f}" for c in changes])


def _journal(out: Path) -> Journal:
    if not (out / JOURNAL).is_file():
        raise MissingArtefact(
            f"there is no journal in {out}", expected=f"a file {JOURNAL}", hint="`palate import FILE` makes one"
        )
    return Journal.open(out / JOURNAL)


def _done(folder: Path) -> None:
    _tell(folder)
    print(folder)


def _tell(folder: Path) -> None:
    """The card's notes, and how many rows there are."""
    facts = read_manifest(folder).facts
    print(", ".join(f"{name}: {facts[name]}" for name in (*SPLITS, "unseen_raters", "judgements") if name in facts))
    if (card := folder / "card.md").is_file():
        _, _, notes = card.read_text(encoding="utf-8").partition("## Notes\n\n")
        print(notes, end="")


def _list(title: str, rows: tuple[str, ...] | list[str]) -> None:
    for row in rows[:_NAMED]:
        print(f"  {title}: {row}")
    if len(rows) > _NAMED:
        print(f"  {title}: and {len(rows) - _NAMED:,} more")
