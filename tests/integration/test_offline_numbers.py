"""The node is away, a machine gives numbers, both die: no number is lost or given twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from affairs.catalogue_source import CONTENT
from hallkit.clients.affairs import AffairsClient
from hallkit.errors import LinkDown, Rejected
from hallkit.model.ids import new_id
from hallkit.model.ticket import TicketState
from hallkit.runtime.bus import BusClient
from hallkit.runtime.tls import client_context
from hallkit.wire import agent_bus as bus
from hallkit.wire.affairs_api import Applicant, ReservedNumber, TicketRequest
from hallkit.wire.sealed import read_public_key, seal
from launcher.fleet import agent, prepare, running
from launcher.installation import Installation

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

LIMIT_S = 40.0
MACHINE = "terminal-21"
ITEM, SERVICE = "food-licence-new", "market"
NAME, NUMBER = "欧阳什邡", "11010519491231002X"
SAID = TicketRequest(item=ITEM, applicant=Applicant(name=NAME, number=NUMBER, card_kind="resident"))


class Terminal:
    """What the kiosk asks of its agent."""

    def __init__(self, installation: Installation) -> None:
        self.services: tuple[str, ...] = ()
        self.changed = asyncio.Event()
        self.key = read_public_key(installation.pki / MACHINE / "submissions.pub")
        self.client = BusClient(
            installation.runtime / MACHINE / "agent.sock",
            on_snapshot=self._snapshot,
            on_event=self._event,
        )

    async def _snapshot(self, data: dict[str, Any]) -> None:
        self._are(bus.AgentSnapshot.model_validate(data).numbers)

    async def _event(self, name: str, data: dict[str, Any]) -> None:
        if name == bus.NUMBERS_CHANGED:
            self._are(bus.NumbersChanged.model_validate(data).services)

    def _are(self, services: tuple[str, ...]) -> None:
        self.services = services
        self.changed.set()

    async def holds_numbers(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            while SERVICE not in self.services:
                self.changed.clear()
                await self.changed.wait()

    async def gives(self, key: str) -> ReservedNumber:
        await self.client.connected.wait()
        offer = bus.NumberOffer(service=SERVICE, key=key)
        number = (await self.client.request(bus.NUMBER_OFFER, offer, bus.NumberOffered)).number
        assert number is not None
        sealed = seal(SAID.model_dump_json().encode(), self.key, subject=number.ticket)
        give = bus.NumberGive(ticket=number.ticket, key=key, sealed=sealed)
        await self.client.request(bus.NUMBER_GIVE, give, bus.NumberGiven)
        return number


@asynccontextmanager
async def terminal(installation: Installation) -> AsyncIterator[Terminal]:
    made = Terminal(installation)
    task = asyncio.create_task(made.client.run(), name="terminal")
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until_waiting(client: AffairsClient, number: ReservedNumber) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                progress = await client.progress(number.ticket)
            except (LinkDown, Rejected):  # the node starts, or has not heard of it yet
                await asyncio.sleep(0.1)
            else:
                assert (progress.number, progress.state) == (number.number, TicketState.WAITING)
                return


async def test_numbers_given_without_the_node_are_in_its_queue_afterwards(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "hall")
    prepare(installation, CONTENT, [MACHINE])
    port = installation.endpoints["affairs"].port
    tls = client_context(installation.pki / MACHINE)
    async with (
        running(installation, "broker", "affairs") as table,
        AffairsClient(f"https://127.0.0.1:{port}", tls) as client,
        terminal(installation) as machine,
    ):
        await table.start(agent(installation, MACHINE))
        await machine.holds_numbers()
        table.kill("affairs", hold=True)
        given = [await machine.gives(f"attempt-{one}") for one in range(3)]
        assert len({number.number for number in given}) == 3
        assert await machine.gives("attempt-0") == given[0], "the same attempt, the same number"
        table.kill(MACHINE, hold=True)
        journal = b"".join(
            path.read_bytes() for path in installation.state(MACHINE).glob("agent.sqlite*")
        )
        for personal in (NAME.encode(), NUMBER.encode()):
            assert personal not in journal
        await table.release("affairs")
        issued = (await client.issue_ticket(SAID, new_id(), retry_for_s=LIMIT_S)).ticket
        assert issued.number not in {number.number for number in given}
        await table.release(MACHINE)
        for number in given:
            await until_waiting(client, number)
        # They came before.
        assert (await client.progress(issued.id)).waiting_ahead == 3
