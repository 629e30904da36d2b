"""KTO on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from tests.parity import material, theirs
from tests.parity.measure import Outcome, step

from palate.core.records import Approval
from palate.models import load
from palate.training import kto
from palate.training.approvals import Approved, encode
from palate.training.tuning import open_policy

BETA, GOOD, BAD = 0.3, 1.3, 0.7
CASES = ("kto", "kto swapped")
"""`swapped`: policy and reference change places. That turns the sign of all log-ratios, so in one of the two the
reference point is above 0."""


class Practised(NamedTuple):
    """What our side did."""

    outcome: Outcome
    reference_point_nats: float


def approvals(seed: int) -> list[Approval]:
    """Good and bad ones; the last three answer one prompt."""
    given = material.preferences(seed)
    rows = [(row.prompt, row.chosen, float(i % 2)) for i, row in enumerate(given)]
    rows += [(given[-1].prompt, row.rejected, float(i)) for i, row in enumerate(given[:2])]
    return [Approval(prompt=prompt, completion=text, p_good=p_good) for prompt, text, p_good in rows]


def rotated(rows: Sequence[Approved]) -> list[Approved]:
    """TRL's strangers: each prompt with the completion of the row before it, whosoever that is."""
    return [row._replace(completion=rows[i - 1].completion) for i, row in enumerate(rows)]


def ours(folders: material.Folders, rows: list[Approved], others: list[Approved]) -> Practised:
    """The recipe's own step on the strangers given, in parts of three rows."""
    config = kto.KTOConfig(beta=BETA, good_weight=GOOD, bad_weight=BAD, micro_batch=3)
    reference, policy = (open_policy(config, path, torch.device("cpu")) for path in folders[:2])
    prepared = kto.Rows(rows, others, *(kto._summed(reference, some, config) for some in (rows, others)))
    facts: dict[str, float] = {}

    def loss() -> float:
        facts.update(kto._backward(policy, prepared, list(range(len(rows))), config))
        return facts["loss"]

    return Practised(step(policy.policy, loss), facts["reference_point_nats"])


def trainer(folders: material.Folders, given: Sequence[Approval]) -> Any:
    """TRL's, with the reference as a model of its own."""
    (policy, tokenizer), (reference, _) = load.load_causal(folders.policy), load.load_causal(folders.reference)
    rows = [
        {"prompt": row.prompt.as_dicts(), "completion": material.spoken(row.completion), "label": row.p_good > 0.5}
        for row in given
    ]
    settings = {"beta": BETA, "desirable_weight": GOOD, "undesirable_weight": BAD, "max_length": 128}
    more = {"ref_model": reference, "processing_class": tokenizer}
    return theirs.trainer("KTO", folders.policy.parent / "trl", policy, rows, settings, **more)


def encoded(folders: material.Folders, given: Sequence[Approval]) -> list[Approved]:
    """Approvals as the recipe reads them."""
    return encode(load.load_tokenizer(folders.policy), given, 128).rows


def compare(folders: material.Folders, seed: int, case: str) -> tuple[Outcome, Outcome]:
    """Ours on TRL's strangers, and theirs."""
    if case == "kto swapped":
        folders = material.Folders(folders.policy, folders.reference, folders.later)
    given = approvals(seed)
    rows, made = encoded(folders, given), trainer(folders, given)
    for row, other, read in zip(rows, rotated(rows), made.train_dataset, strict=True):
        assert (read["prompt_ids"], read["completion_ids"]) == (row.prompt, row.completion)
        assert read["KL_completion_ids"] == other.completion
    found = step(made.model, lambda: made.compute_loss(made.model, theirs.batch(made)))
    return ours(folders, rows, rotated(rows)).outcome, found
