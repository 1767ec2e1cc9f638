"""The node is killed while somebody waits for help: the call rings on, and there is one of it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hallkit.clients.help import HelpClient
from hallkit.model.help import HelpReason, HelpState
from hallkit.model.ids import new_id
from hallkit.wire.affairs_api import Applicant
from hallkit.wire.help_api import HelpCall, HelpRequest, SessionSoFar
from tests.integration.affairs_node import NODE_FILE, Hall

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

LIMIT_S = 40.0
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
