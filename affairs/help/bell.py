"""Whoever listens inside the node hears at once that a call changed."""

from __future__ import annotations

import asyncio


class Bell:
    def __init__(self) -> None:
        self._listeners: list[asyncio.Event] = []

    def listener(self) -> asyncio.Event:
        """An event for one listener, who clears it."""
        made = asyncio.Event()
        self._listeners.append(made)
        return made

    def ring(self) -> None:
        for one in self._listeners:
            one.set()
