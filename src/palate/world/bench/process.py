"""One side as a process of its own, on one core, that works when it is its turn."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from palate.core.errors import ConfigError, TrainingError

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "PYTHONWARNINGS": "ignore",
}
"""The same for both sides."""
LONGEST_S = 1200.0
"""A side that says nothing for so long has hung."""


class Side:
    """A process that answers `go` with a block of steps; see `meter`.

    Args:
        name: For messages.
        command: What to run.
        log: Where its standard error goes.
        longest_s: Longest silence.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, *, longest_s: float = LONGEST_S) -> None:
        self.name = name
        self.log = log
        self.longest_s = longest_s
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                env={**os.environ, **ONE_THREAD},
            )
        assert self._process.stdout is not None
        self._lines: queue.Queue[str] = queue.Queue()
        self._pump = threading.Thread(target=_pump, args=(self._process.stdout, self._lines), daemon=True)
        self._pump.start()

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close(at_once=error is not None)

    def ready(self) -> None:
        """Wait until it stands before its first step."""
        self._hear()

    def block(self) -> dict[str, Any]:
        """Let it do a block of steps, and hear how that went."""
        self._say("go")
        return self._hear()

    def close(self, *, at_once: bool = False) -> None:
        """Tell it to stop."""
        if at_once:
            self._process.kill()
        else:
            self._say("stop")
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pump.join(timeout=5)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                _close(stream)

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:  # it has ended; what it said last tells why
            pass

    def _hear(self) -> dict[str, Any]:
        while True:
            try:
                line = self._lines.get(timeout=self.longest_s)
            except queue.Empty:
                raise self._failed(f"nothing for {self.longest_s:g} s") from None
            if not line:
                raise self._failed("it ended")
            if line.startswith("BENCH "):
                found: dict[str, Any] = json.loads(line.removeprefix("BENCH "))
                return found

    def _failed(self, what: str) -> TrainingError:
        last = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        return TrainingError(
            f"{self.name} could not be measured",
            where=str(self.log),
            expected="a block of steps",
            found=" / ".join([what, *last]),
        )


def interpreter_with_trl(path: Path, option: str, *, ppo: bool) -> str:
    """The version of TRL that an interpreter has.

    Raises:
        ConfigError: there is no such interpreter, it has no TRL, or one without the trainers that are compared with.
    """
    wanted = "1.12, the last release with PPO" if ppo else "1.16"
    hint = f"python -m venv DIR && DIR/bin/pip install trl=={'1.12.0' if ppo else '1.16.0'}, or `make bench`"
    if not path.is_file() or not os.access(path, os.X_OK):
        raise ConfigError(
            f"{option} names no interpreter", expected=f"a Python that has TRL {wanted}", found=str(path), hint=hint
        )
    code = "import importlib.metadata as m; import importlib.util as u; print(m.version('trl'))"
    if ppo:
        code += "; assert u.find_spec('trl.experimental.ppo'), 'no PPO'"
    done = subprocess.run([str(path), "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended"])[-1]
        raise ConfigError(f"{option} cannot be used", expected=f"TRL {wanted}", found=f"{path}: {last}", hint=hint)
    return done.stdout.strip()


def check_run(command: Sequence[str], log: Path, *, what: str, more: Mapping[str, str] | None = None) -> None:
    """Run something to its end.

    Raises:
        TrainingError: it failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as errors:
        done = subprocess.run(
            list(command), stdout=errors, stderr=errors, check=False, env={**os.environ, **ONE_THREAD, **(more or {})}
        )
    if done.returncode:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise TrainingError(f"{what} could not be made", where=str(log), found=" ".join(last))


def _pump(lines: IO[str], heard: queue.Queue[str]) -> None:
    for line in lines:
        heard.put(line)
    heard.put("")


def _close(stream: IO[str]) -> None:
    with contextlib.suppress(OSError):  # it had not read all
        stream.close()
