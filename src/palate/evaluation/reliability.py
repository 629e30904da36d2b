"""The picture of calibration: what was stated against what came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from palate.core.artefacts import read_manifest
from palate.core.errors import DataError
from palate.evaluation.charts import Line, curves, standalone
from palate.evaluation.statistics import proportion
from palate.functional.calibration import Reliability


def picture(found: Reliability, title: str = "Calibration") -> str:
    """A dot a bin with its 95 % interval, and the line on which they would lie.

    Args:
        found: Of `functional.calibration.reliability`.
        title: Also read out by screen readers.

    Returns:
        An `<svg>` element.
    """
    stated = found.stated_K.tolist()
    columns = list(zip(found.observed_K.tolist(), found.counts_K.tolist(), strict=True))
    spread = [proportion_of(share, count) for share, count in columns]
    ends = [min(stated), max(stated)]
    return curves(
        [
            Line("stated = observed", ends, ends),
            Line(
                "held-out preferences",
                stated,
                found.observed_K.tolist(),
                [low for low, _ in spread],
                [high for _, high in spread],
            ),
        ],
        title=title,
        x="stated probability",
        y="observed share",
        dots=True,
    )


def proportion_of(share: float, count: int) -> tuple[float, float]:
    """Wilson's interval of a share that soft labels may have made, so that it is no whole number of hits."""
    low, high = (proportion(hits, count) for hits in (int(share * count), min(int(share * count) + 1, count)))
    return min(low.low, share), max(high.high, share)


def draw(reward: Path, target: Path, title: str = "Calibration") -> Path:
    """The picture of a reward model's artefact, as a file of its own.

    Args:
        reward: Folder of the artefact.
        target: The SVG file.
        title: Of the picture.

    Raises:
        DataError: the model was not calibrated: too few held-out preferences.
    """
    facts: Any = read_manifest(reward).facts.get("calibration")
    if not facts:
        raise DataError(
            "a reward model was not calibrated", where=str(reward), hint="train it with more held-out preferences"
        )
    bins: Sequence[Sequence[float]] = facts["bins"]
    stated, observed, counts = zip(*bins, strict=True)
    found = Reliability(torch.tensor(stated), torch.tensor(observed), torch.tensor(counts))
    target.write_text(standalone(picture(found, title)), encoding="utf-8")
    return target
