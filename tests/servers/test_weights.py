"""Weights on their way: a carrier whose bytes go beside HTTP, an update that breaks, a folder."""

import threading

import pytest
import torch
from tests.servers.runs import weights as read
from tests.tiny_models import make

from palate.models import load
from palate.models.servers.client import Server
from palate.models.servers.protocol import ServerFault
from palate.models.servers.weights import FolderCarrier, Part, of_model, push


class BesideCarrier:
    """As NCCL would: names and shapes by HTTP, tensors through a pipe at which both ends must stand at once."""

    native = True

    def __init__(self, fake, breaks=False):
        self.meeting, self.passed = threading.Barrier(2), {}
        self.breaks = breaks
        fake.pipe = self.receive

    def receive(self, info):
        if self.breaks:
            raise RuntimeError("no route to host")
        self.meeting.wait(timeout=5)
        return {name: self.passed[name] for name in info["names"]}

    def load(self, version, weights):
        self.weights = list(weights)

    def handshake(self, server):
        return {"master_address": "127.0.0.1", "master_port": 1, "rank_offset": 1, "world_size": 2}

    def parts(self, server):
        for chunk in (self.weights[:9], self.weights[9:]):
            names = [name for name, _ in chunk]
            yield Part({"names": names}, lambda chunk=chunk: self.send(chunk))

    def send(self, chunk):
        self.passed = {name: value.clone() for name, value in chunk}
        if not self.breaks:
            self.meeting.wait(timeout=5)

    def clear(self):
        """Nothing is left."""


@pytest.fixture
def other(tmp_path):
    return load.load_causal(make(tmp_path / "other", seed=7)).model


def serves(fake, model):
    mine, theirs = dict(of_model(model)), dict(of_model(fake.model))
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.fixture
def small(serve, tmp_path):
    return lambda **more: serve(make(tmp_path / "base", seed=0), **more)


def test_bytes_beside_http_are_sent_while_the_server_waits_for_them(small, other):
    fake = small(backend="nccl")
    carrier, server = BesideCarrier(fake), Server(fake.url, timeout_s=10)
    assert not serves(fake, other)
    carrier.load(3, of_model(other))
    push(server, carrier, 3, timeout_s=10)
    assert serves(fake, other)
    assert server.version == 3
    assert len(fake.calls("/update_weights")) == 2
    assert len(fake.calls("/init_weight_transfer_engine")) == 1
    assert not fake.paused


def test_an_update_that_breaks_leaves_the_server_paused_and_unasked(small, other):
    fake = small(backend="nccl")
    carrier, server = BesideCarrier(fake, breaks=True), Server(fake.url, timeout_s=5)
    carrier.load(0, of_model(other))
    with pytest.raises(ServerFault):
        push(server, carrier, 0, timeout_s=5)
    assert fake.paused  # it may have half of them
    assert server.down
    assert server.version == -1


def test_a_folder_holds_what_transformers_reads_and_the_one_before_is_gone(small, other, tmp_path):
    carrier = FolderCarrier(tmp_path / "way", native=False, config=other.config.save_pretrained)
    carrier.load(0, of_model(other))
    carrier.load(1, of_model(other))
    assert [path.name for path in (tmp_path / "way").iterdir()] == ["version-00000001"]
    found = type(other).from_pretrained(carrier.folder)
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), other.parameters(), strict=True))
    assert "lm_head.weight" not in read(carrier.folder)  # tied: it comes once
    carrier.clear()
    assert not (tmp_path / "way").exists()
