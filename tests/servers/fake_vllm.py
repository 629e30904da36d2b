"""A vLLM server for tests: the routes of the real one over real HTTP, our own sampler behind them, and bad manners.

    python -m tests.servers.fake_vllm MODEL        prints its address; for tests that kill a process

It answers as vLLM's documentation says (version 0.32). It is no proof that a real server does.
"""

import json
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import torch
from safetensors.torch import load_file

from palate.models import load, sampling


@dataclass
class Faults:
    """What it does wrong; counts are of completions, from the first."""

    slow_s: float = 0.0
    drop: set = field(default_factory=set)
    fail: set = field(default_factory=set)
    truncate: set = field(default_factory=set)
    abort: set = field(default_factory=set)
    die_at: int = -1
    """From this completion on nobody is there."""
    stale: bool = False
    """It says that it has the new weights, and has not."""
    refuse_weights: bool = False
    wrong_logprobs: float = 0.0
    raw_logprobs: bool = False
    temperature: float = 0.0
    """Its own, in place of the one that was asked for."""
    top_k: int = 0
    noise: float = 0.0
    """Added to its weights, as another precision would."""
    refuse: dict = field(default_factory=dict)
    """After so many weight updates, how many rows are never answered."""
    shift: int = 0
    """Added to all token ids, as another tokenizer would."""
    ignores_ends: bool = False
    leaves_out: tuple = ()
    """Fields of a choice."""
    developer: bool = True
    """VLLM_SERVER_DEV_MODE."""


class FakeVLLM:
    """One server, in threads of this process."""

    def __init__(self, folder, *, backend="", faults=None, port=0):
        self.model = load.load_causal(folder).model
        self.backend, self.faults = backend, faults or Faults()
        self.lock = threading.Lock()
        self.log = []
        """Every call: path and body."""
        self.answered = self.updates = 0
        self.refused = {}
        self.paused = self.ready = self.updating = False
        self.label = "default"
        self.pipe = None
        """Where weights arrive that do not come over HTTP: a function that blocks until they are there."""
        self.salts = set()
        handler = type("Handler", (_Handler,), {"fake": self})
        self.http = _Server(("127.0.0.1", port), handler)
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Nobody is there any more."""
        if self.http is not None:
            http, self.http = self.http, None
            threading.Thread(target=http.shutdown, daemon=True).start()
            http.socket.close()

    def calls(self, path):
        return [body for called, body in self.log if called == path]

    def take(self, folder=None, tensors=None):
        if self.faults.refuse_weights:
            raise _Refused(500, "weights are refused")
        self.updates += 1
        found = load_file(Path(folder) / "model.safetensors") if folder else tensors
        if not self.faults.stale:
            with self.lock:
                told = self.model.load_state_dict(found, strict=False)
                self.model.tie_weights()
                for parameter in self.model.parameters() if self.faults.noise else ():
                    parameter.data += self.faults.noise * torch.randn_like(parameter)
            if told.unexpected_keys:
                raise _Refused(500, f"unknown weights {told.unexpected_keys[:2]}")

    def complete(self, body):
        faults = self.faults
        with self.lock:
            number, self.answered = self.answered, self.answered + 1
        if faults.die_at >= 0 and number >= faults.die_at:
            self.stop()
            raise _Dropped
        time.sleep(faults.slow_s)
        if number in faults.drop:
            raise _Dropped
        if self.updates in faults.refuse and "prompt_logprobs" not in body:
            refused = self.refused.setdefault(self.updates, [])
            if body["seed"] not in refused and len(refused) < faults.refuse[self.updates]:
                refused.append(body["seed"])
            if body["seed"] in refused:
                raise _Refused(500, "out of memory")
        if number in faults.fail:
            raise _Refused(500, "EngineCore encountered an issue")
        while self.paused:
            time.sleep(0.01)
        temperature = faults.temperature or body["temperature"]
        ends = () if faults.ignores_ends else tuple(body["stop_token_ids"])
        with self.lock:
            row = self._sample(body, temperature, ends)
            tokens, logprobs = row
            prompt_logprobs = self._score_prompt(body["prompt"]) if "prompt_logprobs" in body else None
        ended = tokens[-1] in ends
        choice = {
            "index": 0,
            "text": "",
            "token_ids": [token + faults.shift for token in tokens],
            "prompt_token_ids": body["prompt"],
            "finish_reason": "abort" if number in faults.abort else "stop" if ended else "length",
            "logprobs": {"token_logprobs": [value - faults.wrong_logprobs for value in logprobs]},
            "prompt_logprobs": prompt_logprobs,
        }
        for name in faults.leaves_out:
            del choice[name]
        text = json.dumps({"id": "cmpl-0", "object": "text_completion", "choices": [choice]})
        return text[: len(text) // 2] if number in faults.truncate else text

    def _sample(self, body, temperature, ends):
        if self.faults.top_k:
            return self._cut(body, temperature, ends)
        (row,) = sampling.sample(
            self.model,
            [body["prompt"]],
            eos_id=ends or (self.model.config.vocab_size + 1,),
            max_new_tokens=body["max_tokens"],
            temperature=temperature,
            seeds=[body["seed"]],
        )
        logprobs = row.logprobs
        if self.faults.raw_logprobs:
            logprobs = self._score(body["prompt"], row.tokens)
        return row.tokens, logprobs

    def _cut(self, body, temperature, ends):
        """Only the likeliest tokens, and log-probs among them."""
        row, logprobs, generator = list(body["prompt"]), [], torch.Generator().manual_seed(body["seed"] % 2**31)
        while len(logprobs) < body["max_tokens"] and (not logprobs or row[-1] not in ends):
            with torch.no_grad():
                logits = self.model(torch.tensor([row])).logits[0, -1] / temperature
            kept = logits.topk(self.faults.top_k)
            chances = kept.values.log_softmax(-1)
            drawn = int(torch.multinomial(chances.exp(), 1, generator=generator))
            row.append(int(kept.indices[drawn]))
            logprobs.append(float(chances[drawn]))
        return row[len(body["prompt"]) :], logprobs

    def _score(self, prompt, tokens):
        with torch.no_grad():
            logits = self.model(torch.tensor([prompt + tokens])).logits[0].float().log_softmax(-1)
        return logits[len(prompt) - 1 : -1].gather(1, torch.tensor(tokens)[:, None])[:, 0].tolist()

    def _score_prompt(self, prompt):
        values = self._score(prompt[:1], prompt[1:])
        return [None, *({str(t): {"logprob": v, "rank": 1}} for t, v in zip(prompt[1:], values, strict=True))]


class _Dropped(Exception):
    """Hang up without a word."""


class _Refused(Exception):
    """An HTTP status and what it says."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        """A connection that somebody dropped is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        """Silent."""

    def do_GET(self):
        self._serve({})

    def do_POST(self):
        size = int(self.headers.get("Content-Length") or 0)
        self._serve(json.loads(self.rfile.read(size) or b"{}"))

    def _serve(self, body):
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.fake.log.append((parts.path, body))
        try:
            if self.fake.http is None:
                raise _Dropped
            status, text = 200, _answer(self.fake, parts.path, query, body)
        except _Refused as refused:
            status, text = refused.args[0], json.dumps({"error": {"message": refused.args[1]}})
        except _Dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()


def _answer(fake, path, query, body):
    if path == "/v1/completions":
        return fake.complete(body)
    if path == "/v1/models":
        return json.dumps({"data": [{"id": "tiny", "max_model_len": 96}]})
    routes = {
        "/pause": _pause,
        "/resume": _resume,
        "/reset_prefix_cache": lambda *_: {},
        "/collective_rpc": _rpc,
        "/init_weight_transfer_engine": _init,
        "/start_weight_update": _start,
        "/update_weights": _update,
        "/finish_weight_update": _finish,
        "/weight_info": lambda fake, *_: {"weight_version": fake.label},
    }
    if not fake.faults.developer or path not in routes:
        raise _Refused(404, "Not Found")
    return json.dumps(routes[path](fake, query, body))


def _pause(fake, query, body):
    assert query["mode"] == "wait"
    fake.paused = True
    return {"status": "paused"}


def _resume(fake, query, body):
    fake.paused = False
    return {"status": "resumed"}


def _rpc(fake, query, body):
    if body["method"] != "reload_weights":
        raise _Refused(400, "no such method")
    fake.take(folder=body["kwargs"]["weights_path"])
    return {"results": [None]}


def _init(fake, query, body):
    if not fake.backend:
        raise _Refused(500, "Weight transfer not configured")
    if fake.backend == "nccl" and "master_address" not in body["init_info"]:
        raise _Refused(400, "Missing master_address")
    fake.ready = True
    return {"message": "Weight transfer initialized"}


def _start(fake, query, body):
    if not fake.ready:
        raise _Refused(500, "Weight transfer not initialized")
    fake.updating = True
    return {"message": "Weight update started"}


def _update(fake, query, body):
    if not fake.updating or not fake.paused:
        raise _Refused(400, "no update was started")
    info = body["update_info"]
    if fake.backend == "disk":
        fake.take(folder=info["path"])
    else:
        fake.take(tensors=fake.pipe(info))
    return {"message": "Weights updated"}


def _finish(fake, query, body):
    fake.updating = False
    if not fake.faults.stale:
        fake.label = body["weight_version"]
    return {"message": "Weight update finished"}


if __name__ == "__main__":
    torch.set_num_threads(1)
    options = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    served = FakeVLLM(sys.argv[1], faults=Faults(**options))
    print(served.url, flush=True)  # noqa: T201
    threading.Event().wait()
