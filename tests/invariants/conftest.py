import pytest
import torch

from palate.world.trials import kills
from palate.world.trials import setting as small


@pytest.fixture(scope="session")
def setting(tmp_path_factory):
    """Models to begin with, made in a process of their own: whoever forks must not have trained."""
    root = tmp_path_factory.mktemp("setting")
    torch.set_num_threads(1)
    ended = kills.fork(lambda: small.make(root) and None)
    assert ended.code == 0, ended.said
    return small.make(root)


@pytest.fixture(scope="session")
def trials(setting):
    return {trial.name: trial for trial in small.trials(setting)}
