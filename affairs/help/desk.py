"""The helpers' side: who calls, who goes there, what was done before, how it ended.

For the hall's staff, through pages of their own; no machine asks for any of it. What the citizen
has done so far opens only for the account that goes there, and only until the call's end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from affairs.help import rows
from affairs.help.bell import Bell
from affairs.help.rules import HelpRules, Reach
from affairs.once import Once
from affairs.problems import ProblemCode, Refused
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.model.help import HelpOutcome, HelpReason, HelpState
from hallkit.runtime.clock import Clock
from hallkit.wire.help_api import SessionSoFar

Also = Callable[[sa.Connection], None]
"""Done with something, in its transaction; what it raises undoes it."""
SHOWN_LIMIT = 32
"""Characters of what a helper is called."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """Somebody waits for a person. Says nothing about who."""

    call: str
    device: str
    place: str
    """Id on the hall map; empty: the map does not know."""
    place_name: str
    level_id: str
    """Storey on the hall map."""
    reason: HelpReason
    presses: int
    state: HelpState
    level: int
    reach: Reach
    """Whom it is shown to."""
    called_at_ms: int
    level_at_ms: int
    helper: str | None
    """Account of who goes there."""


class HelpDesk:
    def __init__(
        self,
        store: Store,
        *,
        once: Once,
        rules: HelpRules,
        sealer: Sealer,
        bell: Bell,
        clock: Clock,
    ) -> None:
        self._store = store
        self._once = once
        self._rules = rules
        self._sealer = sealer
        self._bell = bell
        self._clock = clock
        self.changed = bell.listener()
        """Set as soon as a call or its level stands on the disk; whoever waits for it clears it.
        A second listener asks for an event of its own (`listener`)."""
        self.listener = bell.listener

    async def open_calls(self) -> tuple[OpenCall, ...]:
        """All that have not ended, the oldest first."""
        return await self._store.transaction(self.read_open)

    def read_open(self, connection: sa.Connection) -> tuple[OpenCall, ...]:
        """The same, in a transaction of the caller."""
        return tuple(self._open_call(row) for row in rows.open_rows(connection))

    async def acknowledge(
        self, call: str, *, by: str, shown: str, key: str, also: Also | None = None
    ) -> OpenCall:
        """This account goes there; the citizen sees `shown`, as the badge says it.

        `Refused` if another one does, or it has ended.
        """
        name = shown.strip()[:SHOWN_LIMIT]
        sealed = self._sealer.seal(rows.shown_of(call), name.encode()) if name else b""

        def work(connection: sa.Connection, row: rows.Row) -> None:
            if row.state != HelpState.CALLING:
                raise Refused(ProblemCode.HELP_NOT_SO)
            self._move(connection, row, HelpState.ACKNOWLEDGED, helper=by, shown=sealed)

        return await self._change(call, "acknowledge", work, by=by, key=key, also=also)

    async def hand_back(
        self, call: str, *, by: str, key: str, also: Also | None = None
    ) -> OpenCall:
        """They cannot come after all: it rings again, at the level that it had."""

        def work(connection: sa.Connection, row: rows.Row) -> None:
            _must_be_theirs(row, by, HelpState.ACKNOWLEDGED, HelpState.THERE)
            rings_ms = self._rules.rings_ms(row.level)
            next_ms = None if rings_ms is None else self._clock.wall_ms() + rings_ms
            self._move(
                connection, row, HelpState.CALLING, helper=None, shown=b"", next_at_ms=next_ms
            )

        return await self._change(call, "hand_back", work, by=by, key=key, also=also)

    async def there(self, call: str, *, by: str, key: str, also: Also | None = None) -> OpenCall:
        """They stand beside the citizen. `Refused` unless they said that they would come."""

        def work(connection: sa.Connection, row: rows.Row) -> None:
            _must_be_theirs(row, by, HelpState.ACKNOWLEDGED)
            self._move(connection, row, HelpState.THERE, there_at_ms=self._clock.wall_ms())

        return await self._change(call, "there", work, by=by, key=key, also=also)

    async def done(
        self, call: str, *, by: str, outcome: HelpOutcome, key: str, also: Also | None = None
    ) -> OpenCall:
        """It is over. `Refused` unless it was theirs."""

        def work(connection: sa.Connection, row: rows.Row) -> None:
            _must_be_theirs(row, by, HelpState.ACKNOWLEDGED, HelpState.THERE)
            self._move(connection, row, HelpState.DONE, outcome=outcome.value)

        return await self._change(call, f"done {outcome.value}", work, by=by, key=key, also=also)

    async def session(self, call: str, *, by: str, also: Also | None = None) -> SessionSoFar:
        """What was done so far. Personal: `Refused` unless this account goes there now."""

        def work(connection: sa.Connection) -> SessionSoFar:
            row = rows.call_row(connection, call)
            _must_be_theirs(row, by, HelpState.ACKNOWLEDGED, HelpState.THERE)
            if also is not None:
                also(connection)
            return SessionSoFar.model_validate_json(self._sealer.open(row.id, row.session))

        return await self._store.transaction(work)

    async def _change(
        self,
        call: str,
        do: str,
        work: Callable[[sa.Connection, rows.Row], None],
        *,
        by: str,
        key: str,
        also: Also | None,
    ) -> OpenCall:
        def carry_out(connection: sa.Connection) -> str:
            work(connection, rows.call_row(connection, call))
            if also is not None:
                also(connection)
            return call

        def change(connection: sa.Connection) -> OpenCall:
            self._once.do(
                connection,
                device=by,
                key=key,
                kind="help desk",
                content=f"{call} {do}".encode(),
                work=lambda: carry_out(connection),
            )
            return self._open_call(rows.call_row(connection, call))

        changed = await self._store.transaction(change)
        self._bell.ring()
        return changed

    def _move(
        self, connection: sa.Connection, row: rows.Row, state: HelpState, **values: object
    ) -> None:
        rows.move(connection, row, state, at_ms=self._clock.wall_ms(), **values)

    def _open_call(self, row: rows.Row) -> OpenCall:
        return OpenCall(
            call=row.id,
            device=row.device,
            place=row.place,
            place_name=row.place_name,
            level_id=row.level_id,
            reason=HelpReason(row.reason),
            presses=row.presses,
            state=HelpState(row.state),
            level=row.level,
            reach=self._rules.reach(row.level),
            called_at_ms=row.called_at_ms,
            level_at_ms=row.level_at_ms,
            helper=row.helper,
        )


def _must_be_theirs(row: rows.Row, account: str, *states: HelpState) -> None:
    if row.helper != account or row.state not in states:
        raise Refused(ProblemCode.HELP_NOT_SO)
