"""One process at work and one warm behind it.

Each citizen gets fresh processes: a process ends with its session and the warm one takes over at
once, so nothing of a person stays in memory because nothing of the process stays. The same spare
makes a crash cost less than a start.

The kept program starts with `--standby`, prints `warm` when everything is loaded, takes over on
the line `go` on standard input, and ends when standard input ends. One that stands still hears
nothing, so the kernel ends it with its keeper: none outlives it. While it works it prints `alive`
every two seconds: one that stands still is killed and replaced, because a frozen screen is as bad
as none.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

from hallkit.errors import ConfigError, ConfigProblem
from hallkit.runtime.clock import Clock
from hallkit.runtime.lifecycle import EXIT_CONFIG
from hallkit.runtime.log import get_logger
from hallkit.runtime.parent import end_with_parent

CRASHES_LIMIT = 8
CRASHES_WINDOW_S = 60.0
SLOW_RESTART_S = 5.0
"""After too many crashes in the window: restarts go on, slowly, and the log says so."""

WARM_TIMEOUT_S = 60.0
"""A spare that is not warm by then never will be: it is ended and counts as crashed."""

END_TIMEOUT_S = 3.0

BEAT_INTERVAL_S = 2.0
SILENCE_LIMIT_S = 15.0
"""A working program that says nothing for so long stands still."""

SECOND_LOOK_S = 0.25
"""The keeper may have stood still itself: what was said meanwhile is heard first."""


_MANAGERS = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})


class Keeper:
    """Keeps one program going."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        clock: Clock,
        *,
        crashes_limit: int = CRASHES_LIMIT,
        slow_restart_s: float = SLOW_RESTART_S,
        warm_timeout_s: float = WARM_TIMEOUT_S,
        end_timeout_s: float = END_TIMEOUT_S,
        silence_limit_s: float = SILENCE_LIMIT_S,
        prefix: str = "",
    ) -> None:
        """`prefix` begins every line that is passed on: a keeper inside another program must not
        say `ready` in its name.
        """
        self._command = (*command, "--standby")
        self._clock = clock
        self._slow_restart_s = slow_restart_s
        self._warm_timeout_s = warm_timeout_s
        self._end_timeout_s = end_timeout_s
        self._silence_limit_s = silence_limit_s
        self._prefix = f"{prefix}: " if prefix else ""
        self._crashes: deque[float] = deque(maxlen=crashes_limit)
        self._log = get_logger().bind(kept=name)
        self._name = name

    async def run(self) -> None:
        """Until cancelled; both processes are ended then."""
        spare: _Kept | None = None
        try:
            while True:
                working = spare or await self._start()
                spare = None
                try:
                    await self._go(working)
                    spare = await self._start()
                    code = await self._work(working)
                finally:
                    await working.end(self._end_timeout_s)
                if code != 0:
                    await self._crashed(code)
        finally:
            if spare is not None:
                await spare.end(self._end_timeout_s)

    async def _start(self) -> _Kept:
        # The service manager's own variables are for the keeper: it is the one that is watched.
        environment = {key: value for key, value in os.environ.items() if key not in _MANAGERS}
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        return _Kept(process, self._prefix)

    async def _work(self, kept: _Kept) -> int:
        """Wait for the end of a working program; one that stands still is ended."""
        while kept.process.returncode is None:
            kept.heard.clear()
            if not (
                await kept.anything(self._silence_limit_s) or await kept.anything(SECOND_LOOK_S)
            ):
                self._log.warning("process.stands_still", pid=kept.process.pid)
                kept.kill()
                await kept.process.wait()
        return kept.process.returncode

    async def _go(self, kept: _Kept) -> None:
        """Wait until it is warm and let it work; one that died is replaced by the caller."""
        try:
            async with asyncio.timeout(self._warm_timeout_s):
                await kept.warm.wait()
        except TimeoutError:
            self._log.warning("process.never_warm", pid=kept.process.pid)
            kept.kill()
            return
        with suppress(ConnectionError):
            if kept.process.stdin is not None:
                kept.process.stdin.write(b"go\n")
                await kept.process.stdin.drain()
        said = f"{self._prefix}working {self._name} {kept.process.pid}"
        print(said, flush=True)  # noqa: T201  # launcher

    async def _crashed(self, code: int) -> None:
        if code == EXIT_CONFIG:
            # No restart mends it. The program has said on standard error what is wrong.
            problem = ConfigProblem(self._name, "-", "the program refuses its configuration")
            raise ConfigError([problem])
        now = self._clock.mono_s()
        self._crashes.append(now)
        often = (
            len(self._crashes) == self._crashes.maxlen and now - self._crashes[0] < CRASHES_WINDOW_S
        )
        reason = signal.Signals(-code).name if code < 0 else str(code)
        self._log.warning("process.crashed", code=reason, slow_restart=often)
        if often:
            await self._clock.sleep(self._slow_restart_s)


class _Kept:
    """A started process whose lines are passed on."""

    def __init__(self, process: asyncio.subprocess.Process, prefix: str) -> None:
        self.process = process
        self._prefix = prefix
        self.warm = asyncio.Event()
        self.heard = asyncio.Event()
        self._lines = asyncio.create_task(self._read_lines(), name=f"lines[{process.pid}]")

    async def _read_lines(self) -> None:
        if self.process.stdout is None:
            return
        async for line in self.process.stdout:
            self.heard.set()
            if line.strip() == b"warm":
                self.warm.set()
            elif line.strip() != b"alive":
                sys.stdout.write(self._prefix + line.decode(errors="replace"))
                sys.stdout.flush()
        self.warm.set()  # it died: whoever waits goes on and sees the exit code

    async def anything(self, within_s: float) -> bool:
        """True if it says a line in this time, or ends."""
        ended = asyncio.create_task(self.process.wait())
        heard = asyncio.create_task(self.heard.wait())
        try:
            done, _ = await asyncio.wait(
                {ended, heard}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ended.cancel()
            heard.cancel()
        return bool(done)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()

    async def end(self, timeout_s: float) -> None:
        """End the process: politely, then not."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.terminate()
            try:
                async with asyncio.timeout(timeout_s):
                    await self.process.wait()
            except TimeoutError:
                self.kill()
                await self.process.wait()
        # Something that it started may hold its standard output open for ever.
        await asyncio.wait({self._lines}, timeout=timeout_s)
        self._lines.cancel()


class Standby:
    """The side of the kept program: `warm`, then `go`, then the end with its keeper.

    standby = await Standby.open()
    if await standby.warm():
        ...  # work, at most until `standby.keeper_gone()` returns
    """

    def __init__(self, lines: asyncio.StreamReader) -> None:
        self._lines = lines

    @classmethod
    async def open(cls) -> Self:
        """Listen to standard input, and end with the keeper whatever happens. Once in a process."""
        end_with_parent()
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        return cls(lines)

    async def warm(self) -> bool:
        """Say that everything is loaded and wait; False if the keeper wants no work any more."""
        print("warm", flush=True)  # noqa: T201  # the keeper waits for this line
        return (await self._lines.readline()).strip() == b"go"

    async def beat(
        self, interval_s: float = BEAT_INTERVAL_S, *, is_well: Callable[[], bool] = lambda: True
    ) -> None:
        """Say that this process does not stand still, until cancelled; silent while it is not well.

        From the loop that does the work: when that stands still, so does this.
        """
        while True:
            if is_well():
                print("alive", flush=True)  # noqa: T201  # the keeper listens
            await asyncio.sleep(interval_s)

    async def keeper_gone(self) -> None:
        """Return when the keeper has ended, however it ended."""
        while await self._lines.read(4096):
            pass
