"""One process at work, a warm one behind it, and none that outlives its keeper."""

from __future__ import annotations

import asyncio
import io
import os
import select
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hallkit.errors import ConfigError
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.keeper import Keeper, Standby
from hallkit.runtime.lifecycle import EXIT_CONFIG
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.integration

CHILD = textwrap.dedent(
    """
    import asyncio, os, signal, sys
    from pathlib import Path
    from hallkit.runtime.keeper import Standby

    async def main(hangs):
        print("started", os.getpid(), flush=True)
        signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
        if hangs is not None and not hangs.exists():
            hangs.touch()
            await asyncio.Event().wait()
        standby = await Standby.open()
        print("listens", os.getpid(), flush=True)
        if not await standby.warm():
            return
        print("at_work", os.getpid(), flush=True)
        beat = asyncio.create_task(standby.beat(0.2))
        await standby.keeper_gone()
        beat.cancel()

    asyncio.run(main(Path(sys.argv[1]) if sys.argv[1] != "--standby" else None))
    """
)

KEEPER = textwrap.dedent(
    """
    import asyncio, sys
    from hallkit.runtime.clock import SystemClock
    from hallkit.runtime.keeper import Keeper

    limit_s, *program = sys.argv[1:]
    asyncio.run(Keeper("kept", program, SystemClock(), silence_limit_s=float(limit_s)).run())
    """
)


class Lines(io.TextIOBase):
    """Standard output of the keeper; each line can be awaited."""

    def __init__(self) -> None:
        self._rest = ""
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self.heard.put_nowait(line)
        return len(text)


class Watched:
    """A keeper at work and the processes that it has started."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._passed: list[tuple[str, int]] = []

    async def hears(self, word: str) -> int:
        """The process id of the next line with this word."""
        async with asyncio.timeout(20):
            while True:
                for place, (said, pid) in enumerate(self._passed):
                    if said == word:
                        del self._passed[place]
                        return pid
                line = (await self._lines.heard.get()).split()
                if line[0] in ("started", "working", "at_work"):  # else the keeper's log
                    self._passed.append((line[0], int(line[-1])))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-c", CHILD, *arguments]


@asynccontextmanager
async def kept(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    lines = Lines()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", lines)
        running = asyncio.create_task(keeper.run())
        try:
            yield Watched(lines)
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def ends(pid: int, *, timeout_s: float = 10.0) -> bool:
    """True if the process ends in this time, or has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], timeout_s)[0])
    finally:
        os.close(handle)


async def test_one_works_and_a_warm_one_takes_over_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with kept(Keeper("kept", command(), SystemClock()), monkeypatch) as watched:
        first = await watched.hears("working")
        assert await watched.hears("at_work") == first
        assert await watched.hears("started") == first
        spare = await watched.hears("started")
        with capture_logs() as logs:
            os.kill(first, signal.SIGUSR1)
            assert await watched.hears("working") == spare
        assert await watched.hears("at_work") == spare
        assert logs == []  # a session that ended is no crash


async def test_a_keeper_inside_another_program_says_nothing_in_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = Lines()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", lines)
        keeper = Keeper("kept", command(), SystemClock(), prefix="inner")
        running = asyncio.create_task(keeper.run())
        heard: list[str] = []
        async with asyncio.timeout(20):
            while not any("at_work" in line for line in heard):
                heard.append(await lines.heard.get())
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [line for line in heard if not line.startswith("inner: ")] == []


async def test_after_kill_9_the_warm_one_takes_over_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with kept(Keeper("kept", command(), SystemClock()), monkeypatch) as watched:
        first = await watched.hears("at_work")
        with capture_logs() as logs:
            os.kill(first, signal.SIGKILL)
            assert await watched.hears("at_work") != first
        assert [(line["event"], line["code"]) for line in logs] == [("process.crashed", "SIGKILL")]


async def test_a_spare_that_died_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async with kept(Keeper("kept", command(), SystemClock()), monkeypatch) as watched:
        first = await watched.hears("at_work")
        assert await watched.hears("started") == first
        spare = await watched.hears("started")
        os.kill(spare, signal.SIGKILL)
        assert await asyncio.to_thread(ends, spare)
        os.kill(first, signal.SIGUSR1)
        assert await watched.hears("at_work") not in (first, spare)


async def test_after_many_crashes_it_restarts_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    keeper = Keeper("kept", command(), clock, crashes_limit=2, slow_restart_s=5.0)
    async with kept(keeper, monkeypatch) as watched:
        with capture_logs() as logs:
            for _ in range(2):
                os.kill(await watched.hears("at_work"), signal.SIGKILL)
            await clock.until_sleeping()
        assert [line["slow_restart"] for line in logs] == [False, True]
        clock.advance(4.9)
        assert clock.sleeping == 1
        clock.advance(0.2)
        third = await watched.hears("at_work")
        # Long afterwards a crash is a single one again.
        clock.advance(120.0)
        with capture_logs() as logs:
            os.kill(third, signal.SIGKILL)
            await watched.hears("at_work")
        assert [line["slow_restart"] for line in logs] == [False]


async def test_one_that_never_gets_warm_is_ended_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper("kept", command(str(tmp_path / "hung")), SystemClock(), warm_timeout_s=2.0)
    async with kept(keeper, monkeypatch) as watched:
        hung = await watched.hears("started")
        assert await watched.hears("at_work") != hung
        assert ends(hung)


async def test_both_end_with_the_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    async with kept(Keeper("kept", command(), SystemClock()), monkeypatch) as watched:
        started = [await watched.hears("started") for _ in range(2)]
        await watched.hears("at_work")
    assert [ends(pid) for pid in started] == [True, True]


async def test_one_that_is_not_warm_yet_ends_with_the_keeper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper("kept", command(str(tmp_path / "hung")), SystemClock())
    async with kept(keeper, monkeypatch) as watched:
        hung = await watched.hears("started")
    assert ends(hung)


@asynccontextmanager
async def keeper_process(
    *, silence_limit_s: float = 15.0
) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[int]]]:
    """A keeper in a process of its own, and its two: the one at work, and the spare."""
    keeper = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", KEEPER, str(silence_limit_s), *command()),
        stdout=asyncio.subprocess.PIPE,
    )
    assert keeper.stdout is not None
    started: list[int] = []
    at_work = False
    try:
        async with asyncio.timeout(20):
            while len(started) < 2 or not at_work:
                said, *_, number = (await keeper.stdout.readline()).decode().split()
                at_work = at_work or said == "at_work"
                # Before that it is not bound to its keeper yet.
                if said == "listens":
                    started.append(int(number))
        yield keeper, started
    finally:
        if keeper.returncode is None:
            keeper.kill()
        await keeper.communicate()


@pytest.mark.parametrize("stopped", [False, True])
async def test_both_end_when_the_keeper_is_killed(*, stopped: bool) -> None:
    async with keeper_process() as (keeper, started):
        if stopped:  # they can hear nothing any more
            for pid in started:
                os.kill(pid, signal.SIGSTOP)
        keeper.kill()
        await keeper.wait()
        gone = [await asyncio.to_thread(ends, pid) for pid in started]
    assert gone == [True, True]


async def test_a_keeper_that_stood_still_itself_listens_before_it_judges() -> None:
    async with keeper_process(silence_limit_s=0.6) as (keeper, [working, spare]):
        assert keeper.stdout is not None
        os.kill(keeper.pid, signal.SIGSTOP)
        assert not await asyncio.to_thread(ends, working, timeout_s=1.5)
        os.kill(keeper.pid, signal.SIGCONT)
        assert not await asyncio.to_thread(ends, working, timeout_s=1.5)
        os.kill(working, signal.SIGUSR1)
        async with asyncio.timeout(20):
            while (line := (await keeper.stdout.readline()).split())[0] != b"working":
                assert b"stands_still" not in b" ".join(line)
        assert int(line[-1]) == spare


async def test_one_that_is_not_well_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    standby, well = Standby(asyncio.StreamReader()), [True]
    beating = asyncio.create_task(standby.beat(0.0, is_well=lambda: well[0]))
    await asyncio.sleep(0)
    assert "alive" in capsys.readouterr().out
    well[0] = False
    for _ in range(5):
        await asyncio.sleep(0)
    assert capsys.readouterr().out == ""
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)


async def test_one_that_stands_still_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper("kept", command(), SystemClock(), silence_limit_s=1.5)
    async with kept(keeper, monkeypatch) as watched:
        first = await watched.hears("at_work")
        with capture_logs() as logs:
            os.kill(first, signal.SIGSTOP)
            assert await watched.hears("at_work") != first
        assert [line["event"] for line in logs] == ["process.stands_still", "process.crashed"]


async def test_a_wrong_configuration_ends_the_keeper_too() -> None:
    program = [sys.executable, "-P", "-c", f"import sys; sys.exit({EXIT_CONFIG})"]
    with pytest.raises(ConfigError, match="kept: -: the program refuses its configuration"):
        await Keeper("kept", program, SystemClock()).run()
