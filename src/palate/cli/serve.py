"""`palate serve`: the pages of a project, in one process or several."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import uvicorn
from cyclopts import Parameter
from fastapi import FastAPI

from palate.cli import listening
from palate.cli.data import JOURNAL
from palate.core.errors import ConfigError
from palate.pages import app as pages
from palate.pages.security import LOCAL, check_bind
from palate.store import people
from palate.store.journal import Journal

What = Literal["rate", "chat", "all"]
Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative_iterable=())]
_SETTING = "PALATE_SERVE"
"""Environment variable by which each server process learns what to serve."""
KEEP_ALIVE_S = 75
"""Raters think for longer than the usual 5 s; a connection that closes meanwhile can eat a verdict's first try."""
FIRST_HOURS = 24.0


def serve(
    what: What = "all",
    *,
    out: Path = Path(),
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    name: Names = (),
    policy: Names = (),
    guardrails: Path | None = None,
    database: str = "",
    https: bool = False,
) -> None:
    """Serve the project's pages until you press Ctrl-C.

    At first start it prints a link with which you make the owner's account.

    Parameters
    ----------
    what
        rate: the raters' pages and the dashboard. chat: chat and API. all: both.
    out
        Project folder.
    host
        Address to listen at. Others can reach any but 127.0.0.1, so that needs an owner with a password.
    port
        Port to listen at; 0 takes a free one.
    workers
        Server processes.
    name
        Names by which browsers know the server, such as raters.example.org.
    policy
        What answers in the chat and the API, as NAME=FOLDER: a policy artefact or a model folder. May be given more
        than once. Without any, `all` serves the raters' pages alone.
    guardrails
        A file such as guardrails.toml: what may be asked and answered. It is kept as a version among the artefacts.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    https
        Browsers reach it by https, through a proxy that speaks it: cookies are then sent over nothing else.
    """
    if workers < 1:
        raise ConfigError("nobody would serve", where="--workers", expected="1 or more", found=str(workers))
    policies = _policies(what, policy, workers)
    version = _guardrails(guardrails, policies, out)
    where = database or str((out / JOURNAL).absolute())
    with Journal.open(where) as journal:
        check_bind(journal, host)
        first = None if people.owner_exists(journal) else people.invite(journal, "owner", hours=FIRST_HOURS)
    listener = listening.listen(host, port)
    port = listener.getsockname()[1]
    setting = {"what": what, "where": where, "out": str(out.absolute()), "names": _names(host, name), "https": https}
    setting["policies"] = {named: str(folder) for named, folder in policies.items()}
    setting["guardrails"] = str(version.absolute()) if version else ""
    os.environ[_SETTING] = json.dumps(setting)
    address = f"{'https' if https else 'http'}://{name[0] if name else _shown(host)}:{port}"
    news = [f"Palate serves {out.absolute().name} at {address}"]
    if what == "all" and not policies:
        news.append("No --policy is given: chat and API are left out.")
    if version:
        news.append(f"Guardrails in force: {version.name}")
    if first:
        news.append(f"Make the owner's account, once, within a day: {address}/welcome/{first}")
    run(listener, workers, "\n".join(news))


def application() -> FastAPI:
    """What one server process serves, as `serve` has told it by the environment."""
    try:
        setting = json.loads(os.environ[_SETTING])
    except KeyError:
        raise ConfigError("this is for `palate serve` to start", where=_SETTING) from None
    journal = Journal.open(setting["where"])
    made = pages.Settings(hosts=tuple(setting["names"]), https=setting["https"])
    policies = {named: Path(folder) for named, folder in setting["policies"].items()}
    guarded = Path(setting["guardrails"]) if setting.get("guardrails") else None
    return pages.create(journal, settings=made, parts=parts(setting["what"], policies, guarded, Path(setting["out"])))


def parts(
    what: What, policies: Mapping[str, Path], guardrails: Path | None = None, out: Path = Path()
) -> Sequence[pages.Part]:
    """The parts that are asked for, under a version of the guardrails if one is named."""
    made: list[pages.Part] = []
    if what in ("rate", "all"):
        from palate.core.artefacts import Workspace
        from palate.rounds.dashboard.part import part as rounds
        from palate.workbench.part import part

        made += [part(), rounds(Workspace(out))]
    if what in ("chat", "all") and policies:
        from palate.guardrails import loading
        from palate.serving import part as serving
        from palate.serving.supervisor import Settings

        guard = loading.load(guardrails) if guardrails else None
        reward = loading.reward_of(guardrails) if guardrails else None
        made.append(serving.part(Settings(policies=policies, reward=reward), guard))
    return made


def run(listener: socket.socket, workers: int, news: str) -> None:
    """Serve at an open socket until the process is told to stop; `news` is printed once it can be reached."""
    config = uvicorn.Config(
        "palate.cli.serve:application",
        factory=True,
        workers=workers,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=10,  # an answer that is still being written then is cut off
        access_log=False,  # it would write down addresses of people
        server_header=False,
        log_level="warning",
    )
    server = uvicorn.Server(config)
    if workers == 1:
        print(news, flush=True)
        server.run(sockets=[listener])
    else:
        from uvicorn.supervisors import Multiprocess

        with listening.shared(listener, lambda: print(news, flush=True)) as listeners:
            Multiprocess(config, sockets=listeners).run()


def _policies(what: What, given: Sequence[str], workers: int) -> dict[str, Path]:
    """Name to folder of what answers.

    Raises:
        ConfigError: one of them cannot be served, or the chat is asked for and there is none.
    """
    if what == "rate" or (what == "all" and not given):
        return {}
    from palate.serving.supervisor import Settings, named

    if workers > 1:
        raise ConfigError(
            "each server process would load the policies anew",
            where="--workers",
            expected="1 with --policy",
            found=str(workers),
            hint="run `palate serve rate --workers N` and `palate serve chat --policy …` side by side",
        )
    return dict(Settings(policies=named(given)).policies)


def _guardrails(file: Path | None, policies: Mapping[str, Path], out: Path) -> Path | None:
    """The folder of the version that a file is.

    Raises:
        ConfigError: there is nothing to guard.
        PalateError: they cannot be used.
    """
    if file is None:
        return None
    if not policies:
        raise ConfigError(
            "there is nothing to guard",
            where=f"--guardrails {file}",
            expected="at least one --policy, and chat or all",
            found="no policy is served",
        )
    from palate.core.artefacts import Workspace
    from palate.guardrails import loading

    return loading.freeze(file, Workspace(out))


def _names(host: str, given: Sequence[str]) -> list[str]:
    """What browsers may call the server: a name that nobody listed could be another site's that points here."""
    found = [*pages.LOCAL_HOSTS, *given]
    if host not in LOCAL and host not in ("0.0.0.0", "::"):
        found.append(f"[{host}]" if ":" in host else host)
    elif host not in LOCAL:
        found.append(socket.gethostname())
        with contextlib.suppress(OSError):
            found += socket.gethostbyname_ex(socket.gethostname())[2]
    return list(dict.fromkeys(found))


def _shown(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
