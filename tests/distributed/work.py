"""What the processes of these tests do: short runs of many recipes, one after another, as a plan on the disk says.

A line of the plan is a run: {"trial", "mode", "root", "stop_at", "who", "how", "wrong"}. At optimiser step `stop_at`
process `who` does to itself what `how` says: gets a signal, or raises an error. `wrong` breaks the code on purpose.
"""

import contextlib
import faulthandler
import json
import os
import signal
import sys
from pathlib import Path
from unittest import mock

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from palate.core.errors import ConfigError, Interrupted, TrainingError
from palate.core.progress import SILENT
from palate.models import sampling
from palate.training import parallel, sft
from palate.training.run import RunOptions
from palate.world.trials import setting as small


def gentle(trial):
    """With small steps: Adam moves a weight whose gradient is only rounding as far as any other."""
    return trial.told(learning_rate=1e-4)


class Notes:
    """What a run says goes to a file."""

    def __init__(self, path):
        self.path = path

    def note(self, sentence):
        with self.path.open("a") as handle:
            handle.write(sentence + "\n")

    def __getattr__(self, name):
        return getattr(SILENT, name)


REAL = {name: getattr(parallel, name) for name in ("sum_gradients", "share", "own", "together")}


def averaged(parameters):
    parameters = list(parameters)
    REAL["sum_gradients"](parameters)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad /= parallel.world().size


def without_the_last(parts):
    yield from list(REAL["share"](parts))[: None if parallel.world().first else -1]


WRONG = {
    "gradients are averaged": [(parallel, "sum_gradients", averaged)],
    "gradients stay at home": [(parallel, "sum_gradients", lambda parameters: None)],
    "the last part is left out": [(sft, "share", without_the_last)],
    "all sample the same rows": [(sampling, "row_seeds", lambda seed, rows: list(range(len(list(rows)))))],
    "figures stay at home": [(sft, "sum_facts", dict)],
}
"""Each by what it breaks; the last word is the test's."""


def run(trial, line):
    trial = trial.told(learning_rate=line.get("learning_rate", trial.config.learning_rate))
    root = Path(line["root"])
    root.mkdir(parents=True, exist_ok=True)
    seen = [0]

    def perhaps(*_):
        seen[0] += 1
        if seen[0] == line.get("stop_at") and int(os.environ.get("RANK", 0)) == line.get("who", 0):
            if line["how"] == "error":
                raise TrainingError("this process has had enough")
            os.kill(os.getpid(), getattr(signal, line["how"]))

    broken = contextlib.ExitStack()
    for owner, name, wrong in WRONG.get(line.get("wrong"), ()):
        broken.enter_context(mock.patch.object(owner, name, wrong))
    hook = register_optimizer_step_pre_hook(perhaps)
    options = RunOptions(device="cpu", parallel=line["mode"], checkpoint_every_s=line.get("every_s", 600))
    try:
        trial.run(root, progress=Notes(root / "notes.txt"), options=options)
        return "done"
    except Interrupted:
        return "interrupted"
    except ConfigError as error:
        return f"refused: {error}"
    finally:
        hook.remove()
        broken.close()


def main(plan, setting):
    faulthandler.dump_traceback_later(500, exit=True)  # a run that hangs says where
    torch.set_num_threads(1)
    trials = {trial.name: gentle(trial) for trial in small.trials(small.make(Path(setting)))}
    # Each step in two parts of equal size, one for each of two processes: both add up the same two numbers.
    trials["sft in parts"] = trials["sft"].told(batch_size=2, micro_batch=1)
    # Steps with one row, so that one of two processes has none.
    trials["sft lonely"] = trials["sft"].told(batch_size=5)
    trials["ppo lonely"] = trials["ppo"].told(rollouts=2, batch_size=1, iterations=2)
    for line in map(json.loads, Path(plan).read_text().splitlines()):
        said = run(trials[line["trial"]], line)
        if parallel.world().first:
            (Path(line["root"]) / "ended.txt").write_text(said)


if __name__ == "__main__":
    main(*sys.argv[1:])
