"""Who sits in the raters' room: someone with a session, or a program with a token of scope `rate`."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from palate.pages import security
from palate.pages.errors import Refusal
from palate.pages.walls import by_token
from palate.store.journal import Journal
from palate.store.people import Account

ROLES = ("owner", "lead", "rater")
LEADERS = ("owner", "lead")
_by_session = security.require(*ROLES)
_by_token = security.bearer("rate")


class Seat(NamedTuple):
    """An account, and the pseudonym under which it judges."""

    account: Account
    rater: str


def seat(request: Request) -> Seat:
    """Whoever asks, if they may judge."""
    account = (_by_token if by_token(request.url.path) else _by_session)(request)
    if not account.rater or account.role not in ROLES:
        raise Refusal(403, "This account does not judge.", code="role")
    return Seat(account, account.rater)


Sitting = Annotated[Seat, Depends(seat)]
Leading = Annotated[Account, Depends(security.require(*LEADERS))]
Open = Annotated[Journal, Depends(security.journal)]
