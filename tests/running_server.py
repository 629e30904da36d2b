"""A real server in a process of its own, with tiny models, for whoever speaks HTTP to it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import tiny_models
from palate.store import people, tokens
from palate.store.journal import Journal

HERE = Path(__file__)
CONTEXT = 2048


class Running(NamedTuple):
    """Where it is, and who may come in."""

    address: str
    journal: Path
    token: str
    weak: str
    """A token that may only give feedback."""
    owner: str
    """E-mail of the owner."""
    process: subprocess.Popen

    @property
    def generators(self):
        """Process ids of its generators."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(one) for one in children if b"serving.generator" in Path(f"/proc/{one}/cmdline").read_bytes()]


PASSWORD = "a long enough password"


def start(folder, *, families=("llama", "gpt2"), waiting=64, slots=4):
    """Start one over a new journal in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    policies = {family: str(tiny_models.make(folder / family, family, context=CONTEXT)) for family in families}
    path = folder / "palate.db"
    with Journal.open(path) as journal:
        owner = people.create_account(journal, name="Olga", email="olga@example.org", role="owner", password=PASSWORD)
        app = people.create_account(journal, name="Program", role="app")
        token = tokens.create(journal, app.id, ["chat", "feedback"])
        weak = tokens.create(journal, app.id, ["feedback"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    setting = {"journal": str(path), "policies": policies, "port": port, "waiting": waiting, "slots": slots}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(HERE), json.dumps(setting)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])},
            stderr=log,
        )
    running = Running(f"http://127.0.0.1:{port}", path, token, weak, owner.email, process)
    wait_for(lambda: _healthy(running), 60)
    return running


def stop(running):
    """End it, gently first."""
    running.process.terminate()
    try:
        running.process.wait(20)
    except subprocess.TimeoutExpired:
        running.process.kill()
        running.process.wait()


def wait_for(there, seconds):
    """Ask until it is there."""
    end = time.monotonic() + seconds
    while not (found := there()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
    return found


def _healthy(running):
    assert running.process.poll() is None, (running.journal.parent / "server.log").read_text()
    try:
        return urllib.request.urlopen(f"{running.address}/healthz", timeout=2).status == 200
    except OSError:
        return False


def _serve(setting):
    import uvicorn

    from palate.pages import app as pages
    from palate.serving.part import part
    from palate.serving.supervisor import Settings

    policies = {name: Path(folder) for name, folder in setting["policies"].items()}
    answering = Settings(policies=policies, threads=1, waiting=setting["waiting"], slots=setting["slots"], longest=300)
    app = pages.create(Journal.open(Path(setting["journal"])), parts=[part(answering)])
    uvicorn.run(app, port=setting["port"], log_level="warning", timeout_graceful_shutdown=5)


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
