import pytest
from tests.distributed.launch import carry_out

from palate.world.trials import setting as small

MODES = ("ddp", "fsdp2")
NAMES = [*(trial.name for trial in small.trials(small.NOWHERE)), "sft lonely", "ppo lonely"]


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Where everything happens; models to begin with are made in a process of their own."""
    root = tmp_path_factory.mktemp("distributed")
    carry_out([], root / "setting", root / "nothing.jsonl")
    return root


@pytest.fixture(scope="session")
def alone(place):
    """Every recipe in one process."""
    plan = [{"trial": name, "mode": "ddp", "root": str(place / "alone" / name)} for name in NAMES]
    carry_out(plan, place / "setting", place / "alone.jsonl")
    return place / "alone"


@pytest.fixture(scope="session", params=MODES)
def both(request, place):
    """Every recipe in two processes, in one launch."""
    mode = request.param
    plan = [{"trial": name, "mode": mode, "root": str(place / mode / name)} for name in NAMES]
    carry_out(plan, place / "setting", place / f"{mode}.jsonl", processes=2)
    return place / mode
