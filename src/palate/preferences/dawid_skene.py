"""Who can be trusted, learned from overlap: labels and the skill of raters, each estimated from the other.

Two models of how a rater answers. *One coin*: a rater is right with one probability, whatever the truth, and
wrong in all other ways alike. *Full*: a table for each rater of what they say, given what is true; it needs far
more labels a rater. Both by expectation and maximisation from the majority's shares, so that labels keep their
names. With few raters a majority is as good: see `recommend`.

Shapes: N labels, I items, R raters, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from palate.core.errors import ConfigError, DataError

TINY: Final = 1e-12
"""No probability of a rater's answer is taken to be smaller, so that one surprise is not proof."""


class Labels(NamedTuple):
    """What was said of what by whom; a rater may label an item more than once."""

    item: np.ndarray
    """In [0, I)."""
    rater: np.ndarray
    """In [0, R)."""
    label: np.ndarray
    """In [0, K)."""
    items: int
    raters: int
    classes: int


@dataclass(frozen=True, slots=True, eq=False)
class Skills:
    """What was found."""

    posterior_IK: np.ndarray
    """Of each item, how probable each class is; an item without a label has the shares of all."""
    accuracy_R: np.ndarray
    """How often each rater is right, at the shares of the classes; NaN for one without a label."""
    confusion_RKK: np.ndarray
    """Of each rater, given the row's class, how often they say the column's."""
    shares_K: np.ndarray
    """Of the classes."""
    trace: tuple[float, ...]
    """Log-likelihood after each step, plus the log-prior where there is one; it never falls."""
    converged: bool

    @property
    def log_likelihood(self) -> float:
        """At the end, in nats; with the log-prior where there is one."""
        return self.trace[-1]

    def labels(self) -> np.ndarray:
        """The most probable class of each item."""
        return np.asarray(self.posterior_IK.argmax(axis=1))


def one_coin(
    labels: Labels,
    *,
    prior: tuple[float, float] = (0.0, 0.0),
    floor: float = 0.0,
    shares: np.ndarray | None = None,
    known: np.ndarray | None = None,
    steps: int = 500,
    tolerance: float = 1e-9,
) -> Skills:
    """One probability of being right for each rater.

    Args:
        labels: What was said.
        prior: Labels imagined of each rater, `(right, wrong)`; they hold a rater of few labels near the prior.
        floor: No rater is taken to be right less often. At 1 / K a rater who differs from all others is not
            listened to, and never believed the other way round.
        shares: Of the classes, where they are known, as when sides are dealt by a coin; else they are learned.
        known: Of each item its true class, as of check items, or -1.
        steps: At most so many.
        tolerance: Ends when a step gains less, in nats an item.

    Source:
        Dawid and Skene 1979 in the homogeneous form of Zhang et al. 2014, arXiv:1406.3824, section 2.
    """
    labels = _checked(labels, prior)
    n_R = np.bincount(labels.rater, minlength=labels.raters)
    others = max(labels.classes - 1, 1)

    def confusion(posterior_IK: np.ndarray) -> np.ndarray:
        right = np.bincount(labels.rater, weights=posterior_IK[labels.item, labels.label], minlength=labels.raters)
        total = n_R + sum(prior)
        skill = np.divide(right + prior[0], total, out=np.full(labels.raters, 0.5), where=total > 0)
        skill = np.clip(skill, max(floor, TINY), 1 - TINY)
        table = np.repeat(((1 - skill) / others)[:, None, None], labels.classes, axis=1)
        table = np.repeat(table, labels.classes, axis=2)
        at = np.arange(labels.classes)
        table[:, at, at] = skill[:, None]
        return table

    def log_prior(confusion_RKK: np.ndarray) -> float:
        if not any(prior):
            return 0.0
        skill = confusion_RKK[:, 0, 0]
        wrong = np.clip(1 - skill, TINY, 1)
        return float(prior[0] * np.log(skill).sum() + prior[1] * np.log(wrong).sum())

    return _climb(labels, confusion, log_prior, shares, known, steps, tolerance)


def dawid_skene(
    labels: Labels,
    *,
    prior: float = 0.0,
    shares: np.ndarray | None = None,
    known: np.ndarray | None = None,
    steps: int = 500,
    tolerance: float = 1e-9,
) -> Skills:
    """A table of answers for each rater.

    Args:
        labels: What was said.
        prior: Labels imagined in each cell of each rater's table.
        shares: Of the classes, where they are known, as when sides are dealt by a coin; else they are learned.
        known: Of each item its true class, or -1.
        steps: At most so many.
        tolerance: Ends when a step gains less, in nats an item.

    Source:
        Dawid and Skene 1979, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm".
    """
    labels = _checked(labels, (prior,))
    cell = labels.rater.astype(np.int64) * labels.classes + labels.label

    def confusion(posterior_IK: np.ndarray) -> np.ndarray:
        table = np.empty((labels.raters, labels.classes, labels.classes))
        for truth in range(labels.classes):
            weights = np.ascontiguousarray(posterior_IK[:, truth])[labels.item]
            found = np.bincount(cell, weights=weights, minlength=labels.raters * labels.classes)
            table[:, truth] = found.reshape(labels.raters, labels.classes) + prior
        total = table.sum(axis=2, keepdims=True)
        # A class that a rater never met: nothing is known of what they would say.
        table = np.divide(table, total, out=np.full_like(table, 1 / labels.classes), where=total > 0)
        table = np.maximum(table, TINY)
        return np.asarray(table / table.sum(axis=2, keepdims=True))

    def log_prior(confusion_RKK: np.ndarray) -> float:
        return float(prior * np.log(confusion_RKK).sum()) if prior else 0.0

    return _climb(labels, confusion, log_prior, shares, known, steps, tolerance)


def majority_shares(labels: Labels) -> np.ndarray:
    """For each item the share of its labels that each class has; equal shares where it has none."""
    cells = labels.item.astype(np.int64) * labels.classes + labels.label
    counts = np.bincount(cells, minlength=labels.items * labels.classes).reshape(-1, labels.classes)
    total = counts.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.full(counts.shape, 1 / labels.classes), where=total > 0))


def weighted_posterior(labels: Labels, confusion_RKK: np.ndarray, shares_K: np.ndarray) -> np.ndarray:
    """How probable each class of each item is, given how raters answer: with their true tables, the best there is."""
    joint = _joint(labels, confusion_RKK, shares_K)
    joint -= joint.max(axis=1, keepdims=True)
    posterior = np.exp(joint)
    return np.asarray(posterior / posterior.sum(axis=1, keepdims=True))


def _climb(
    labels: Labels,
    confusion: Callable[[np.ndarray], np.ndarray],
    log_prior: Callable[[np.ndarray], float],
    shares: np.ndarray | None,
    known: np.ndarray | None,
    steps: int,
    tolerance: float,
) -> Skills:
    """Expectation and maximisation in turn, until a step gains nothing."""
    posterior_IK = majority_shares(labels)
    labelled = np.bincount(labels.item, minlength=labels.items) > 0
    clamp = _clamp(labels, known)
    posterior_IK = _held(posterior_IK, clamp)
    trace: list[float] = []
    converged = False
    for _ in range(steps):
        table_RKK = confusion(posterior_IK)
        shares_K = np.maximum(posterior_IK[labelled].mean(axis=0), TINY) if shares is None else shares
        joint = _joint(labels, table_RKK, shares_K)
        joint[clamp >= 0] = np.where(_held(np.zeros_like(joint), clamp)[clamp >= 0] > 0, joint[clamp >= 0], -np.inf)
        top = joint.max(axis=1, keepdims=True)
        sums = np.exp(joint - top).sum(axis=1, keepdims=True)
        posterior_IK = np.exp(joint - top) / sums
        likelihood = float((top + np.log(sums))[labelled].sum())
        trace.append(likelihood + log_prior(table_RKK))
        if len(trace) > 1 and trace[-1] - trace[-2] < tolerance * max(int(labelled.sum()), 1):
            converged = True
            break
    told = np.bincount(labels.rater, minlength=labels.raters) > 0
    right = table_RKK[:, np.arange(labels.classes), np.arange(labels.classes)] @ shares_K
    return Skills(posterior_IK, np.where(told, right, np.nan), table_RKK, shares_K, tuple(trace), converged)


def _joint(labels: Labels, confusion_RKK: np.ndarray, shares_K: np.ndarray) -> np.ndarray:
    """Logarithm of P(class and all labels of an item), a row an item."""
    joint = np.empty((labels.items, labels.classes))
    logs = np.log(confusion_RKK)
    cell = labels.rater.astype(np.int64) * labels.classes + labels.label
    for truth in range(labels.classes):
        weights = logs[:, truth].ravel()[cell]
        joint[:, truth] = np.bincount(labels.item, weights=weights, minlength=labels.items)
    return np.asarray(joint + np.log(shares_K))


def _clamp(labels: Labels, known: np.ndarray | None) -> np.ndarray:
    if known is None:
        return np.full(labels.items, -1)
    if len(known) != labels.items or known.max(initial=-1) >= labels.classes:
        raise DataError(
            "known classes do not fit the items",
            expected=f"{labels.items} numbers from -1 to {labels.classes - 1}",
            found=f"{len(known)} numbers up to {known.max(initial=-1)}",
        )
    return known


def _held(posterior_IK: np.ndarray, clamp: np.ndarray) -> np.ndarray:
    """The same, with certainty where the class is known."""
    sure = clamp >= 0
    if sure.any():
        posterior_IK = posterior_IK.copy()
        posterior_IK[sure] = 0.0
        posterior_IK[sure, clamp[sure]] = 1.0
    return posterior_IK


def _checked(labels: Labels, priors: tuple[float, ...]) -> Labels:
    """Labels that can be used, in the order of their items: memory is read in one go then."""
    if not len(labels.label):
        raise DataError("there is no label to learn raters' skills from", expected="at least one")
    if labels.label.max() >= labels.classes or labels.label.min() < 0:
        raise DataError(
            "a label is no class",
            expected=f"0 to {labels.classes - 1}",
            found=f"{labels.label.min()} to {labels.label.max()}",
        )
    if not all(0 <= prior < math.inf for prior in priors):
        raise ConfigError("a prior is out of range", expected="numbers from 0 on", found=str(priors))
    order = np.argsort(labels.item, kind="stable")
    return labels._replace(item=labels.item[order], rater=labels.rater[order], label=labels.label[order])
