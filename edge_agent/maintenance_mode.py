"""Keeps `edge_agent/maintenance.py` in the journal and tells what changed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable

from edge_agent.maintenance import (
    OUT,
    MaintenanceSection,
    MaintenanceState,
    Order,
    ordered,
    step,
)
from hallkit.errors import StoreError
from hallkit.runtime.clock import Clock
from hallkit.runtime.journal import Journal
from hallkit.runtime.log import get_logger

SCHEMA = "create table maintenance (one integer primary key check (one = 1), state text not null)"

LOOK_S = 0.5

Tell = Callable[[MaintenanceState], Awaitable[None]]


class Maintenance:
    """Whether a technician has the machine."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        limits: MaintenanceSection,
        serving: Callable[[], bool],
        working: Callable[[], bool],
        tell: Tell,
    ) -> None:
        """`tell` hears every change of phase, also the one that a former life left."""
        self._journal = journal
        self._clock = clock
        self._limits = limits
        self._serving = serving
        self._working = working
        self._tell = tell
        self._log = get_logger()
        self._turn = asyncio.Lock()
        self.state = OUT
        self._kept = OUT
        """What the journal has."""
        self._disk_refuses = False

    async def start(self) -> None:
        """Take up what a former life of the agent left."""
        row = await self._journal.read(
            lambda db: db.execute("select state from maintenance").fetchone()
        )
        if row is None:
            return
        try:
            self.state = self._kept = MaintenanceState.model_validate_json(row["state"])
        except ValueError:
            self._log.warning("maintenance.state_unusable")
        if self.state.phase is not OUT.phase:
            await self._tell(self.state)

    async def order(self, order: Order, *, seconds: float | None = None) -> MaintenanceState:
        """A technician's order; `on` is on the disk when this returns.

        Errors of `on`: `StoreError`; then it is as it was. A full disk keeps no machine closed:
        `off`, and what time leads to, hold at once and are written when that can be done.
        """
        async with self._turn:
            state = ordered(
                self.state,
                order,
                seconds=seconds,
                now_s=self._clock.mono_s(),
                now_ms=self._clock.wall_ms(),
                limits=self._limits,
            )
            if order == "on" and state != self.state:
                await self._write(state)
            await self._become(state)
            await self._look()
            return self.state

    async def run(self) -> None:
        """Look whether it goes on, until cancelled."""
        while True:
            async with self._turn:
                await self._look()
            await self._clock.sleep(LOOK_S)

    async def _look(self) -> None:
        await self._become(
            step(
                self.state,
                serving=self._serving(),
                working=self._working(),
                now_s=self._clock.mono_s(),
                now_ms=self._clock.wall_ms(),
                limits=self._limits,
            )
        )

    async def _become(self, state: MaintenanceState) -> None:
        """Go there, kept or not; what could not be kept is tried again at each look."""
        if self._kept != state:
            try:
                await self._write(state)
            except StoreError as fault:
                if not self._disk_refuses:
                    self._log.warning("maintenance.not_kept", detail=str(fault))
                self._disk_refuses = True
        if state == self.state:
            return
        before, self.state = self.state, state
        if before.phase is not state.phase:
            self._log.info("maintenance.phase", phase=state.phase, until_ms=state.until_ms)
        await self._tell(state)

    async def _write(self, state: MaintenanceState) -> None:
        def keep(db: sqlite3.Connection) -> None:
            db.execute(
                "insert into maintenance values (1, ?) "
                "on conflict (one) do update set state = excluded.state",
                (state.model_dump_json(),),
            )

        await self._journal.write(keep)
        self._kept, self._disk_refuses = state, False
