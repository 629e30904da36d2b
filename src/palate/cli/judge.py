"""`palate judge`: models label comparisons, and are held against people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from palate.cli.crews import Working, at_work
from palate.cli.judges import Asking, chosen
from palate.cli.live import Live
from palate.cli.project import opened
from palate.cli.recipe import Options, Settings
from palate.cli.revise import brought
from palate.core.errors import ConfigError, DataError
from palate.evaluation.judge_audit import Seen
from palate.evaluation.judge_audit import audit as audit_
from palate.evaluation.statistics import Figure
from palate.judging.labelling import label as label_
from palate.store import beside, opinions
from palate.store.journal import Journal

app = App(name="judge", help="Models label comparisons, and are held against people.")
Project = Annotated[Path, Parameter(name="--out")]


@app.command
def label(
    judge: str,
    *,
    judge_model: str = "",
    asking: Settings[Asking] = Asking(),  # noqa: B008 - frozen
    working: Options[Working] = Working(),  # noqa: B008
    source: tuple[str, ...] = (),
    at_most: int = 0,
    price_prompt: float = 0.0,
    price_completion: float = 0.0,
    out: Project = Path(),
    database: str = "",
) -> None:
    """Have a model say which answer is better, of every stored comparison that it has not judged yet.

    Each comparison is shown in both orders, and both are kept; the verdict is of their mean, and a tie where they
    cancel out. What failed is no verdict: the same command asks it again, and nothing that was said is asked twice.
    Verdicts lie in the journal beside people's, under the judge's own name; they take nobody's place in the queue.

    Parameters
    ----------
    judge
        The folder of a causal model, which is asked how probable each verdict is to it; of a reward model or an
        ensemble; an address such as http://localhost:8000/v1#MODEL, whose key goes into PALATE_ENDPOINT_KEY; or
        gold, which knows the truth in the practice world.
    judge_model
        What the judge's server calls the model; the first it lists when not given.
    source
        Only comparisons of these sources.
    at_most
        Comparisons; 0 sets no limit.
    price_prompt
        Of a million prompt tokens, to say what it cost.
    price_completion
        Of a million completion tokens.
    out
        The project.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    if at_most < 0 or min(price_prompt, price_completion) < 0:
        raise ConfigError(
            "--at-most and prices are 0 or more", found=f"{at_most}, {price_prompt:g}, {price_completion:g}"
        )
    found = chosen(judge, judge_model, asking.template)
    if not found.who.template and asking != Asking():
        raise ConfigError(
            "this judge is asked nothing in words", where=judge, expected="neither --principles nor --think with it"
        )
    with opened(out, database) as journal, at_work(found, judge, asking, working) as ready:
        ledger = label_(
            journal, ready.judge, found.who, sources=source, orders=found.orders, at_most=at_most,
            at_once=ready.at_once, progress=Live(),
        )  # fmt: skip
    print(f"{found.who.name}, in the journal as {found.who.rater}")
    print(f"{ledger.asked} questions: {ledger.said} opinions, {ledger.abstained} without one, {ledger.failed} failed")
    tokens = f"{ledger.prompt_tokens:,} prompt and {ledger.completion_tokens:,} completion tokens"
    priced = (
        f", which cost {ledger.cost(price_prompt, price_completion):.2f}" if price_prompt or price_completion else ""
    )
    if ledger.prompt_tokens or ledger.completion_tokens:
        print(f"{tokens}{priced}")
    for why, often in ledger.reasons.most_common(5):
        print(f"  {often} × {why}")
    if ledger.failed:
        print("The same command asks again what failed.")


@app.command
def constitution(file: Path = Path("constitution.md")) -> None:
    """Write the constitution that Palate brings into a file of your own, to be edited.

    Parameters
    ----------
    file
        Where; it must not be there yet.
    """
    try:
        with file.open("x", encoding="utf-8") as handle:
            handle.write(brought())
    except OSError as error:
        raise ConfigError("the constitution cannot be written", where=str(file), found=str(error)) from error
    print(file)


@app.command(name="list")
def list_(*, out: Project = Path(), database: str = "") -> None:
    """The models that have judged: name in the journal, name, and how many comparisons.

    Parameters
    ----------
    out
        The project.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    with opened(out, database) as journal:
        known = opinions.judges(journal)
        often = opinions.counts(journal)
        for rater, judge in known.items():
            print(f"{rater}  {judge.name}  {often.get(rater, 0)} comparisons")
    if not known:
        print("No model has judged here. `palate judge label` asks one.")


@app.command
def audit(judge: str = "", *, seed: int = 0, out: Project = Path(), database: str = "") -> None:
    """Hold a model's verdicts against people's on the same comparisons.

    Beside the agreement stands that of one person with the others, which no judge can be asked to exceed by much; and
    what the judge likes that people do not: the side that is shown first, and the longer one.

    Parameters
    ----------
    judge
        Its name in the journal, as `palate judge list` shows it; the only one when there is one.
    seed
        Of the bootstrap over prompts.
    out
        The project.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    live = Live()
    with opened(out, database) as journal:
        rater = _named(journal, judge)
        name = opinions.judges(journal)[rater].name
        judged = beside.judged(journal, rater)
        told = audit_(_seen(journal, rater), seed=seed)
    if not told.agreement.n:
        raise DataError(
            "nobody judged what this judge has judged",
            where=name,
            expected="comparisons with verdicts of this judge and of people",
            found=f"{judged.said} verdicts of the judge, none of them on comparisons that people have judged",
            hint="`palate judge label --source NAME` labels what raters see",
        )
    table = Table("what", "value", "95 % interval", "n", title=f"{name} beside people")
    rows_ = {
        "says what a person says": told.agreement,
        "a person says what another says": told.people,
        "kappa, judge and people": told.kappa,
        "fonder of what is shown first by": told.position,
        "fonder of the longer side than people by": told.length,
    }
    if len(told.categories) > 1:
        rows_ |= {f"says what a person says: {name or 'no kind'}": figure for name, figure in told.categories.items()}
    rows_ |= {f"the same, by the principle {id}": figure for id, figure in told.principles.items()}
    for what, figure in rows_.items():
        table.add_row(what, *_cells(figure))
    live.console.print(table)
    print(f"{judged.said} comparisons judged by it; on {judged.silent} more it would not say.")


def _named(journal: Journal, typed: str) -> str:
    known = opinions.judges(journal)
    if typed in known:
        return typed
    if not typed and len(known) == 1:
        return next(iter(known))
    raise ConfigError(
        "which judge is meant?" if known else "no model has judged here",
        expected=", ".join(known) or "a judge in the journal",
        found=repr(typed),
        hint="`palate judge list` shows them" if known else "`palate judge label` asks one",
    )


def _seen(journal: Journal, rater: str) -> Iterator[Seen]:
    """What the judge and people said of the same comparisons."""
    for one in beside.beside(journal, rater):
        people = (one.first, one.second, one.tie)
        yield Seen(one.prompt, one.kind, one.verdict, one.shown_first, people, one.gap, one.principle)


def _cells(figure: Figure) -> tuple[str, str, str]:
    if not figure.n:
        return "", "", "0"
    return f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}", str(figure.n)
