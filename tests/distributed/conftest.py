import pytest
from tests.distributed.launch import carry_out
from tests.distributed.work import WRONG

from palate.world.trials import setting as small

MODES = ("ddp", "fsdp2")
NAMES = [*(trial.name for trial in small.trials(small.NOWHERE)), "sft lonely", "ppo lonely"]


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Where everything happens, with the models to begin with."""
    root = tmp_path_factory.mktemp("distributed")
    small.make(root / "setting")
    return root


@pytest.fixture(scope="session")
def alone(place):
    """Every recipe in one process."""
    carry_out(plan_of("ddp", place / "alone"), place / "setting", place / "alone.jsonl")
    return place / "alone"


@pytest.fixture(scope="session")
def in_two(place):
    """Every recipe in two processes, in one launch; and runs whose code was broken on purpose."""
    plans = [one for mode in MODES for one in plan_of(mode, place / mode)]
    broken = [
        {"trial": "grpo" if "sample" in wrong else "sft", "mode": "ddp", "root": str(place / "broken" / wrong)}
        | {"wrong": wrong}
        for wrong in WRONG
    ]
    carry_out(plans + broken, place / "setting", place / "in-two.jsonl", processes=2)
    return place


@pytest.fixture(scope="session", params=MODES)
def both(request, in_two):
    return in_two / request.param


@pytest.fixture(scope="session")
def broken(in_two):
    return in_two / "broken"


def plan_of(mode, root):
    return [{"trial": name, "mode": mode, "root": str(root / name)} for name in NAMES]
