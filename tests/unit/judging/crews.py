"""Judges for the tests' workers, which import them by name."""

import os
import signal

from palate.core.judges import Opinion
from palate.fleet.processes import made
from palate.fleet.work import Job
from palate.judging.crew import work_of


class Longer:
    """Thinks of lengths; has no opinion where they are equal, and cannot be asked of what is empty."""

    name = "longer"

    def judge(self, pairs, progress=None):
        if any(not pair.first for pair in pairs):
            raise ValueError("there is nothing to judge")
        return [self._said(pair) for pair in pairs]

    def _said(self, pair):
        first, second = len(pair.first), len(pair.second)
        return Opinion(None, "as long") if first == second else Opinion(first / (first + second), principle="length")


def longer():
    return work_of(Longer)


def folder(folder):
    from palate.judging.local_judge import LocalJudge

    return work_of(lambda: LocalJudge(folder))


def deadly(make, settings, killed):
    """The work of another function, but the first worker that is asked is killed: a file remembers that it was."""
    work = made(Job(make, settings))

    def once(given):
        try:
            os.close(os.open(killed, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return work(given)
        os.kill(os.getpid(), signal.SIGKILL)

    return once
