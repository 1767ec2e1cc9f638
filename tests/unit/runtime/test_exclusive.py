"""One at a time, and a holder that dies holds nothing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from structlog.testing import capture_logs

from hallkit.runtime.clock import SystemClock
from hallkit.runtime.exclusive import exclusively
from tests.fakes.clock import FakeClock

HOLDER = """
import asyncio, sys
from pathlib import Path
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.exclusive import exclusively

async def main():
    async with exclusively(Path(sys.argv[1]), SystemClock()):
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_second_waits_for_the_first_and_says_so_once(tmp_path: Path) -> None:
    path, clock = tmp_path / "run" / "one.lock", FakeClock()
    entered = asyncio.Event()

    async def second() -> None:
        async with exclusively(path, clock):
            entered.set()

    with capture_logs() as logs:
        async with exclusively(path, clock):
            waiting = asyncio.create_task(second())
            for _ in range(3):
                await clock.until_sleeping()
                clock.advance(0.2)
                await asyncio.sleep(0)
            assert not entered.is_set()
        await clock.until_sleeping()
        clock.advance(0.2)
        await waiting
    assert [line["event"] for line in logs] == ["lock.held_by_another", "lock.taken"]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_holder_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", HOLDER, str(path)), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    holder.kill()
    async with asyncio.timeout(10), exclusively(path, SystemClock()):
        pass
    await holder.communicate()
