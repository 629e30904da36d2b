"""`palate demo`: the whole cycle in the practice world."""

from __future__ import annotations

import time
from pathlib import Path

from palate.cli.live import Live


def demo(out: Path = Path("demo"), *, quick: bool = False, seed: int = 0) -> None:
    """Run the whole cycle in the practice world, for real, and write a report.

    Parameters
    ----------
    out
        Folder for everything that is made.
    quick
        Leave out round 2 and the hacking runs.
    seed
        Of everything, pretraining included.
    """
    began = time.monotonic()
    live = Live()
    if (out / "artefacts").is_dir():
        live.say(f"{out} holds work of an earlier run: what is finished is used, the rest goes on from there.")
    else:
        live.say(f"Starting cleanly in {out}.")
    from palate.world import demo as world

    cycle = world.run(out, seed=seed, quick=quick, say=live.say, progress=live)
    command = f"palate demo --seed {seed}{' --quick' if quick else ''}"
    report = world.summarise(cycle, command)
    live.example(cycle.example)
    live.table([(named.name, named.figure) for named in cycle.figures])
    live.say(f"Done in {time.monotonic() - began:.0f} s. Report: {report}, figures: {out / 'summary.json'}")
