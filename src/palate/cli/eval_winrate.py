"""`palate eval winrate`: how often one side's answers are better than another's, as people or a judge see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from palate.cli.data import JOURNAL, load_file
from palate.cli.judges import chosen
from palate.cli.live import Live
from palate.core.artefacts import MANIFEST, Workspace, identify, read_manifest
from palate.core.errors import DataError, MissingArtefact
from palate.core.records import Demonstration, Prompt
from palate.evaluation import contest
from palate.evaluation.answers import References
from palate.evaluation.contest import ContestConfig, Side
from palate.evaluation.subjects import subject
from palate.evaluation.telling import told
from palate.preferences import dataset
from palate.store import audit
from palate.store.journal import Journal

REFERENCES = "references"
PEOPLE = "people"


class _Asked(NamedTuple):
    """What a prompt file holds."""

    prompts: list[Prompt]
    references: list[Demonstration]
    id: str


def winrate(
    *who: str,
    prompts: Path,
    judge: str,
    judge_model: str = "",
    samples: int = 1,
    temperature: float = 0.5,
    max_new_tokens: int = 256,
    seed: int = 0,
    raters: int = 2,
    priority: float = 0.0,
    out: Path = Path(),
    database: str = "",
) -> None:
    """Say how often one side's answers are better than another's; of three sides or more, who is how strong.

    Ties count half, every judge but people sees each pair in both orders, and what was not judged counts for nobody.
    Answers are kept, so the same command asks nobody twice; --seed asks anew.

    Parameters
    ----------
    who
        Two sides or more: model folders, addresses of OpenAI-compatible servers such as
        http://localhost:8000/v1#MODEL, or `references`, the answers that the prompts' file brings. NAME=FOLDER gives
        a side a name.
    prompts
        Any file that `palate import` reads, or a dataset, of which the held-out prompts are asked.
    judge
        `people`: pairs go into the raters' queue, and the same command later counts what they said. A folder: a
        reward model or an ensemble, or a model that is asked. An address: a model there.
    judge_model
        What the judge's server calls the model; the first it lists when not given.
    samples
        Answers to each prompt, of each side.
    temperature
        Of the answers; 0 always takes the likeliest token.
    max_new_tokens
        Longest answer, in tokens.
    seed
        Of the answers, and of who is shown first.
    raters
        With people: raters a comparison; one more is asked where they differ.
    priority
        With people: the greater, the sooner.
    out
        Project folder: answers are kept in `runs/`, the result goes to `artefacts/`, and people judge in its journal.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    """
    config = ContestConfig(samples=samples, temperature=temperature, max_new_tokens=max_new_tokens, seed=seed)
    judging = None if judge == PEOPLE else chosen(judge, judge_model)
    asked = _asked(prompts, who)
    sides = _sides(who, asked, config)
    contest.check(sides)
    workspace, progress = Workspace(out), Live()
    met = contest.meet(sides, asked.prompts, config, workspace, progress)
    if judging is not None:
        settings, inputs = judging.settings, judging.inputs
        found = contest.by_judge(met, judging.judge, str(sorted(settings.items())), workspace, progress)
        print(f"Judged by {judging.judge.name}; {_asked_of(asked, samples)}.\n")
    else:
        settings, inputs = {"people": raters}, {}
        with Journal.open(database or out / JOURNAL) as journal:
            found, new = contest.by_people(met, sides, config, journal, wanted=raters, priority=priority)
            if new:
                names = ", ".join(side.name for side in sides)
                audit.write(journal, "command line", "asked people", names, comparisons=new)
        print(f"Judged by people; {_asked_of(asked, samples)}. New in the queue: {new} comparisons.\n")
    print("\n".join(told(found)))
    if judging is not None or any(rate.rate.n for rate in found.rates):  # once anything is judged, or was refused
        inputs |= {"prompts": asked.id}
        print(f"\n{contest.keep(found, sides, config, workspace, judge=settings, inputs=inputs)}")


def _asked(path: Path, who: Sequence[str]) -> _Asked:
    """Prompts, and answers to them where the file has some.

    Raises:
        DataError: there are no prompts, or no references where they are wanted.
    """
    references: list[Demonstration] = []
    if path.is_dir():
        if not (path / MANIFEST).is_file():
            raise MissingArtefact(f"{path} is not a dataset", expected=f"a file, or a folder with {MANIFEST}")
        prompts = dataset.load_prompts(path, "heldout")
        if read_manifest(path).made_by == "dataset demonstrations":
            references = dataset.load_demonstrations(path, "heldout")
    else:
        imported = load_file(path)
        references = imported.demonstrations
        found = [*imported.prompts, *(p.prompt for p in imported.pairs), *(d.prompt for d in references)]
        prompts = list({p.id: p for p in [*found, *(a.prompt for a in imported.approvals)]}.values())
    if not prompts:
        raise DataError("there is nothing to ask", where=str(path), expected="at least one prompt")
    wanted = REFERENCES in [_named(one)[1] for one in who]
    if wanted and not references:
        raise DataError("there are no references", where=str(path), expected="a prompt and an answer to it a row")
    several = [id for id, count in Counter(d.prompt.id for d in references).items() if count > 1]
    if wanted and several:
        print(f"  {len(several)} prompts have several references; the first of each is taken")
    return _Asked(prompts, references, identify(path))


def _sides(who: Sequence[str], asked: _Asked, config: ContestConfig) -> list[Side]:
    """Everybody by a name of their own."""
    settings: dict[str, Any] = {"temperature": config.temperature, "max_new_tokens": config.max_new_tokens}
    given = [_named(one) for one in who]
    subjects = [References(asked.references) if what == REFERENCES else subject(what, **settings) for _, what in given]
    names = [name or one.name for (name, _), one in zip(given, subjects, strict=True)]
    times = Counter(names)
    return [
        contest.side(typed if times[name] > 1 else name, one, asked.id)
        for typed, name, one in zip(who, names, subjects, strict=True)
    ]


def _named(typed: str) -> tuple[str, str]:
    """`(name, what)` of `name=what`; the name is "" where there is none."""
    name, sign, what = typed.partition("=")
    return (name, what) if sign and "/" not in name and not Path(typed).exists() else ("", typed)


def _asked_of(asked: _Asked, samples: int) -> str:
    each = "an answer each" if samples == 1 else f"{samples} answers each"
    return f"{len(asked.prompts)} prompt{'s' * (len(asked.prompts) != 1)}, {each}"
