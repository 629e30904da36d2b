"""The application without a socket, and someone who is logged in."""

import re
from contextlib import contextmanager

from starlette.testclient import TestClient

import seeded
from palate.pages.app import Settings, create
from palate.store.journal import Journal
from palate.workbench.part import part


@contextmanager
def application(path, **settings):
    with Journal.open(path) as journal:
        yield create(journal, settings=Settings(hosts=("testserver",), **settings), parts=[part()])


class Visitor:
    """A browser as far as cookies and the CSRF token go."""

    def __init__(self, app, who="", **headers):
        self.client = TestClient(app, follow_redirects=False, raise_server_exceptions=False, headers=headers)
        self.csrf = ""
        if who:
            reply = self.client.post("/login", data={"email": f"{who}@example.org", "password": seeded.PASSWORD})
            assert reply.status_code == 303, reply.text
            self.csrf = re.search(r'name="csrf" content="([^"]+)"', self.get("/account").text)[1]

    def get(self, path, **more):
        return self.client.get(path, **more)

    def form(self, path, **fields):
        return self.client.post(path, data={"csrf": self.csrf, **fields})

    def json(self, path, body, **headers):
        sent = {"X-CSRF-Token": self.csrf, "Accept": "application/json", **headers}
        return self.client.post(path, json=body, headers=sent)
