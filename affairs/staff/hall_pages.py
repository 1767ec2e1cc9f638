"""The supervisor's page: queues, windows, long waits and calls, live. And the audit log to read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import sqlalchemy as sa
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.responses import Response

from affairs.audit import AuditKind, AuditLog, Entry, latest
from affairs.queue.services import Service
from affairs.staff.item_words import ItemWords
from affairs.staff.rights import Right
from affairs.staff.sessions import Session
from affairs.staff.site import Ask, Drawing, Page
from affairs.staff.tables import accounts
from affairs.staff.view import HallReader, HallView, QueueView, WindowView
from affairs.staff.window_pages import window_tone
from affairs.store import Store
from hallkit.web.live import LiveView, Pieces

_PIECES = ("sums", "queues", "counters", "late", "calls", "panels")
_AUDIT_ROWS = 100
LATE_SHOWN = 12
PANEL_LINES = 3


class HallPages:
    def __init__(
        self,
        *,
        services: Mapping[str, Service],
        reader: HallReader,
        live: LiveView[HallView],
        items: ItemWords,
        long_wait_minutes: float,
        panel_paths: Mapping[str, str],
        drawing: Drawing,
    ) -> None:
        self._services = services
        self._reader = reader
        self._live = live
        self._items = items
        self._long_wait_ms = round(long_wait_minutes * 60_000)
        self._panel_paths = panel_paths
        self._drawing = drawing

    def pages(self) -> tuple[Page, ...]:
        return (
            Page("GET", "/hall", Right.WATCH_HALL, self._hall),
            Page("GET", "/hall/events", Right.WATCH_HALL, self._events),
        )

    async def _hall(self, ask: Ask) -> Response:
        return self._drawing.page(ask, "hall", **self._told(await self._reader.read()))

    async def _events(self, ask: Ask) -> Response:
        return EventSourceResponse(self._stream(ask.known))

    def _stream(self, session: Session) -> AsyncIterator[ServerSentEvent]:
        async def pieces(hall: HallView) -> Pieces | None:
            if session.id not in hall.sessions:
                return None
            told = self._told(hall)
            return {name: self._drawing.piece(f"hall_{name}", **told) for name in _PIECES}

        return self._live.follow(pieces)

    def _told(self, hall: HallView) -> dict[str, Any]:
        late = [one for one in hall.waiting if hall.now_ms - one.came_at_ms >= self._long_wait_ms]
        late.sort(key=lambda one: one.came_at_ms)
        busy = [one for one in hall.queues if one.waiting]
        return {
            "hall": hall,
            "busy": busy,
            "quiet": [one for one in hall.queues if one not in busy],
            "forecast": self.forecast,
            "is_late": self._is_late(hall.now_ms),
            "late": late[:LATE_SHOWN],
            "late_count": len(late),
            "long_wait_minutes": self._long_wait_ms // 60_000,
            "counters": [one for one in hall.windows.values() if _is_at_work(one)],
            "open_count": sum(one.state.value == "open" for one in hall.windows.values()),
            "oldest_ms": min((one.came_at_ms for one in hall.waiting), default=None),
            "services": self._services,
            "item_name": self._items.name,
            "tone": window_tone,
            "panel_paths": self._panel_paths,
            "panel_lines": PANEL_LINES,
        }

    def forecast(self, wait_s: float) -> str:
        """How long it takes, as people say it: to the minute, to five, to half an hour."""
        words, minutes = self._drawing.words, wait_s / 60
        if minutes < 1:
            return words("staff.hall.forecast_soon")
        if minutes >= 60:
            return words("staff.hall.forecast_hours", hours=f"{round(minutes / 30) / 2:g}")
        rounded = round(minutes) if minutes < 20 else 5 * round(minutes / 5)
        return words("staff.hall.forecast", minutes=rounded)

    def _is_late(self, now_ms: int) -> Any:
        def is_late(queue: QueueView) -> bool:
            return queue.oldest_ms is not None and now_ms - queue.oldest_ms >= self._long_wait_ms

        return is_late


class AuditPages:
    """The newest rows of the audit log. Looking is a row of its own."""

    def __init__(self, *, store: Store, log: AuditLog, drawing: Drawing) -> None:
        self._store = store
        self._log = log
        self._drawing = drawing

    def pages(self) -> tuple[Page, ...]:
        return (Page("GET", "/audit", Right.READ_AUDIT, self._audit),)

    async def _audit(self, ask: Ask) -> Response:
        asked = ask.request.query_params.get("before", "")
        before = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 16 else None
        account = ask.known.account

        def work(connection: sa.Connection) -> tuple[list[Entry], dict[str, str]]:
            found = latest(connection, before=before, limit=_AUDIT_ROWS)
            self._log.add(connection, AuditKind.AUDIT_SEEN, actor=account.id)
            names = connection.execute(sa.select(accounts.c.id, accounts.c.name))
            return found, {row.id: row.name for row in names}

        entries, names = await self._store.transaction(work)
        return self._drawing.page(
            ask,
            "audit",
            entries=[(one, json.loads(one.detail)) for one in entries],
            names=names,
            before=entries[-1].seq if len(entries) == _AUDIT_ROWS else None,
        )


def _is_at_work(window: WindowView) -> bool:
    """Worth a line: open or paused, somebody there, or somebody called."""
    return window.state.value != "closed" or window.seat is not None or window.ticket is not None
