"""A scripted citizen at the local bus of the terminal's service: taps what the view offers.

Faster than a finger, and not confused by a screen that dies: the citizen looks at the view of the
moment and does what a person would do there, again where nothing came of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hallkit.errors import LinkDown, Rejected
from hallkit.runtime.bus import BusClient
from hallkit.wire.agent_bus import Empty
from kiosk.flow import view as screen
from kiosk.flow.view import View
from kiosk.service import Tap, ViewData

LOOK_S = 0.5
"""Without any change for so long the citizen taps again."""
READ_S = 4.0
"""How long the citizen lets the card lie before going on without."""
PRINT_PATIENCE_S = 8.0

CARD = {
    "name": "司马测试",
    "number": "11010519491231002X",  # the sample number of GB 11643-1999
    "address": "四川省什邡市方亭街道排练路7号",
}

Hand = Callable[[bool], Awaitable[None]]
"""Lays the card on the reader (True) or lifts it."""


@dataclass(slots=True)
class Visited:
    """What came of a visit."""

    started: bool = False
    number: str = ""
    """The number that the screen showed; empty if none."""
    printed: bool = False
    """The screen said so."""
    over: bool = False
    taps: int = 0
    tries: int = 0
    """How often an item was chosen, or a message met on the way."""
    card_read: bool = False


@dataclass(frozen=True, slots=True)
class Manner:
    """How a citizen behaves."""

    with_card: bool = False
    waits_for_slip: bool = True
    choice: int = 0
    """Which popular item, and which answers: taken modulo what is offered."""


class Citizen:
    """Connected to the service, over the deaths of both."""

    def __init__(self, socket: Path, hand: Hand | None = None) -> None:
        self._hand = hand
        self._view: View | None = None
        self._changed = asyncio.Event()
        self._sessions_over = 0
        self.client = BusClient(
            socket, on_snapshot=self._on_snapshot, on_event=self._on_event, on_lost=self._on_lost
        )

    async def visit(self, manner: Manner, *, timeout_s: float) -> Visited:
        """One visit from the first screen to the last tap, or until the time is up."""
        visited = Visited()
        over_before = self._sessions_over
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not visited.over:
                    await self._do_what_is_offered(manner, visited)
                    visited.over = bool(visited.number) and self._sessions_over > over_before
        if self._hand is not None and manner.with_card:
            await self._hand(False)
        return visited

    async def _do_what_is_offered(self, manner: Manner, visited: Visited) -> None:
        view = self._view
        if view is None:
            await self._change()
            return
        if view.screen != "home":
            visited.started = True
        elif visited.number:
            # Back at the first screen with a number: the end was lost in a crash after the wipe.
            visited.over = True
            self._sessions_over += 1
            return
        # What ends without a number the first time is tried with other answers the next time.
        turn = manner.choice + visited.tries
        match view.screen:
            case "home":
                offered = [choice.value for choice in view.choices if choice.value != "find"]
                if offered:
                    await self._tap(visited, "choose", offered[turn % len(offered)])
                    visited.tries += 1
            case "question":
                await self._answer(view, turn, visited)
            case "card":
                await self._at_the_reader(manner, visited)
            case "ticket":
                await self._at_the_ticket(view, manner, visited)
            case _:
                action = view.primary if view.primary is not None else view.back
                visited.tries += view.screen == "message"
                if action is not None and action.enabled:
                    await self._tap(visited, action.id, action.value)
        await self._change(since=view)

    async def _answer(self, view: View, turn: int, visited: Visited) -> None:
        ticked = any(choice.picked for choice in view.choices)
        if ticked and view.primary is not None and view.primary.enabled:
            await self._tap(visited, view.primary.id, view.primary.value)
            return
        answers = [choice.value for choice in view.choices if choice.enabled]
        await self._tap(visited, "choose", answers[turn % len(answers)])

    async def _at_the_reader(self, manner: Manner, visited: Visited) -> None:
        if manner.with_card and self._hand is not None and not visited.card_read:
            visited.card_read = True  # tried once; a reader that fails is not tried again
            await self._hand(True)
            if await self._until(lambda view: view.screen != "card", READ_S):
                return
        await self._tap(visited, "without_card", "")

    async def _at_the_ticket(self, view: View, manner: Manner, visited: Visited) -> None:
        visited.number = view.big_text
        if manner.with_card and self._hand is not None:
            await self._hand(False)
        if manner.waits_for_slip:
            visited.printed |= await self._until(
                lambda now: now.notice is not None and now.notice.tone == "done", PRINT_PATIENCE_S
            )
        await self._tap(visited, "done", "")

    async def _tap(self, visited: Visited, action: str, value: str) -> None:
        visited.taps += 1
        with suppress(LinkDown, Rejected):
            await self.client.request(
                screen.TAP, Tap(action=action, value=value), Empty, timeout_s=2.0
            )

    async def _until(self, holds: Callable[[View], bool], seconds: float) -> bool:
        """Wait until a view fits; False if none did in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            view = self._view
            if view is not None and holds(view):
                return True
            await self._change(since=view)
        return False

    async def _change(self, since: View | None = None) -> None:
        """Return when the view is another one than `since`, or nothing changed for a while."""
        if self._view != since:
            return
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._changed.wait()

    async def _on_snapshot(self, data: dict[str, Any]) -> None:
        self._show(ViewData.model_validate(data).view)

    async def _on_event(self, name: str, data: dict[str, Any]) -> None:
        if name == screen.SESSION_OVER:
            self._sessions_over += 1
            self._show(None)
        elif name == screen.VIEW:
            self._show(ViewData.model_validate(data).view)

    async def _on_lost(self) -> None:
        self._show(None)

    def _show(self, view: View | None) -> None:
        self._view = view
        self._changed.set()


@asynccontextmanager
async def citizen_at(socket: Path, hand: Hand | None = None) -> AsyncIterator[Citizen]:
    """A citizen who stays connected while the block runs."""
    citizen = Citizen(socket, hand)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(citizen.client.run(), name="citizen")
        try:
            yield citizen
        finally:
            running.cancel()
