"""How often someone may try a password: a short memory of failures, by name and by address."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable


class Attempts:
    """Failures of the last minutes. Each server process has its own memory.

    Args:
        most: So many failures are borne within `window_s`.
        window_s: After so many seconds a failure is forgotten.
        clock: Seconds that only grow.
    """

    def __init__(self, most: int = 8, window_s: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.window_s = window_s
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait_s(self, *keys: str) -> float:
        """Seconds until the next try is heard: 0 when it may come now."""
        with self._lock:
            return max((self._wait(key) for key in keys), default=0.0)

    def failed(self, *keys: str) -> None:
        """One more failure for each key."""
        with self._lock:
            self._drop_old()
            for key in keys:
                self._failures.setdefault(key, deque()).append(self._clock())

    def succeeded(self, *keys: str) -> None:
        """Forget the failures of these keys."""
        with self._lock:
            for key in keys:
                self._failures.pop(key, None)

    def _wait(self, key: str) -> float:
        times = self._failures.get(key)
        if times is None or len(times) < self.most:
            return 0.0
        return max(0.0, times[-self.most] + self.window_s - self._clock())

    def _drop_old(self) -> None:
        # A memory that an attacker could fill with invented names must empty itself.
        horizon = self._clock() - self.window_s
        for key in [key for key, times in self._failures.items() if times[-1] < horizon]:
            del self._failures[key]
