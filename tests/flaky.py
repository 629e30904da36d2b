"""A judge's server that fails in every way a server can: real HTTP, and each question meets some of them.

Import it as `tests.flaky`, here and from `scripts`.
"""

import collections
import random
import threading
import time
from contextlib import contextmanager

from tests.endpoints import DROP, Raw, Status, endpoint

WELL = 0.5
"""Chance that a request is answered as it should be."""


class Flaky:
    """Where it is, and what happened there."""

    def __init__(self, url, told):
        self.url, self.told = url, told
        self.met = collections.Counter()
        """How often a request met each way; `well` is none."""
        self.private = threading.Event()
        """Set when somebody followed a redirect to a private address."""
        self.questions = set()
        """All that was asked."""


def longer(body):
    """The longer answer is better; a question that is not about two answers is nobody's."""
    parts = body["messages"][-1]["content"].split("<<< answer ")[1:]
    first, second = (part.split("]\n", 1)[1].split("\n>>> end", 1)[0] for part in parts)
    return "A" if len(first) > len(second) else "B"


@contextmanager
def flaky(answer=longer, *, seed=0, stall_s=0.8):
    """A `Flaky` while it runs.

    `answer(body)` is what it says when it is well. `stall_s` is longer than the client waits: 10 s in life, less in
    a test.
    """
    draw, lock = random.Random(seed), threading.Lock()
    found = None

    def inside(body, _):
        found.private.set()
        return "A"

    with endpoint(inside) as (secret, _):
        ways = {
            "stall": lambda: time.sleep(stall_s) or "A",
            "429": lambda: Status(429, "slow down", Retry_After="0.01"),
            "500": lambda: Status(500, "oops"),
            "json": lambda: Raw(b'{"choices": [{"mess'),
            "list": lambda: Raw(b"[]"),
            "empty": lambda: Raw(b""),
            "drop": lambda: DROP,
            "redirect": lambda: Status(307, "", Location=f"{secret}/chat/completions"),
            "teapot": lambda: Status(403, "not today"),
        }

        def ill(body, _):
            with lock:
                way = "well" if draw.random() < WELL else draw.choice(list(ways))
                found.met[way] += 1
                found.questions.add(body["messages"][-1]["content"])
            return answer(body) if way == "well" else ways[way]()

        with endpoint(ill) as (url, told):
            found = Flaky(url, told)
            found.ways = set(ways)
            yield found
