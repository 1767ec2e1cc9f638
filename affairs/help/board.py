"""Which calls ring, for the hall's boards and robots: retained over MQTT, with nothing personal."""

from __future__ import annotations

import asyncio

from affairs.help import rows
from affairs.help.bell import Bell
from affairs.help.rules import HelpRules, Reach
from affairs.store import Store
from hallkit.model.help import HelpState
from hallkit.runtime.clock import Clock
from hallkit.wire.mqtt import RINGING_LIMIT, HelpNotice, RingingCall


class HelpBoard:
    """A `State` of the announcement, read from the disk each time."""

    def __init__(self, store: Store, *, rules: HelpRules, bell: Bell, clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._changed = bell.listener()

    @property
    def changed(self) -> asyncio.Event:
        return self._changed

    async def notice(self) -> HelpNotice:
        """Those that nobody has answered, the loudest first."""
        ringing = await self._store.transaction(
            lambda connection: rows.open_rows(connection, HelpState.CALLING)
        )
        loudest = sorted(ringing, key=lambda row: (-row.level, row.called_at_ms))
        calls = tuple(self._ringing(row) for row in loudest[:RINGING_LIMIT])
        return HelpNotice(calls=calls, ts=self._clock.wall_ms())

    def _ringing(self, row: rows.Row) -> RingingCall:
        """Which machine, everybody hears only when nobody else has come."""
        is_public = self._rules.reach(row.level) is Reach.EVERYBODY
        return RingingCall(
            call=row.id,
            level=row.level,
            since_ms=row.called_at_ms,
            machine=row.device if is_public else "",
            place=row.place if is_public else "",
            place_name=row.place_name if is_public else "",
        )
