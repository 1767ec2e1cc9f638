"""A machine calls for a person, hears who comes, and may take it back.

The call and all that was done before it stand on the disk before the machine hears of it. One call
a machine and visit is open at a time: a second press is the same one, counted, with what has been
done since.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from affairs.help import rows
from affairs.help.bell import Bell
from affairs.help.places import place_of
from affairs.help.rules import HelpRules
from affairs.help.tables import help_calls
from affairs.once import Once, canonical
from affairs.problems import ProblemCode, Refused
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.model.hall_map import HallMap
from hallkit.model.help import HelpState
from hallkit.model.ids import new_id
from hallkit.runtime.clock import Clock
from hallkit.wire.help_api import HelpCall, HelpRequest


class HelpCalls:
    def __init__(
        self,
        store: Store,
        *,
        hall_map: Callable[[], HallMap | None],
        once: Once,
        rules: HelpRules,
        sealer: Sealer,
        bell: Bell,
        clock: Clock,
    ) -> None:
        self._store = store
        self._hall_map = hall_map
        self._once = once
        self._rules = rules
        self._sealer = sealer
        self._bell = bell
        self._clock = clock

    async def call(self, wanted: HelpRequest, *, device: str, key: str) -> HelpCall:
        """Call for somebody, or press again."""

        def work(connection: sa.Connection) -> HelpCall:
            done = self._once.do(
                connection,
                device=device,
                key=key,
                kind="help",
                content=canonical(wanted),
                work=lambda: self._press(connection, wanted, device),
            )
            row = rows.call_row(connection, done.subject)
            return self._told(row, again=done.again or row.presses > 1)

        told = await self._store.transaction(work)
        self._bell.ring()
        return told

    async def status(self, call: str, *, device: str) -> HelpCall:
        """How it stands. `Refused` if it is not this machine's."""
        return await self._store.transaction(
            lambda connection: self._told(_of_device(connection, call, device))
        )

    async def cancel(self, call: str, *, device: str, key: str) -> HelpCall:
        """Nobody needs to come. A call that has ended stays as it is."""

        def take_back(connection: sa.Connection) -> str:
            row = _of_device(connection, call, device)
            if HelpState(row.state).is_open:
                rows.move(connection, row, HelpState.CANCELLED, at_ms=self._clock.wall_ms())
            return call

        def work(connection: sa.Connection) -> HelpCall:
            self._once.do(
                connection,
                device=device,
                key=key,
                kind="help cancel",
                content=call.encode(),
                work=lambda: take_back(connection),
            )
            return self._told(_of_device(connection, call, device))

        told = await self._store.transaction(work)
        self._bell.ring()
        return told

    def _press(self, connection: sa.Connection, wanted: HelpRequest, device: str) -> str:
        now_ms = self._clock.wall_ms()
        open_for = f"{device}/{wanted.session.visit}"
        standing: str | None = connection.execute(
            sa.select(help_calls.c.id).where(help_calls.c.open_for == open_for)
        ).scalar_one_or_none()
        call = standing or new_id()
        session = self._sealer.seal(call, wanted.session.to_bytes())
        if standing is not None:
            connection.execute(
                help_calls.update()
                .where(help_calls.c.id == call)
                .values(
                    presses=help_calls.c.presses + 1, reason=wanted.reason.value, session=session
                )
            )
            return call
        place = place_of(self._hall_map(), device, wanted.place)
        first_ms = self._rules.rings_ms(1)
        connection.execute(
            help_calls.insert().values(
                id=call,
                open_for=open_for,
                device=device,
                visit=wanted.session.visit,
                reason=wanted.reason.value,
                place=place.id,
                place_name=place.name,
                level_id=place.level_id,
                presses=1,
                state=HelpState.CALLING.value,
                state_at_ms=now_ms,
                level=1,
                level_at_ms=now_ms,
                next_at_ms=None if first_ms is None else now_ms + first_ms,
                called_at_ms=now_ms,
                shown=b"",
                session=session,
            )
        )
        return call

    def _told(self, row: rows.Row, *, again: bool = False) -> HelpCall:
        state = HelpState(row.state)
        helper = ""
        if row.shown and state.is_open:
            helper = self._sealer.open(rows.shown_of(row.id), row.shown).decode()
        until_ms = row.there_at_ms or row.ended_at_ms or self._clock.wall_ms()
        return HelpCall(
            call=row.id,
            state=state,
            level=row.level,
            say=f"help.said.{_words(state, row.level, helper)}",
            helper=helper,
            presses=row.presses,
            waiting_s=max(0, until_ms - row.called_at_ms) // 1000,
            again=again,
        )


def _words(state: HelpState, level: int, helper: str) -> str:
    match state:
        case HelpState.CALLING:
            return "calling" if level == 1 else "calling_more"
        case HelpState.ACKNOWLEDGED:
            return "coming_by_name" if helper else "coming"
        case _:
            return state.value


def _of_device(connection: sa.Connection, call: str, device: str) -> rows.Row:
    row = rows.call_row(connection, call)
    if row.device != device:
        raise Refused(ProblemCode.HELP_UNKNOWN)
    return row
