"""The node is killed while somebody waits for help: the call rings on, and there is one of it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from affairs.catalogue_source import CONTENT
from hallkit.clients.affairs import AffairsClient
from hallkit.clients.help import HelpClient
from hallkit.clients.mqtt import MqttLink
from hallkit.model.help import HelpReason, HelpState
from hallkit.model.ids import new_id
from hallkit.runtime.tls import client_context
from hallkit.wire.affairs_api import Applicant
from hallkit.wire.help_api import HelpCall, HelpRequest, SessionSoFar
from hallkit.wire.mqtt import PAYLOAD_LIMIT, HelpNotice
from hallkit.wire.topics import HELP_STREAM, hall_stream
from launcher.fleet import NODE_FILE as NODE
from launcher.fleet import prepare, running
from launcher.installation import Installation
from tests.integration.affairs_node import NODE_FILE, Hall

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

LIMIT_S = 40.0
TERMINAL, BOARD = "terminal-02", "board-01"
RULES = "[affairs.help]\nring_s = 2\nthen_s = [1]\n"
NAME, NUMBER = "欧阳什邡", "11010519491231002X"
ASKED = HelpRequest(
    reason=HelpReason.ELDERLY,
    session=SessionSoFar(
        visit=new_id(), applicant=Applicant(name=NAME, number=NUMBER, card_kind="resident")
    ),
)


async def until_level(client: HelpClient, call: str, level: int) -> HelpCall:
    async with asyncio.timeout(LIMIT_S):
        while (told := await client.status(call)).level < level:  # noqa: ASYNC110  # its process
            await asyncio.sleep(0.05)
    return told


async def test_a_call_rings_on_after_a_kill(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    hall.write("affairs.toml", NODE_FILE.format(content=hall.content) + RULES)
    key = new_id()
    async with hall.client() as affairs:
        client = HelpClient(affairs)
        async with hall.running() as process:
            first = await client.call(ASKED, key)
            process.kill()
        async with hall.running() as process:
            again = await client.call(ASKED, key, retry_for_s=LIMIT_S)
            assert (again.call, again.presses, again.again) == (first.call, 1, True)
            await until_level(client, first.call, 2)
            process.kill()
        async with hall.running():
            pressed = await client.call(ASKED, new_id(), retry_for_s=LIMIT_S)
            assert (pressed.call, pressed.presses) == (first.call, 2)
            told = await until_level(client, first.call, 3)
            assert (told.state, told.say) == (HelpState.CALLING, "help.said.calling_more")
    with closing(sqlite3.connect(hall.state / "affairs.sqlite")) as database:
        row = database.execute("select level_at_ms - called_at_ms, next_at_ms from help_calls")
        ((raised_after_ms, next_ms),) = row.fetchall()  # one, and no other
    assert raised_after_ms >= 3000, "no level was skipped"
    assert next_ms is None
    kept = b"".join(path.read_bytes() for path in hall.folder.rglob("*") if path.is_file())
    for secret in (NAME, NUMBER):
        assert secret.encode() not in kept


@asynccontextmanager
async def board(installation: Installation) -> AsyncIterator[asyncio.Queue[HelpNotice]]:
    """What a board of the hall hears of calls for help."""
    heard: asyncio.Queue[HelpNotice] = asyncio.Queue()
    endpoint = installation.endpoints["broker"]
    link = MqttLink(
        host=endpoint.host,
        port=endpoint.port,
        client_id=BOARD,
        tls=client_context(installation.pki / BOARD),
    )

    async def listen() -> None:
        await link.subscribe(hall_stream(installation.site, HELP_STREAM))

    async def hear(_topic: str, payload: bytes) -> None:
        heard.put_nowait(HelpNotice.from_bytes(payload, limit=PAYLOAD_LIMIT))

    task = asyncio.create_task(link.run(on_message=hear, on_connected=listen), name="board")
    yield heard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until_shown(heard: asyncio.Queue[HelpNotice], *shown: tuple[int, str]) -> HelpNotice:
    """Until exactly these ring: level and machine of each."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            notice = await heard.get()
            if [(one.level, one.machine) for one in notice.calls] == list(shown):
                return notice


async def test_a_board_hears_of_it_and_sees_the_machine_last(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "hall")
    prepare(installation, CONTENT, [TERMINAL, BOARD])
    with (installation.config / NODE).open("a", encoding="utf-8") as file:
        file.write(RULES)
    url = f"https://127.0.0.1:{installation.endpoints['affairs'].port}"
    context = client_context(installation.pki / TERMINAL)
    async with running(installation, "broker", "affairs"), AffairsClient(url, context) as affairs:
        client = HelpClient(affairs)
        async with board(installation) as heard:
            await until_shown(heard)
            call = await client.call(ASKED, new_id())
            for level, machine in ((1, ""), (2, ""), (3, TERMINAL)):
                notice = await until_shown(heard, (level, machine))
                assert NAME not in notice.model_dump_json()
            assert notice.calls[0].place_name
        async with board(installation) as late:
            await until_shown(late, (3, TERMINAL))
            await client.cancel(call.call, new_id())
            await until_shown(late)
