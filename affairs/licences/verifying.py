"""What whoever scans a licence's code is told: whether it holds, and what it should say."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import sqlalchemy as sa

from affairs.licences.document import date_text
from affairs.licences.register import Register, state_of_row
from affairs.store import Store
from hallkit.lexicon.words import Words
from hallkit.model.identity import mask_name
from hallkit.model.licence import LicenceState
from hallkit.runtime.clock import Clock, local, local_date

_TOKEN = re.compile(r"[a-z2-7]{32}")


@dataclass(frozen=True, slots=True)
class Verified:
    """A licence of the hall, as anybody with the paper in hand may see it."""

    state: LicenceState
    rows: tuple[tuple[str, str], ...]
    """Label and value, in order."""


class Verification:
    """Looks licences up by the token of the code on them."""

    def __init__(self, store: Store, *, register: Register, clock: Clock, words: Words) -> None:
        self._store = store
        self._register = register
        self._clock = clock
        self._words = words

    async def look(self, token: str) -> Verified | None:
        """None: the hall has issued no such licence, or it is long over."""
        if not _TOKEN.fullmatch(token):
            return None

        def work(connection: sa.Connection) -> Verified | None:
            row = self._register.by_token(connection, token)
            if row is None or row.kind not in self._register.kinds:
                return None
            kind, words = self._register.kinds[row.kind], self._words
            content = self._register.content_of(row)
            holder = content.holder(kind)
            until = row.valid_until
            rows = [
                ("kind", kind.title),
                # The name of a business hangs on its wall, and tells a forged copy from a true one.
                ("holder", mask_name(holder) if kind.holder == "person" else holder),
                ("issuer", kind.issuer),
                ("identifier", row.identifier),
                ("issued_on", date_text(row.issued_on, words)),
                ("until", date_text(until, words) if until else words("licence.no_end")),
                *self._revoked(row.revoked_on),
                ("prints", words("verify.times", times=row.prints)),
                *self._printed(row.printed_at_ms),
            ]
            state = state_of_row(row, local_date(self._clock.wall_ms()))
            told = tuple((words(f"verify.{label}"), value) for label, value in rows)
            return Verified(state, told)

        return await self._store.transaction(work)

    def _revoked(self, day: object) -> list[tuple[str, str]]:
        return [("revoked_on", date_text(day, self._words))] if isinstance(day, dt.date) else []

    def _printed(self, at_ms: int | None) -> list[tuple[str, str]]:
        return [("printed_at", f"{local(at_ms):%Y-%m-%d %H:%M}")] if at_ms is not None else []
