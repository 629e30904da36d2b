from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from tests.servers.fake_vllm import FakeVLLM, Faults

from palate.core.artefacts import Workspace
from palate.core.records import Demonstration
from palate.models import load, tiny
from palate.models.servers.pool import Patience
from palate.training import server_weights, sft
from palate.world.trials import setting as small


class Setting(NamedTuple):
    base: Path
    scorer: Path


@pytest.fixture(scope="session")
def setting(tmp_path_factory):
    """A policy that ends its answers, and a reward model that is random: nobody asks here what is learned."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("setting")
    tokenizer = tiny.train_tokenizer(small.TEXTS, vocab_size=400, kind="words", lowercase=True)
    model = tiny.make_model(tokenizer, family="llama", width=32, layers=2, heads=2, context=96, seed=0)
    (root / "raw").mkdir()
    load.save(root / "raw", model, tokenizer)
    told = [
        Demonstration(prompt=prompt, completion=small.ANSWERS[(i + j) % 4])
        for i, prompt in enumerate(small.PROMPTS)
        for j in range(2)
    ]
    shape = {"epochs": 24, "batch_size": 4, "learning_rate": 1e-2}
    base = sft.train(sft.SFTConfig(**shape), root / "raw", told, Workspace(root))
    torch.manual_seed(1)
    load.save(root / "scorer", load.load_scalar(base), tokenizer)
    return Setting(base, root / "scorer")


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Pauses between attempts are short here."""
    monkeypatch.setattr(server_weights, "PATIENCE", Patience(pause_s=0.01))


@pytest.fixture
def serve(setting):
    """Starts servers; they stop with the test."""
    there = []

    def start(folder=None, *, backend="", **faults):
        there.append(FakeVLLM(folder or setting.base, backend=backend, faults=Faults(**faults)))
        return there[-1]

    yield start
    for fake in there:
        fake.stop()
