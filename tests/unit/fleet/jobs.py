"""Work for the tests' workers, which import it by name."""

import os
import signal
import time
from pathlib import Path


def double(scale=2):
    return lambda given: [scale * one for one in given]


def deadly(poison, killed=""):
    """Dies at a row; with `killed`, once in all, which a file remembers."""

    def work(given):
        for one in given:
            if one == poison and not (killed and Path(killed).exists()):
                if killed:
                    Path(killed).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return [2 * one for one in given]

    return work


def fussy(bad):
    def work(given):
        if bad in given:
            raise ValueError(f"{bad} is nothing to work on")
        return [2 * one for one in given]

    return work


def short():
    return lambda given: given[:-1]


def slow(seconds=0.05):
    def work(given):
        time.sleep(seconds * len(given))
        return [2 * one for one in given]

    return work
