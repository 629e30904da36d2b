"""A real server in a process of its own, and a real Chromium that uses it as people do."""

import os
import shutil
from pathlib import Path

import pytest

import seeded
from served import Server, log_in

BINARIES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path():
    """`PALATE_CHROMIUM`, or the first Chromium in the PATH."""
    named = os.environ.get("PALATE_CHROMIUM")
    return named or next((found for name in BINARIES if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser():
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: name one by PALATE_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # The sandbox needs rights that a container rarely has.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Where screenshots go; `PALATE_PICTURES` names a folder of those who want to look at them."""
    named = os.environ.get("PALATE_PICTURES")
    return Path(named) if named else tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A seeded project, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("template")
    seeded.project(folder / "palate.db")
    return folder


@pytest.fixture
def project(template, tmp_path):
    return shutil.copytree(template, tmp_path / "project")


@pytest.fixture
def server(project):
    made = Server(project).start()
    yield made
    made.stop()


@pytest.fixture
def visit(browser, server):
    """`visit("rater")` is a page on which the rater is logged in; no console message may stay unexplained."""
    contexts, trouble = [], []

    def opened(who="rater", **options):
        context = browser.new_context(base_url=server.address, viewport={"width": 1440, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
        log_in(page, who)
        return page

    opened.trouble = trouble
    yield opened
    for context in contexts:
        context.close()
    expected = ("Failed to load resource", "net::ERR")
    assert not [one for one in trouble if not one.startswith(expected)], trouble
