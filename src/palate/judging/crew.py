"""A judge whose work is shared by many workers: the same opinions, in the same order, sooner.

Pairs go out in parts as one process would take them, so what stands together in a batch stands together there too, and
the numbers are the same. Workers say; whoever asks writes it down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final

from palate.core.judges import Judge, Opinion, Pair
from palate.core.progress import SILENT, Progress
from palate.core.records import Prompt
from palate.fleet.work import Job, Pool, Report, Row, each

PART: Final = 64
"""Pairs a worker is given at a time, as many as `palate.judging.labelling` asks at once."""


class Crew:
    """A judge, while it is open. A pair that no worker could judge has failed, and may be asked again.

    Args:
        name: As reports call it.
        job: Makes, in each worker, what `work_of` gives of the judge.
        pool: Who works.
    """

    def __init__(self, name: str, job: Job, pool: Pool) -> None:
        self._name, self._job, self._pool = name, job, pool
        self.deaths = 0
        """Of workers, so far."""

    @property
    def name(self) -> str:
        """As reports call it."""
        return self._name

    def __enter__(self) -> Crew:
        self._pool.start(self._job)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.stop()

    def judge(self, pairs: Sequence[Pair], progress: Progress = SILENT) -> list[Opinion]:
        """One opinion a pair, in their order."""
        report, found = Report(), dict[str, Opinion]()
        progress.start(f"{self.name} judges", len(pairs))
        rows = (Row(str(number), _told(pair)) for number, pair in enumerate(pairs))
        for row, opinion in each(self._job, rows, self._pool, report, at_once=PART):
            found[row.id] = Opinion(**opinion)
            progress.advance(len(found))
        progress.finish()
        self.deaths += report.deaths
        found |= {
            id: Opinion(None, f"the judge could not be asked: {why}", failed=True) for id, why in report.failed.items()
        }
        return [found[str(number)] for number in range(len(pairs))]


def work_of(judge: Callable[[], Judge]) -> Callable[[list[Any]], list[Any]]:
    """What a worker does with its rows.

    Args:
        judge: Makes the judge, when there is something to judge; what it raises is said of the rows.
    """
    made: list[Judge] = []

    def work(given: list[Any]) -> list[Any]:
        if not made:
            made.append(judge())
        return [opinion._asdict() for opinion in made[0].judge([_pair(one) for one in given])]

    return work


def _told(pair: Pair) -> dict[str, Any]:
    prompt = pair.prompt
    asked = {"messages": prompt.as_dicts(), "kind": prompt.kind, "language": prompt.language}
    return {**asked, "first": pair.first, "second": pair.second}


def _pair(told: dict[str, Any]) -> Pair:
    return Pair(Prompt.from_dicts(told["messages"], told["kind"], told["language"]), told["first"], told["second"])
