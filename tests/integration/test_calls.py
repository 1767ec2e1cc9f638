"""A number is called: node, broker, window and board as they stand in a hall."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from affairs.catalogue_source import CONTENT
from hallkit.clients.affairs import AffairsClient
from hallkit.clients.mqtt import MqttLink
from hallkit.errors import Rejected
from hallkit.model.ids import new_id
from hallkit.model.ticket import TicketState
from hallkit.runtime.tls import client_context
from hallkit.wire.affairs_api import Applicant, TicketRequest, WindowOrder, WindowStatus
from hallkit.wire.mqtt import PAYLOAD_LIMIT, CallsNotice
from hallkit.wire.topics import CALLS_STREAM, hall_stream
from launcher.fleet import NODE_FILE, prepare, running
from launcher.installation import Installation
from launcher.processes import ProcessTable

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

LIMIT_S = 30.0
WINDOW, BOARD, TERMINAL = "window-12", "board-01", "terminal-21"
ITEM = "food-licence-new"
NAME = "欧阳什邡"
Do = Literal["open", "next", "again", "serve", "finish"]


@dataclass
class Board:
    """A screen that hears what is called."""

    link: MqttLink
    topic: str
    notices: list[CallsNotice] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        await self.link.run(on_message=self._hear, on_connected=self._listen)

    async def shows(self, *called: tuple[str, int, int]) -> str:
        """Wait until exactly this is called: number, window and how often; what was heard."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                self.changed.clear()
                if self.notices:
                    newest = self.notices[-1]
                    shown = [(one.number, one.window, one.times) for one in newest.calls]
                    if shown == list(reversed(called)):
                        return newest.model_dump_json()
                await self.changed.wait()

    async def _listen(self) -> None:
        await self.link.subscribe(self.topic)

    async def _hear(self, _topic: str, payload: bytes) -> None:
        self.notices.append(CallsNotice.from_bytes(payload, limit=PAYLOAD_LIMIT))
        self.changed.set()


@dataclass(frozen=True, slots=True)
class Hall:
    installation: Installation
    table: ProcessTable

    def client(self, name: str) -> AffairsClient:
        port = self.installation.endpoints["affairs"].port
        context = client_context(self.installation.pki / name)
        return AffairsClient(f"https://127.0.0.1:{port}", context)

    @asynccontextmanager
    async def board(self) -> AsyncIterator[Board]:
        endpoint = self.installation.endpoints["broker"]
        link = MqttLink(
            host=endpoint.host,
            port=endpoint.port,
            client_id=BOARD,
            tls=client_context(self.installation.pki / BOARD),
        )
        board = Board(link, hall_stream(self.installation.site, CALLS_STREAM))
        running_ = asyncio.create_task(board.run(), name="board")
        yield board
        running_.cancel()
        await asyncio.gather(running_, return_exceptions=True)


@asynccontextmanager
async def hall(folder: Path) -> AsyncIterator[Hall]:
    installation = Installation(folder / "hall")
    prepare(installation, CONTENT, [WINDOW, BOARD, TERMINAL])
    with (installation.config / NODE_FILE).open("a", encoding="utf-8") as file:
        file.write(f"[affairs.callers]\n{WINDOW} = 12\n")
    async with running(installation, "broker", "affairs") as table:
        yield Hall(installation, table)


async def order(window: AffairsClient, do: Do, ticket: str = "") -> WindowStatus:
    wanted = WindowOrder(do=do, ticket=ticket)
    return await window.order_window(12, wanted, new_id(), retry_for_s=LIMIT_S)


async def test_a_number_is_called_and_every_board_knows(tmp_path: Path) -> None:
    request = TicketRequest(
        item=ITEM,
        applicant=Applicant(name=NAME, number="11010519491231002X", card_kind="resident"),
    )
    async with hall(tmp_path) as it, it.client(TERMINAL) as terminal, it.client(WINDOW) as window:
        async with it.board() as board:
            await board.shows()
            ticket = (await terminal.issue_ticket(request, new_id())).ticket
            await order(window, "open")
            status = await order(window, "next")
            assert status.ticket is not None
            assert status.ticket.number == ticket.number == "A001"
            await board.shows(("A001", 12, 1))
            await order(window, "again", ticket.id)
            heard = await board.shows(("A001", 12, 1), ("A001", 12, 2))
            assert NAME not in heard
            assert (await window.window_case(12)).request.applicant == request.applicant
        with pytest.raises(Rejected) as fault:
            await window.window(13)
        assert fault.value.problem_code == "device_not_allowed"
        with pytest.raises(Rejected):
            await terminal.window_case(12)

        # The node dies between a call and the next; who comes then hears what was called.
        it.table.kill("affairs", hold=True)
        async with it.board() as late:
            await late.shows(("A001", 12, 1), ("A001", 12, 2))
            await it.table.release("affairs")
            await order(window, "serve", ticket.id)
            progress = await terminal.progress(ticket.id)
            assert (progress.state, progress.window) == (TicketState.SERVING, 12)
            await order(window, "finish", ticket.id)
            await order(window, "next")
            await late.shows(("A001", 12, 1), ("A001", 12, 2))
