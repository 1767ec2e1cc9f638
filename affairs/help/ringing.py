"""A call that nobody answers rings for more and more people, by the times on the disk."""

from __future__ import annotations

import sqlalchemy as sa

from affairs.help import rows
from affairs.help.bell import Bell
from affairs.help.rules import HelpRules
from affairs.help.tables import help_calls
from affairs.store import Store
from hallkit.errors import StoreError
from hallkit.model.help import HelpOutcome, HelpState
from hallkit.runtime.clock import Clock, sleep_until_woken
from hallkit.runtime.log import get_logger

_LONGEST_SLEEP_S = 10.0
"""The wall clock may be set meanwhile."""
_RETRY_S = 1.0


class Ringing:
    def __init__(self, store: Store, *, rules: HelpRules, bell: Bell, clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._bell = bell
        self._clock = clock
        self._rung = bell.listener()
        self._log = get_logger()

    async def run(self) -> None:
        """Raise levels when it is time, until cancelled."""
        while True:
            self._rung.clear()
            try:
                delay_s = await self.look()
            except StoreError as fault:
                self._log.error("help.not_raised", fault=str(fault))  # expected
                delay_s = _RETRY_S
            await sleep_until_woken(self._clock, delay_s, self._rung)

    async def look(self) -> float:
        """Raise what it is time for; in how many seconds to look again."""
        now_ms = self._clock.wall_ms()

        def work(connection: sa.Connection) -> tuple[list[int], int, list[int]]:
            levels: list[int] = []
            forgotten = 0
            waits_ms: list[int] = []
            for row in rows.open_rows(connection):
                if row.called_at_ms + self._rules.forgotten_hours * 3_600_000 <= now_ms:
                    outcome = HelpOutcome.FORGOTTEN.value
                    rows.move(connection, row, HelpState.CANCELLED, at_ms=now_ms, outcome=outcome)
                    forgotten += 1
                elif row.state == HelpState.CALLING:
                    level, next_ms = self._raise(connection, row, now_ms)
                    if level != row.level:
                        levels.append(level)
                    if next_ms is not None:
                        waits_ms.append(next_ms - now_ms)
            return levels, forgotten, waits_ms

        levels, forgotten, waits_ms = await self._store.transaction(work)
        if levels:
            self._log.info("help.raised", levels=levels)
        if forgotten:
            self._log.warning("help.forgotten", count=forgotten)
        if levels or forgotten:
            self._bell.ring()
        return min([_LONGEST_SLEEP_S, *(wait_ms / 1000 for wait_ms in waits_ms)])

    def _raise(
        self, connection: sa.Connection, row: rows.Row, now_ms: int
    ) -> tuple[int, int | None]:
        level, next_ms = self._rules.level_at(row.level, row.next_at_ms, now_ms)
        if (level, next_ms) != (row.level, row.next_at_ms):
            raised_ms = row.level_at_ms if level == row.level else now_ms
            connection.execute(
                help_calls.update()
                .where(help_calls.c.id == row.id, help_calls.c.state == row.state)
                .values(level=level, next_at_ms=next_ms, level_at_ms=raised_ms)
            )
        return level, next_ms
