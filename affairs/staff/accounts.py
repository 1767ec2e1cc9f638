"""Accounts of the hall's people: made and changed by the command line, read by the pages."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from affairs.audit import AuditKind, AuditLog
from affairs.staff.passwords import Passwords, mistake_in
from affairs.staff.rights import Right, Role, rights_of
from affairs.staff.tables import accounts, seats, sessions
from affairs.store import Store
from hallkit.errors import HallError
from hallkit.model.ids import new_id
from hallkit.runtime.clock import Clock

ALL_WINDOWS = "all"
NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{1,47}$")
DISPLAY_LIMIT = 64


class AccountState(StrEnum):
    ACTIVE = "active"
    LOCKED = "locked"
    """For now: nobody gets in."""
    RETIRED = "retired"
    """For good; the name stays taken, so that the audit log never means two people."""


class AccountMistake(HallError):
    """What was asked for an account cannot be; `why` is a key of the words, or plain English."""

    code = "account_mistake"

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in. Without the password."""

    id: str
    name: str
    display_name: str
    roles: frozenset[Role]
    windows: frozenset[int] | None
    """At which they may stand; None: all."""
    state: AccountState
    must_change: bool
    """The password is one that somebody else knows."""

    @property
    def rights(self) -> frozenset[Right]:
        return rights_of(self.roles)

    def may_stand_at(self, window: int) -> bool:
        return self.windows is None or window in self.windows


class Accounts:
    """Every change is one transaction with its row in the audit log."""

    def __init__(self, store: Store, *, passwords: Passwords, log: AuditLog, clock: Clock) -> None:
        self._store = store
        self._passwords = passwords
        self._log = log
        self._clock = clock

    async def add(
        self,
        name: str,
        *,
        display_name: str,
        roles: Collection[Role],
        windows: Collection[int] | None,
        password: str,
        by: str,
    ) -> Account:
        """A new account, whose password is to be changed first. `AccountMistake` if it can't be."""
        _check(name, display_name, roles)
        if wrong := mistake_in(password, name=name):
            raise AccountMistake(wrong)
        kept = await self._passwords.made(password)
        now_ms = self._clock.wall_ms()

        def work(connection: sa.Connection) -> Account:
            if _by_name(connection, name) is not None:
                raise AccountMistake("the name is taken")
            account_id = new_id()
            connection.execute(
                accounts.insert().values(
                    id=account_id,
                    name=name,
                    display_name=display_name,
                    roles=",".join(sorted(roles)),
                    windows=_written(windows),
                    state=AccountState.ACTIVE.value,
                    password=kept,
                    must_change=True,
                    created_at_ms=now_ms,
                    changed_at_ms=now_ms,
                )
            )
            detail = {"roles": ",".join(sorted(roles)), "windows": _written(windows)[:200]}
            self._log.add(
                connection, AuditKind.ACCOUNT_ADDED, actor=by, subject=account_id, detail=detail
            )
            return account_of(row_of(connection, account_id))

        return await self._store.transaction(work)

    async def all(self) -> list[Account]:
        """Everybody, by name."""

        def work(connection: sa.Connection) -> list[Account]:
            found = connection.execute(sa.select(accounts).order_by(accounts.c.name))
            return [account_of(row) for row in found]

        return await self._store.transaction(work)

    async def set_password(self, name: str, password: str, *, by: str) -> Account:
        """A new one-time password: all sessions end, and it is to be changed at the next login."""
        if wrong := mistake_in(password, name=name):
            raise AccountMistake(wrong)
        kept = await self._passwords.made(password)

        def work(connection: sa.Connection) -> Account:
            row = _present(connection, name)
            self.keep_password(connection, row.id, kept, must_change=True)
            self._log.add(connection, AuditKind.PASSWORD_CHANGED, actor=by, subject=row.id)
            return account_of(row_of(connection, row.id))

        return await self._store.transaction(work)

    async def set_state(self, name: str, state: AccountState, *, by: str) -> Account:
        """Lock, retire or let in again: all sessions end, and the window is free."""

        def work(connection: sa.Connection) -> Account:
            row = _present(connection, name)
            if row.state == AccountState.RETIRED:
                raise AccountMistake("a retired account stays retired")
            self._set(connection, row.id, state=state.value)
            end_sessions(connection, row.id)
            connection.execute(seats.delete().where(seats.c.account_id == row.id))
            self._log.add(
                connection,
                AuditKind.ACCOUNT_CHANGED,
                actor=by,
                subject=row.id,
                detail={"state": state.value},
            )
            return account_of(row_of(connection, row.id))

        return await self._store.transaction(work)

    def keep_password(
        self, connection: sa.Connection, account_id: str, kept: str, *, must_change: bool
    ) -> None:
        """Another password; every session of the account ends."""
        self._set(connection, account_id, password=kept, must_change=must_change)
        end_sessions(connection, account_id)

    def renew_hash(self, connection: sa.Connection, account_id: str, old: str, kept: str) -> None:
        """The same password at today's cost, unless it was changed meanwhile."""
        connection.execute(
            accounts.update()
            .where(accounts.c.id == account_id, accounts.c.password == old)
            .values(password=kept)
        )

    def _set(self, connection: sa.Connection, account_id: str, **values: Any) -> None:
        connection.execute(
            accounts.update()
            .where(accounts.c.id == account_id)
            .values(changed_at_ms=self._clock.wall_ms(), **values)
        )


def end_sessions(connection: sa.Connection, account_id: str) -> None:
    """Log somebody out everywhere."""
    connection.execute(sessions.delete().where(sessions.c.account_id == account_id))


def row_by_name(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    """With the password; None if nobody has the name."""
    return _by_name(connection, name)


def row_of(connection: sa.Connection, account_id: str) -> sa.Row[Any]:
    return connection.execute(sa.select(accounts).where(accounts.c.id == account_id)).one()


def account_of(row: sa.Row[Any]) -> Account:
    told = row.windows
    return Account(
        id=row.id,
        name=row.name,
        display_name=row.display_name,
        roles=frozenset(Role(role) for role in row.roles.split(",") if role),
        windows=None
        if told == ALL_WINDOWS
        else frozenset(int(number) for number in told.split(",") if number),
        state=AccountState(row.state),
        must_change=row.must_change,
    )


def _check(name: str, display_name: str, roles: Collection[Role]) -> None:
    if NAME.fullmatch(name) is None:
        raise AccountMistake("a name is 2 to 48 small letters, digits, dots and dashes")
    if not 0 < len(display_name) <= DISPLAY_LIMIT:
        raise AccountMistake(f"a display name has 1 to {DISPLAY_LIMIT} characters")
    if not roles:
        raise AccountMistake("at least one role is needed")


def _present(connection: sa.Connection, name: str) -> sa.Row[Any]:
    row = _by_name(connection, name)
    if row is None:
        raise AccountMistake("nobody has this name")
    return row


def _by_name(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    asked = sa.select(accounts).where(accounts.c.name == name)
    return connection.execute(asked).one_or_none()


def _written(windows: Collection[int] | None) -> str:
    return ALL_WINDOWS if windows is None else ",".join(map(str, sorted(windows)))
