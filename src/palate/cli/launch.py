"""`--nproc N`: the same command in several processes of this machine, as `torchrun` would start them."""

from __future__ import annotations

import logging
import os
import sys
import uuid

from palate.training import parallel
from palate.training.run import RunOptions


def on_processes(options: RunOptions) -> None:
    """Carry this very command out in several processes, if that is asked for, and end with their exit code.

    Args:
        options: Of the command.
    """
    if options.nproc == 1 or parallel.launched():
        return
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    threads = max((os.cpu_count() or 1) // options.nproc, 1)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "600")  # a step may be long, and ends with a checkpoint
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the processes speak for themselves
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=options.nproc,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-u", "-m", "palate", *sys.argv[1:])
    except SignalException:
        sys.exit(130)
    except ChildFailedError as error:
        first = min(error.failures.values(), key=lambda failure: failure.timestamp)
        sys.exit(first.exitcode if first.exitcode > 0 else 2)
    sys.exit(0)
