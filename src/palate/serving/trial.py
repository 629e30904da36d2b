"""Who is served by which release while an A/B test is under way.

Whoever names a policy gets it, and is in no test for that. Of the others, each belongs to one arm by a hash of the
test and their pseudonym, so that it is the same after a restart, on another server, and without asking the database;
and another test divides them anew.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from functools import cache
from typing import Final, Protocol

from palate.serving.orders import Served
from palate.serving.supervisor import Settings
from palate.store import experiments, releases
from palate.store.experiments import Experiment
from palate.store.journal import Journal

log = logging.getLogger("palate.serving")
DEFAULT: Final = "palate"
"""What programs may call the model when they leave to the server which policy answers."""
PAIRS: Final = "pairs"
"""The outcome of a test in which two drafts are one of each release."""


class Answerer(Protocol):
    """What answers on a server."""

    @property
    def settings(self) -> Settings:
        """With the policies by name, the one that answers where nobody names any first."""

    @property
    def served(self) -> Mapping[str, Served]:
        """Those that are loaded."""


def place(experiment: str, person: str) -> float:
    """Where somebody stands in a test: from 0 up to, not including, 1."""
    digest = hashlib.sha256(f"{experiment}\n{person}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def arm_of(test: Experiment, person: str) -> str:
    """The release that somebody belongs to."""
    at, upto = place(test.id, person), 0.0
    for arm, share in test.arms.items():
        upto += share
        if at < upto:
            return arm
    return arm  # shares make 1 but for rounding


def choose(journal: Journal, person: str, served: Mapping[str, Served]) -> str | None:
    """The name under which the release is served that is to answer somebody; None when no test decides that.

    Their first time is written down. Nobody is counted while one of the arms is not served: with those of the others
    alone, the test would compare whoever came at different times.

    Args:
        journal: The journal.
        person: A pseudonym; "" for somebody of whom nothing is kept, who is in no test.
        served: Name to policy, as they are loaded now.
    """
    if not person or not served or (test := experiments.current(journal)) is None:
        return None
    policies = {one.id: one.policy for one in releases.every(journal)}
    names: dict[str, str] = {}
    for name, policy in served.items():
        names.setdefault(policy.id, name)
    absent = [arm for arm in test.arms if policies[arm] not in names]
    if absent:
        _say(test.id, test.name, absent[0], policies[absent[0]])
        return None
    arm = experiments.assign(journal, test.id, person, arm_of(test, person))
    return names[policies[arm]]


def both(journal: Journal, person: str, served: Mapping[str, Served]) -> tuple[str, str] | None:
    """Names of the two releases that are to write a draft each for somebody, that of their arm first.

    None unless a test is decided by pairs: in any other, people see but their own release.
    """
    mine = choose(journal, person, served)
    test = experiments.current(journal) if mine else None
    if mine is None or test is None or test.plan.get("outcome") != PAIRS:
        return None
    policies = {one.id: one.policy for one in releases.every(journal)}
    wanted = {policies[arm] for arm in test.arms} - {served[mine].id}
    return mine, next(name for name, one in served.items() if one.id in wanted)


def answering(journal: Journal, person: str, answerer: Answerer) -> str:
    """The name of the policy that answers somebody who named none: that of their arm, or the first one."""
    return choose(journal, person, answerer.served) or next(iter(answerer.settings.policies))


@cache
def _say(test: str, name: str, release: str, policy: str) -> None:
    """Once in the life of a server."""
    log.warning(
        "the A/B test %r (%s) counts nobody: its release %s is not served here; serve %s beside the other",
        name, test, release, policy,
    )  # fmt: skip
