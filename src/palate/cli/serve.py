"""`palate serve`: the pages of a project, in one process or several."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import uvicorn
from cyclopts import Parameter
from fastapi import FastAPI

from palate.cli import listening
from palate.cli.data import JOURNAL
from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError
from palate.pages import app as pages
from palate.pages.security import LOCAL, check_bind
from palate.store import people
from palate.store.journal import Journal

if TYPE_CHECKING:
    from palate.serving.following import Source

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
    release: Names = (),
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
        than once. Without any, the releases that are named stable and canary answer, and a name that moves is followed;
        without such a release, `all` serves the raters' pages alone.
    release
        Names of releases that answer, in place of stable and canary, or beside what --policy names.
    guardrails
        A file such as guardrails.toml: what may be asked of each --policy, and answered. It is kept as a version among
        the artefacts. A release brings its own.
    database
        URL of a PostgreSQL database, in place of the project's own file.
    https
        Browsers reach it by https, through a proxy that speaks it: cookies are then sent over nothing else.
    """
    if workers < 1:
        raise ConfigError("nobody would serve", where="--workers", expected="1 or more", found=str(workers))
    where = database or str((out / JOURNAL).absolute())
    with Journal.open(where) as journal:
        aliases = _aliases(what, release, policy, journal)
        policies = _policies(what, policy, aliases, workers)
        version = _guardrails(guardrails, policies, aliases, out)
        answering = _answering(journal, out, aliases, policies)
        check_bind(journal, host)
        first = None if people.owner_exists(journal) else people.invite(journal, "owner", hours=FIRST_HOURS)
    listener = listening.listen(host, port)
    port = listener.getsockname()[1]
    setting = {"what": what, "where": where, "out": str(out.absolute()), "names": _names(host, name), "https": https}
    setting["policies"] = {named: str(folder) for named, folder in policies.items()}
    setting["releases"] = list(aliases)
    setting["guardrails"] = str(version.absolute()) if version else ""
    os.environ[_SETTING] = json.dumps(setting)
    address = f"{'https' if https else 'http'}://{name[0] if name else _shown(host)}:{port}"
    news = [f"Palate serves {out.absolute().name} at {address}"]
    if what == "all" and not policies and not aliases:
        news.append("No --policy is given, and no release is named stable: chat and API are left out.")
    news += answering
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
    source = None
    if setting.get("releases"):
        from palate.rounds import released

        source = released.source(journal, Workspace(setting["out"]), setting["releases"], policies)
    asked = parts(setting["what"], policies, guarded, Path(setting["out"]), source)
    return pages.create(journal, settings=made, parts=asked)


def parts(
    what: What,
    policies: Mapping[str, Path],
    guardrails: Path | None = None,
    out: Path = Path(),
    releases: Source | None = None,
) -> Sequence[pages.Part]:
    """The parts that are asked for, under a version of the guardrails if one is named.

    Args:
        what: Which of them.
        policies: Name to folder of what answers.
        guardrails: The folder of their version.
        out: Project folder.
        releases: Where it stands what answers, in place of policies that stay what they are.
    """
    made: list[pages.Part] = []
    if what in ("rate", "all"):
        from palate.rounds.dashboard.part import part as rounds
        from palate.workbench.part import part

        made += [part(), rounds(Workspace(out))]
    if what in ("chat", "all") and (policies or releases):
        from palate.guardrails import loading
        from palate.serving import part as serving
        from palate.serving.supervisor import Settings

        guard = loading.load(guardrails) if guardrails else None
        reward = loading.reward_of(guardrails) if guardrails else None
        settings = Settings(policies=releases.wanted().policies if releases else policies, reward=reward)
        made.append(serving.part(settings, guard, releases))
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


def _aliases(what: What, asked: Sequence[str], policies: Sequence[str], journal: Journal) -> tuple[str, ...]:
    """Names of releases that are to answer.

    Raises:
        ConfigError: one of them is the name of a policy as well.
    """
    if what == "rate" or (policies and not asked):
        return ()
    from palate.rounds.released import SERVED
    from palate.store import releases

    if not asked:
        return SERVED if set(SERVED) & releases.aliases(journal).keys() else ()
    twice = [one for one in asked if any(given.partition("=")[0] == one for given in policies)]
    if twice:
        raise ConfigError("a policy and a release have one name", where=f"--policy {twice[0]}=…", found=twice[0])
    return tuple(dict.fromkeys(asked))


def _policies(what: What, given: Sequence[str], aliases: Sequence[str], workers: int) -> dict[str, Path]:
    """Name to folder of what answers beside releases.

    Raises:
        ConfigError: one of them cannot be served, or the chat is asked for and there is none.
    """
    if what == "rate" or (what == "all" and not given and not aliases):
        return {}
    from palate.serving.supervisor import Settings, named

    if workers > 1:
        raise ConfigError(
            "each server process would load the policies anew",
            where="--workers",
            expected="1 where policies or releases answer",
            found=str(workers),
            hint="run `palate serve rate --workers N` and `palate serve chat` side by side",
        )
    if aliases and not given:
        return {}
    return dict(Settings(policies=named(given)).policies)


def _answering(journal: Journal, out: Path, aliases: Sequence[str], policies: Mapping[str, Path]) -> list[str]:
    """Which releases answer at first, in words.

    Raises:
        PalateError: they cannot be served.
    """
    if not aliases:
        return []
    from palate.rounds import released

    wanted = released.wanted(journal, Workspace(out), aliases, policies)
    return [f"{alias}: release {id}, {wanted.names[alias]}" for alias, id in wanted.releases.items()]


def _guardrails(file: Path | None, policies: Mapping[str, Path], aliases: Sequence[str], out: Path) -> Path | None:
    """The folder of the version that a file is.

    Raises:
        ConfigError: there is nothing to guard, or a release has its own.
        PalateError: they cannot be used.
    """
    if file is None:
        return None
    if aliases:
        raise ConfigError(
            "a release is served under its own guardrails",
            where=f"--guardrails {file}",
            expected="policies alone",
            found=f"releases, by the names {', '.join(aliases)}",
            hint="`palate release add POLICY --guardrails FILE` makes a release under others",
        )
    if not policies:
        raise ConfigError(
            "there is nothing to guard",
            where=f"--guardrails {file}",
            expected="at least one --policy, and chat or all",
            found="no policy is served",
        )
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
