"""Names and helpers that the tests of the node share."""

from __future__ import annotations

import datetime as dt

import httpx
import sqlalchemy as sa

from affairs.api import create_app
from affairs.http.node import Node
from affairs.ratings.giving import CaseStanding
from affairs.server import with_peer

DEVICE = "terminal-01"
SAMPLE_DEVICE = "sample-01"
"""A machine that shows how forms are filled in."""
ITEM = "restaurant"
NAME = "欧阳什邡"
NUMBER = "11010519491231002X"
WINDOWS = {
    1: frozenset({"general", "market"}),
    5: frozenset({"public_security"}),
    6: frozenset({"public_security"}),
    12: frozenset({"market"}),
    31: frozenset({"civil"}),
}
"""Which services the windows of this hall serve."""
CALLERS = {"window-12": 12, "window-05": 5, "window-31": 31}
"""Devices that stand at windows."""
APPLICANT = {"name": NAME, "number": NUMBER, "card_kind": "resident"}


class SettableClock:
    """Noon of 2 January 2025 in the hall until told otherwise."""

    def __init__(self) -> None:
        self.now = dt.datetime(2025, 1, 2, 4, tzinfo=dt.UTC)

    def wall_ms(self) -> int:
        return int(self.now.timestamp() * 1000)

    def mono_s(self) -> float:
        return self.now.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


class Cases:
    """The hall's cases, as a rating asks of them."""

    def __init__(self) -> None:
        self.standing_of: dict[str, CaseStanding] = {}

    def standing(self, connection: sa.Connection, case_id: str) -> CaseStanding | None:
        return self.standing_of.get(case_id)


def client(node: Node, peer: str) -> httpx.AsyncClient:
    """The API as the machine of this name sees it."""
    transport = httpx.ASGITransport(with_peer(create_app(node), peer))
    return httpx.AsyncClient(transport=transport, base_url="https://affairs")
