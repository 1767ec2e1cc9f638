"""Who may do what: roles of people, rights of roles. Pages ask for rights, never for roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Role(StrEnum):
    """What somebody is in the hall; one may be several things."""

    WINDOW = "window"
    GUIDE = "guide"
    """导办."""
    SUPERVISOR = "supervisor"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Right(StrEnum):
    """What a page or an order asks for."""

    ANYONE = "anyone"
    """Needs no login: the login page and what it is drawn with."""
    LOGGED_IN = "logged_in"
    """One's own account."""
    SERVE = "serve"
    """Stand at a window and give its orders."""
    SEE_PERSON = "see_person"
    """See the whole ID number of whoever is at one's window."""
    GUIDE = "guide"
    """Go to whoever calls for help, and see what they have done so far."""
    WATCH_HALL = "watch_hall"
    CALL_BACK = "call_back"
    """Look into bad ratings and call back."""
    READ_AUDIT = "read_audit"
    MANAGE_ACCOUNTS = "manage_accounts"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.WINDOW: frozenset({Right.SERVE, Right.SEE_PERSON}),
    Role.GUIDE: frozenset({Right.GUIDE}),
    Role.SUPERVISOR: frozenset({Right.WATCH_HALL, Right.GUIDE, Right.CALL_BACK}),
    Role.AUDITOR: frozenset({Right.READ_AUDIT}),
    Role.ADMIN: frozenset({Right.MANAGE_ACCOUNTS}),
}
"""Beside what everybody may who is logged in. Nobody gets a right that does not stand here."""


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """All that somebody with these roles may do."""
    own = {Right.ANYONE, Right.LOGGED_IN}
    return frozenset(own.union(*(RIGHTS[role] for role in roles)))
