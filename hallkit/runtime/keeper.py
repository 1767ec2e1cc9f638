"""One process at work and one warm behind it.

Each citizen gets fresh processes: a process ends with its session and the warm one takes over at
once, so nothing of a person stays in memory because nothing of the process stays. The same spare
makes a crash cost less than a start.

The kept program starts with `--standby`, prints `warm` when everything is loaded, takes over on
the line `go` on standard input, and ends when standard input ends (so none outlives its keeper).
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger

CRASHES_LIMIT = 8
CRASHES_WINDOW_S = 60.0
SLOW_RESTART_S = 5.0
"""After too many crashes in the window: restarts go on, slowly, and the log says so."""

END_TIMEOUT_S = 3.0


class Keeper:
    """Keeps one program going."""

    def __init__(self, name: str, command: Sequence[str], clock: Clock) -> None:
        self._command = (*command, "--standby")
        self._clock = clock
        self._crashes: deque[float] = deque(maxlen=CRASHES_LIMIT)
        self._log = get_logger().bind(kept=name)
        self._name = name

    async def run(self) -> None:
        """Until cancelled; both processes are ended then."""
        spare = await self._start()
        try:
            while True:
                working, spare = spare, None
                await self._go(working)
                try:
                    spare = await self._start()
                    code = await working.process.wait()
                finally:
                    await working.end()
                if code != 0:
                    await self._crashed(code)
        finally:
            if spare is not None:
                await spare.end()

    async def _start(self) -> _Kept:
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        return _Kept(process)

    async def _go(self, kept: _Kept) -> None:
        """Wait until it is warm and let it work; a spare that died is replaced by the caller."""
        with suppress(ConnectionError):
            await kept.warm.wait()
            if kept.process.stdin is not None:
                kept.process.stdin.write(b"go\n")
                await kept.process.stdin.drain()
        print(f"working {self._name} {kept.process.pid}", flush=True)  # noqa: T201  # launcher

    async def _crashed(self, code: int) -> None:
        now = self._clock.mono_s()
        self._crashes.append(now)
        often = len(self._crashes) == CRASHES_LIMIT and now - self._crashes[0] < CRASHES_WINDOW_S
        reason = signal.Signals(-code).name if code < 0 else str(code)
        self._log.warning("process.crashed", code=reason, slow_restart=often)
        if often:
            await self._clock.sleep(SLOW_RESTART_S)


class _Kept:
    """A started process whose lines are passed on."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.warm = asyncio.Event()
        self._lines = asyncio.create_task(self._read_lines(), name=f"lines[{process.pid}]")

    async def _read_lines(self) -> None:
        if self.process.stdout is None:
            return
        async for line in self.process.stdout:
            if line.strip() == b"warm":
                self.warm.set()
            else:
                sys.stdout.write(line.decode(errors="replace"))
                sys.stdout.flush()
        self.warm.set()  # it died: whoever waits goes on and sees the exit code

    async def end(self) -> None:
        """End the process: politely, then not."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.terminate()
            try:
                async with asyncio.timeout(END_TIMEOUT_S):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        await self._lines
