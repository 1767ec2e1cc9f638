"""What the buttons of these pages share: one key a press, and a plain word where it fails."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import sqlalchemy as sa
from pydantic import ValidationError

from affairs.http.node import KEY_PATTERN
from affairs.problems import ProblemCode, Refused
from affairs.staff.seats import NotStanding
from affairs.staff.sessions import Session, Sessions
from affairs.staff.site import Ask
from hallkit.errors import HallError

_KEY = re.compile(KEY_PATTERN)


class LoggedOut(HallError):
    """The login ended while the order was under way."""

    code = "expired"


async def carried_out(ask: Ask, work: Callable[[str], Awaitable[object]]) -> str:
    """Do it under the key of this press; the code of what was in the way, empty if nothing was."""
    key = ask.form.get("key", "")
    if _KEY.fullmatch(key) is None:
        return ProblemCode.KEY_INVALID.value
    try:
        await work(key)
    except ValidationError:
        return ProblemCode.REQUEST_INVALID.value
    except Refused as why:
        return why.problem_code.value
    except (NotStanding, LoggedOut) as why:
        return why.code
    return ""


def must_be_in(sessions: Sessions, connection: sa.Connection, session: Session) -> None:
    """`LoggedOut` unless the session stands, in the transaction of what it asks for."""
    if not sessions.stands(connection, session.id):
        raise LoggedOut("logged out meanwhile")
