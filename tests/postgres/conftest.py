import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "postgres: on a real PostgreSQL; `make test` runs a tenth, `make postgres` all")


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/postgres" in item.nodeid:
            item.add_marker(pytest.mark.postgres)
