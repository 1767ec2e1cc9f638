"""In and out: login, logout, another password, and where somebody is sent first."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from starlette.responses import RedirectResponse, Response

from affairs.audit import AuditKind, AuditLog
from affairs.staff import accounts as people
from affairs.staff.accounts import Accounts, AccountState
from affairs.staff.limits import LoginBrake, Whose
from affairs.staff.passwords import MAXIMUM, Passwords, mistake_in
from affairs.staff.rights import Right
from affairs.staff.seats import Seats
from affairs.staff.sessions import WHOLE_MS, Sessions
from affairs.staff.site import LINKS, LOGIN, LOGOUT, PASSWORD, Ask, Drawing, Page, cookie_name
from affairs.store import Store

_NAME_LIMIT = 48


@dataclass(frozen=True, slots=True)
class Keepers:
    """What the door works with."""

    store: Store
    accounts: Accounts
    passwords: Passwords
    sessions: Sessions
    seats: Seats
    brake: LoginBrake
    log: AuditLog


class Door:
    def __init__(self, keepers: Keepers, drawing: Drawing, *, secure: bool) -> None:
        self._with = keepers
        self._drawing = drawing
        self._secure = secure

    def pages(self) -> tuple[Page, ...]:
        return (
            Page("GET", LOGIN, Right.ANYONE, self._login_form),
            Page("POST", LOGIN, Right.ANYONE, self._log_in),
            Page("POST", LOGOUT, Right.LOGGED_IN, self._log_out),
            Page("GET", PASSWORD, Right.LOGGED_IN, self._password_form),
            Page("POST", PASSWORD, Right.LOGGED_IN, self._change_password),
            Page("GET", "/", Right.LOGGED_IN, self._start),
        )

    async def _start(self, ask: Ask) -> Response:
        """The first page that somebody may see; who may see none is told so."""
        rights = ask.known.account.rights
        for link in LINKS:
            if link.right in rights:
                return RedirectResponse(link.path, 303)
        return self._drawing.notice(ask, 200, "nothing_here")

    async def _login_form(self, ask: Ask) -> Response:
        if ask.session is not None:
            return RedirectResponse("/", 303)
        return self._form(ask)

    async def _log_in(self, ask: Ask) -> Response:
        """Unknown names and wrong passwords get the same answer after the same time."""
        name = ask.form.get("name", "").strip().casefold()[:_NAME_LIMIT]
        password = ask.form.get("password", "")[: MAXIMUM + 1]
        keep = self._with
        whose = keep.brake.whose(name, ask.address)
        wait_s, row = await keep.store.transaction(
            lambda connection: (
                keep.brake.wait_s(connection, whose),
                people.row_by_name(connection, name),
            )
        )
        if wait_s:
            answer = self._form(ask, "staff.login.too_often", status=429, name=name, seconds=wait_s)
            answer.headers["Retry-After"] = str(wait_s)
            return answer
        is_active = row is not None and row.state == AccountState.ACTIVE
        holds = await keep.passwords.holds(row.password if row is not None else None, password)
        if row is None or not (holds and is_active):
            await keep.store.transaction(lambda connection: self._note_failure(connection, whose))
            return self._form(ask, "staff.login.wrong", status=403, name=name)
        renewed = None
        if keep.passwords.is_dated(row.password):
            renewed = await keep.passwords.made(password)
        token = await keep.store.transaction(
            lambda connection: self._open(connection, ask, row, whose, renewed)
        )
        if token is None:
            return self._form(ask, "staff.login.wrong", status=403, name=name)
        return self._entered(token, PASSWORD if row.must_change else "/")

    def _open(
        self,
        connection: sa.Connection,
        ask: Ask,
        row: sa.Row[Any],
        whose: Whose,
        renewed: str | None,
    ) -> str | None:
        keep = self._with
        now = people.row_by_name(connection, row.name)
        if now is None or now.state != AccountState.ACTIVE or now.password != row.password:
            return None  # locked or changed while we looked
        if ask.session is not None:
            keep.sessions.end(connection, ask.session.id)
        if renewed is not None:
            keep.accounts.renew_hash(connection, row.id, row.password, renewed)
        keep.brake.succeeded(connection, whose)
        keep.log.add(
            connection, AuditKind.LOGIN, actor=row.id, detail={"address": whose.address[:16]}
        )
        return keep.sessions.open(connection, row.id)

    def _note_failure(self, connection: sa.Connection, whose: Whose) -> None:
        self._with.log.add(
            connection,
            AuditKind.LOGIN_FAILED,
            actor="",
            subject=whose.account,
            detail={"address": whose.address[:16]},
        )

    async def _log_out(self, ask: Ask) -> Response:
        keep, session = self._with, ask.known

        def work(connection: sa.Connection) -> None:
            keep.seats.leave(connection, session.account.id)
            keep.sessions.end(connection, session.id)
            keep.log.add(connection, AuditKind.LOGOUT, actor=session.account.id)

        await keep.store.transaction(work)
        answer = RedirectResponse(LOGIN, 303)
        answer.delete_cookie(cookie_name(secure=self._secure), secure=self._secure, httponly=True)
        return answer

    async def _password_form(self, ask: Ask) -> Response:
        return self._drawing.page(ask, "password", complaint="", seconds=0)

    async def _change_password(self, ask: Ask) -> Response:
        """Ends every session of the account, and opens a new one here."""
        keep, account = self._with, ask.known.account
        old, new = ask.form.get("old", ""), ask.form.get("new", "")
        whose = keep.brake.whose(account.name, ask.address)
        wait_s, row = await keep.store.transaction(
            lambda connection: (
                keep.brake.wait_s(connection, whose),
                people.row_of(connection, account.id),
            )
        )
        if wait_s:
            answer = self._complained(ask, "staff.login.too_often", 429, seconds=wait_s)
            answer.headers["Retry-After"] = str(wait_s)
            return answer
        if not await keep.passwords.holds(row.password, old[: MAXIMUM + 1]):
            await keep.store.transaction(lambda connection: self._note_failure(connection, whose))
            return self._complained(ask, "staff.password.old_wrong", 403)
        wrong = mistake_in(new, name=account.name)
        if hmac.compare_digest(old.encode(), new.encode()):
            wrong = "staff.password.same"
        if not hmac.compare_digest(new.encode(), ask.form.get("again", "").encode()):
            wrong = "staff.password.differ"
        if wrong:
            await keep.store.transaction(lambda connection: keep.brake.succeeded(connection, whose))
            return self._complained(ask, wrong, 422)
        kept = await keep.passwords.made(new)

        def work(connection: sa.Connection) -> str | None:
            now = people.row_of(connection, account.id)
            if now.password != row.password or now.state != AccountState.ACTIVE:
                return None  # the other one was quicker
            keep.brake.succeeded(connection, whose)
            keep.accounts.keep_password(connection, account.id, kept, must_change=False)
            keep.log.add(
                connection, AuditKind.PASSWORD_CHANGED, actor=account.id, subject=account.id
            )
            return keep.sessions.open(connection, account.id)

        token = await keep.store.transaction(work)
        if token is None:
            return self._drawing.notice(ask, 401, "expired")
        return self._entered(token, "/")

    def _complained(self, ask: Ask, complaint: str, status: int, *, seconds: int = 0) -> Response:
        return self._drawing.page(
            ask, "password", status=status, complaint=complaint, seconds=seconds
        )

    def _form(
        self, ask: Ask, complaint: str = "", *, status: int = 200, name: str = "", seconds: int = 0
    ) -> Response:
        return self._drawing.page(
            ask, "login", status=status, complaint=complaint, name=name, seconds=seconds
        )

    def _entered(self, token: str, where: str) -> Response:
        answer = RedirectResponse(where, 303)
        answer.set_cookie(
            cookie_name(secure=self._secure),
            token,
            max_age=WHOLE_MS // 1000,
            httponly=True,
            samesite="strict",
            secure=self._secure,
        )
        return answer
