import pytest

from running_server import start, stop


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("server"))
    yield running
    stop(running)
