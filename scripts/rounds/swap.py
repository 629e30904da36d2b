"""Fifty clients stream without a pause while the release behind `stable` changes under them, forwards and back.

A real `palate serve` in a process of its own, and two tiny GPT-2s with random weights, of which one can only ever say
one word and the other another. Each client asks `/v1/chat/completions` for a stream, reads it to its end, and asks
again. Meanwhile `stable` is given to the other release or rolled back; each time the cell waits until the server
answers with it, and lets the clients go on for a moment. All generators together get the two cores that the clients
and the server use as well.

| name | what it is |
|---|---|
| `swap/failed_streams` | streams that were refused, broke off, ended with an error or too early; `n` is all streams |
| `swap/mixed_streams` | streams of which the words, the `system_fingerprint` of every chunk, the policy that the journal stores and the text that it stores do not belong to one policy; `n` is all streams |
| `swap/across` | streams that were being written at the moment in which another policy took over, so that they could have been cut off or mixed; `n` is all streams |
| `swap/changes` | times that `stable` moved, rollbacks included; `n` is how many of them were rollbacks |
| `swap/seconds` | from the moment in which `stable` moves to the new policy's first words to somebody who asked after it, the second model's loading included, and the queue of 50 clients for 8 places; `n` is changes |
| `swap/new_order_seconds` | from a client's request to its first words, over all that were asked after the server's first words; the 99th percentile |
"""  # noqa: E501

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from scripts.evaluation.rows import row
from sqlalchemy import select

from palate.core.artefacts import Workspace
from palate.core.ids import derive_seed
from palate.evaluation.statistics import Figure, mean
from palate.models import load, tiny
from palate.rounds import releasing
from palate.store import people, schema, tokens
from palate.store.journal import Journal

WORDS = ("tea", "rain")
QUESTION = "what do you think of?"
CLIENTS = 50
MOVES = ("name", "name", "back", "back", "name", "back")
"""What happens to `stable`, which begins with the first model: forwards by name, and back."""
SHORTEST, LONGEST = 40, 160
"""Tokens of an answer."""
AFTERWARDS_S = 0.7
"""How long the clients go on after each change."""
PATIENCE_S = 120.0


@dataclass(slots=True)
class Stream:
    """One answer as a client got it."""

    asked_s: float
    wanted: int
    first_s: float = 0.0
    ended_s: float = 0.0
    id: str = ""
    text: str = ""
    fingerprints: set[str] = field(default_factory=set)
    reason: str = ""
    pieces: int = 0
    failure: str = ""


def figures(seed: int, clients: int = CLIENTS, moves: Sequence[str] = MOVES) -> list[dict[str, Any]]:
    """The rows."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        speakers = [speaker(project / word, word, seed) for word in WORDS]
        with Journal.open(project / "palate.db") as journal:
            people.create_account(journal, name="Olga", email="o@example.org", role="owner", password="a long password")
            token = tokens.create(journal, people.create_account(journal, name="Program", role="app").id, ["chat"])
            made = [
                releasing.add(journal, Workspace(project), one, why="a measurement", actor="cell") for one in speakers
            ]
            releasing.name(journal, "stable", made[0].id)
            words = {one.policy: word for one, word in zip(made, WORDS, strict=True)}
            with _served(project) as address:
                crowd = Crowd(address, token, seed)
                moved = asyncio.run(_run(crowd, journal, Workspace(project), [one.id for one in made], clients, moves))
            stored = _stored(journal)
    return _rows(crowd.streams, moved, stored, words, moves)


def speaker(folder: Path, word: str, seed: int = 0) -> Path:
    """A model that says one word whatever it is asked: its last layer norm puts out that word's direction alone."""
    texts = [f"{' '.join(WORDS)} {QUESTION}"] * 3
    tokenizer = tiny.train_tokenizer(texts, vocab_size=300, kind="words", lowercase=True)
    shape = {"width": 32, "layers": 1, "heads": 2, "context": 512}
    model = tiny.make_model(tokenizer, family="gpt2", **shape, seed=derive_seed(seed, word) % 2**31)
    (token,) = tokenizer(f"a {word}", add_special_tokens=False)["input_ids"][-1:]
    with torch.no_grad():
        norm, direction_D = model.transformer.ln_f, model.get_output_embeddings().weight[token]
        norm.weight.zero_()
        norm.bias.copy_(200.0 * direction_D / direction_D.norm() ** 2)
    folder.mkdir(parents=True, exist_ok=True)
    load.save(folder, model, tokenizer)
    return folder


class Crowd:
    """Clients, and what they got.

    Args:
        address: Of the server.
        token: For its API.
        seed: Of the lengths that are asked for.
    """

    def __init__(self, address: str, token: str, seed: int) -> None:
        self.host, _, port = address.removeprefix("http://").partition(":")
        self.port = int(port)
        self.token, self.seed = token, seed
        self.streams: list[Stream] = []
        self.over = False

    async def ask_on(self, number: int) -> None:
        """One client: a stream, and another, until it is over."""
        draw = random.Random(derive_seed(self.seed, "client", number))
        while not self.over:
            one = Stream(time.monotonic(), draw.randint(SHORTEST, LONGEST))
            self.streams.append(one)
            try:
                await asyncio.wait_for(self._read(one, number), PATIENCE_S)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                one.failure = type(error).__name__
            one.ended_s = time.monotonic()

    async def first_after(self, moment_s: float, policy: str) -> float:
        """When a policy's first words came that answer what was asked after a moment.

        What was asked before may still wait for its turn at the policy from before, to which a rollback goes back.
        """
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = [
                one.first_s
                for one in self.streams
                if one.asked_s > moment_s and one.first_s and policy in one.fingerprints
            ]
            if found:
                return min(found)
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{policy} did not answer within {PATIENCE_S:g} s")

    async def _read(self, one: Stream, number: int) -> None:
        body = json.dumps(
            {
                "model": "stable",
                "messages": [{"role": "user", "content": QUESTION}],
                "stream": True,
                "max_tokens": one.wanted,
                "user": f"client {number}",
            }
        )
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nConnection: close\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(f"{head}{body}".encode())
            status = (await reader.readline()).split()[1:2]
            if status != [b"200"]:
                one.failure = f"status {status}"
                return
            done = False
            while line := await reader.readline():
                if line.startswith(b"data: [DONE]"):
                    done = True
                elif line.startswith(b"data: "):
                    _hear(one, json.loads(line[6:]))
            if not done or one.reason != "length":
                one.failure = one.failure or f"it ended early: {one.reason!r}"
        finally:
            writer.close()


def _hear(one: Stream, told: dict[str, Any]) -> None:
    if "error" in told:
        one.failure = str(told["error"].get("code"))
        return
    one.id = told["id"]
    one.fingerprints.add(told["system_fingerprint"])
    (choice,) = told["choices"]
    if text := choice["delta"].get("content"):
        one.first_s = one.first_s or time.monotonic()
        one.text += text
        one.pieces += 1
    one.reason = choice["finish_reason"] or one.reason


async def _run(
    crowd: Crowd, journal: Journal, workspace: Workspace, ids: Sequence[str], clients: int, moves: Sequence[str]
) -> list[tuple[float, float]]:
    """Let them stream while the name moves; when it moved, and when the new policy's first words came."""
    asking = [asyncio.create_task(crowd.ask_on(number)) for number in range(clients)]
    moved: list[tuple[float, float]] = []
    at = 0
    try:
        policies = [one.release.policy for one in releasing.lines(journal, workspace)]
        await crowd.first_after(-1.0, policies[0])
        for move in moves:
            await asyncio.sleep(AFTERWARDS_S)
            at = 1 - at
            begun = time.monotonic()
            if move == "name":
                await asyncio.to_thread(releasing.name, journal, "stable", ids[at], why="a measurement")
            else:
                done = await asyncio.to_thread(releasing.back, journal, workspace, why="a measurement")
                at = ids.index(done.now.id)
            moved.append((begun, await crowd.first_after(begun, policies[at])))
        await asyncio.sleep(AFTERWARDS_S)
    finally:
        crowd.over = True
        await asyncio.gather(*asking)
    return moved


class _served:
    """`palate serve chat` on a project, at a free port."""

    def __init__(self, project: Path) -> None:
        self.project = project

    def __enter__(self) -> str:
        command = [sys.executable, "-m", "palate", "serve", "chat", "--out", str(self.project), "--port", "0"]
        with (self.project / "server.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"at (http://[\d.]+:\d+)", line):
                break
        else:
            raise RuntimeError((self.project / "server.log").read_text())
        with urllib.request.urlopen(f"{found[1]}/healthz", timeout=60):
            pass
        return found[1]

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        if said := (self.project / "server.log").read_text().strip():
            print(said, file=sys.stderr)


def _stored(journal: Journal) -> dict[str, tuple[str, str]]:
    """Id of a reply to the policy and the text that the journal has of it."""
    shown, said = schema.exposure, schema.completion
    query = select(shown.c.chat, said.c.policy, said.c.text).join(said, said.c.id == shown.c.completion)
    with journal.reading() as connection:
        return {one.chat: (one.policy, one.text) for one in connection.execute(query)}


def is_mixed(one: Stream, stored: tuple[str, str], words: dict[str, str]) -> bool:
    """Whether not everything about a stream belongs to one policy."""
    policy, text = stored
    said = policy in words and bool(one.text) and not one.text.replace(words[policy], "").strip()
    return not (said and one.fingerprints == {policy} and text == one.text)


def _rows(
    streams: Sequence[Stream],
    moved: Sequence[tuple[float, float]],
    stored: dict[str, tuple[str, str]],
    words: dict[str, str],
    moves: Sequence[str],
) -> list[dict[str, Any]]:
    n = len(streams)
    failed = [one for one in streams if one.failure]
    whole = [one for one in streams if not one.failure]
    mixed = [one for one in whole if is_mixed(one, stored.get(one.id, ("", "")), words)]
    across = [one for one in streams if any(one.first_s < at < one.ended_s for _, at in moved)]
    start = min(one.first_s for one in whole)  # before that the first model was being loaded
    waits = sorted(one.first_s - one.asked_s for one in whole if one.asked_s > start)
    for one in (*failed[:5], *mixed[:5]):
        print(one, stored.get(one.id), file=sys.stderr)

    def count(value: float, of: int) -> Figure:
        return Figure(float(value), float(value), float(value), of)

    return [
        row("swap/failed_streams", count(len(failed), n)),
        row("swap/mixed_streams", count(len(mixed), n)),
        row("swap/across", count(len(across), n)),
        row("swap/changes", count(len(moved), moves.count("back"))),
        row("swap/seconds", mean([at - begun for begun, at in moved])),
        row("swap/new_order_seconds", count(waits[int(0.99 * len(waits))], len(waits))),
    ]


if __name__ == "__main__":
    began = time.monotonic()
    for told in figures(int(sys.argv[1]) if len(sys.argv) > 1 else 0):
        print(told)
    print(f"{time.monotonic() - began:.0f} s")
