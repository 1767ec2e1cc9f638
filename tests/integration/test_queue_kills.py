"""The node is killed again and again, under load: nothing is lost and nothing done twice."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from affairs.catalogue_source import CONTENT
from hallkit.clients.affairs import AffairsClient
from hallkit.model.ids import new_id
from hallkit.model.ticket import TicketState
from hallkit.runtime.tls import client_context
from hallkit.wire.affairs_api import TicketRequest, WindowOrder
from launcher.fleet import NODE_FILE, prepare, running
from launcher.installation import Installation

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

KILLS = 5
BETWEEN = 40
"""Answers between two kills."""
LIMIT_S = 60.0
TERMINALS = ("terminal-21", "terminal-22", "terminal-23")
WINDOWS = {"window-12": 12, "window-13": 13, "window-14": 14}
REQUEST = TicketRequest(item="food-licence-new")


@dataclass
class Told:
    """What the node answered; each was on its disk then."""

    tickets: dict[str, str] = field(default_factory=dict)
    """Id → number."""
    called: list[str] = field(default_factory=list)
    served: list[str] = field(default_factory=list)
    answers: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False

    def answered(self) -> None:
        self.answers += 1
        self.more.set()

    async def so_many_more(self, count: int) -> None:
        wanted = self.answers + count
        while self.answers < wanted:
            self.more.clear()
            await self.more.wait()


async def takes_numbers(client: AffairsClient, told: Told) -> None:
    while not told.over:
        issued = await client.issue_ticket(REQUEST, new_id(), retry_for_s=LIMIT_S)
        assert issued.ticket.id not in told.tickets
        told.tickets[issued.ticket.id] = issued.ticket.number
        told.answered()


async def calls(client: AffairsClient, window: int, told: Told) -> None:
    async def order(do: str, ticket: str = "") -> str:
        wanted = WindowOrder.model_validate({"do": do, "ticket": ticket})
        status = await client.order_window(window, wanted, new_id(), retry_for_s=LIMIT_S)
        told.answered()
        return status.ticket.ticket if status.ticket is not None else ""

    await order("open")
    while not told.over:
        ticket = await order("next")
        if ticket:
            told.called.append(ticket)
            assert await order("serve", ticket) == ticket
            assert await order("finish", ticket) == ""
            told.served.append(ticket)


async def test_killed_again_and_again_it_keeps_every_promise(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "hall")
    prepare(installation, CONTENT, [*TERMINALS, *WINDOWS])
    with (installation.config / NODE_FILE).open("a", encoding="utf-8") as file:
        file.write("[affairs.callers]\n")
        file.writelines(f"{name} = {number}\n" for name, number in WINDOWS.items())
    port = installation.endpoints["affairs"].port
    told = Told()

    def client(name: str) -> AffairsClient:
        return AffairsClient(f"https://127.0.0.1:{port}", client_context(installation.pki / name))

    async with running(installation, "affairs") as table:
        async with (
            AsyncExitStack() as clients,
            asyncio.timeout(LIMIT_S * 2),
            asyncio.TaskGroup() as tasks,
        ):
            for name in TERMINALS:
                opened = await clients.enter_async_context(client(name))
                tasks.create_task(takes_numbers(opened, told))
            for name, number in WINDOWS.items():
                opened = await clients.enter_async_context(client(name))
                tasks.create_task(calls(opened, number, told))
            for _ in range(KILLS):
                await told.so_many_more(BETWEEN)
                table.kill("affairs", hold=True)
                await table.release("affairs")
            await told.so_many_more(BETWEEN)
            told.over = True
        async with client(TERMINALS[0]) as asking:
            for ticket in told.served:
                assert (await asking.progress(ticket)).state is TicketState.SERVED
    assert max(Counter(told.tickets.values()).values()) == 1, "a number that two got"
    assert max(Counter(told.called).values()) == 1, "a ticket that was called twice"
    with closing(sqlite3.connect(installation.state("affairs") / "affairs.sqlite")) as database:
        kept = dict(database.execute("select id, number from tickets"))
        announced = [row[0] for row in database.execute("select ticket_id from calls")]
        taken = database.execute("select max(sequence), count(*) from tickets").fetchone()
    assert told.tickets.items() <= kept.items()
    assert sorted(announced) == sorted(told.called), "each call once, and none but those"
    assert taken[0] == taken[1], "no number was left out"
