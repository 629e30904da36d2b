"""The names of releases, followed: when one moves in the journal, the server moves with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final, NamedTuple

import anyio

from palate.core.errors import PalateError
from palate.serving.swapping import Swapping, Wanted

log = logging.getLogger("palate.serving")
LOOK_S: Final = 1.0


class Source(NamedTuple):
    """Where it stands what is to answer. Both are called in a thread."""

    moved: Callable[[], int]
    """A number that changes whenever a name is given; cheap, since it is asked for every second."""
    wanted: Callable[[], Wanted]
    """What the names stand for now.

    Raises:
        PalateError: one of them cannot be served.
    """


async def follow(swapping: Swapping, source: Source, *, seen: int, look_s: float = LOOK_S) -> None:
    """Swap whenever a name was given, until this is cancelled.

    A name that moves again while a policy is being loaded ends the loading. What fails is not tried again before a
    name is given anew: the same name to the same release will do.

    Args:
        swapping: What serves.
        source: Where to look.
        seen: What `source.moved` said before what is served now was looked up.
        look_s: How often it is looked.
    """
    task: asyncio.Task[None] | None = None
    away = False
    try:
        while True:
            await asyncio.sleep(look_s)
            try:
                moved = await anyio.to_thread.run_sync(source.moved)
            except Exception:
                if not away:  # once, and not every second of an outage
                    log.exception("the names of releases cannot be read; they are looked up again and again")
                away = True
                continue
            away = False
            if moved == seen:
                continue
            seen = moved
            await _cancelled(task)
            task = asyncio.create_task(_change(swapping, source), name="swap")
    finally:
        await _cancelled(task)


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _change(swapping: Swapping, source: Source) -> None:
    try:
        wanted = await anyio.to_thread.run_sync(source.wanted)
        await swapping.swap(wanted)
    except PalateError as error:
        swapping.failed(str(error))
        log.error("a release cannot be served, so what answered goes on: %s", error)
    except Exception as error:
        swapping.failed(f"{type(error).__name__}: the server's log says more")
        log.exception("a release cannot be served, so what answered goes on")
