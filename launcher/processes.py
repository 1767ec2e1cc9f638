"""The demo's process table: what runs, in which order, and what happens when one dies.

It does for the demo what systemd does in a hall: starts each program, waits until it says that it
is ready, restarts it when it ends unasked, and stops all in the reverse order.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 8.0
RESTART_PAUSE_S = 0.2
EXITED = "exited"
"""First word of the line that stands among a program's own when it ends."""

END_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")
"""setpriv(1) becomes the program: a launcher that is killed leaves nothing behind on the ports."""


@dataclass(frozen=True, slots=True)
class Program:
    """One line of the table."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: str = "ready"
    """First word of the line on standard output that says so; empty: `is_up` is asked."""
    is_up: Callable[[], bool] | None = None


class StartError(Exception):
    """A program did not become ready; the message names it and its log."""


@dataclass(eq=False, slots=True)
class Running:
    """A program at work, over its restarts."""

    program: Program
    log: IO[bytes]
    process: asyncio.subprocess.Process | None = None
    lines: list[str] = field(default_factory=list)
    starts: int = 0
    stopping: bool = False
    held: bool = False
    """Killed and not to come back until released."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, word: str, *, count: int, timeout_s: float = START_TIMEOUT_S) -> str:
        """The `count`-th line that begins with a word, over all starts."""
        async with asyncio.timeout(timeout_s), self.changed:
            while len(found := [line for line in self.lines if line.split()[:1] == [word]]) < count:
                await self.changed.wait()
        return found[count - 1]

    def count(self, word: str) -> int:
        """How many lines began with a word so far."""
        return sum(line.split()[:1] == [word] for line in self.lines)

    async def _note(self, line: str) -> None:
        async with self.changed:
            self.lines.append(line)
            self.changed.notify_all()


class ProcessTable:
    """The programs of one hall."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, Running] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def __getitem__(self, name: str) -> Running:
        return self._running[name]

    @asynccontextmanager
    async def group(self) -> AsyncIterator[None]:
        """While the block runs, programs may be started; leaving it stops all of them."""
        async with AsyncExitStack() as stack:
            self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
            try:
                yield
            finally:
                for running in reversed(self._running.values()):
                    await self._stop(running)

    async def start(self, program: Program) -> Running:
        """Start a program and wait until it is ready; `StartError` if it does not get there."""
        if self._tasks is None:
            raise RuntimeError("start is called inside group()")
        log = (self._logs / f"{program.name}.log").open("ab")
        running = Running(program, log)
        self._running[program.name] = running
        self._tasks.create_task(self._keep(running), name=program.name)
        is_up = program.is_up or (lambda: running.count(program.ready) > 0)
        try:
            await _until(lambda: is_up() or running.count(EXITED) > 0)
        except TimeoutError:
            raise StartError(f"{program.name} did not become ready; {self._see(program)}") from None
        if running.count(EXITED):
            # What ends before it was ever ready has a reason that no restart mends.
            running.stopping = True
            raise StartError(f"{program.name} ended at once; {self._see(program)}")
        return running

    def _see(self, program: Program) -> str:
        """Where the reason stands, and its last line."""
        path = self._logs / f"{program.name}.log"
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"see {path}: {lines[-1][:300]}" if lines else f"see {path}"

    def kill(self, name: str, *, hold: bool = False) -> float:
        """Kill -9; with `hold` it stays dead until `release`. The monotonic time of the kill."""
        running = self._running[name]
        running.held = hold
        killed_at = time.monotonic()
        if running.process is not None:
            running.process.kill()
        return killed_at

    async def release(self, name: str) -> None:
        """Let a held program come back."""
        running = self._running[name]
        async with running.changed:
            running.held = False
            running.changed.notify_all()

    def dead(self) -> list[str]:
        """Programs that are not running now."""
        return [
            name
            for name, running in self._running.items()
            if running.process is None or running.process.returncode is not None
        ]

    async def _keep(self, running: Running) -> None:
        program = running.program
        while not running.stopping:
            process = await asyncio.create_subprocess_exec(
                *END_WITH_PARENT,
                *program.command,
                env=dict(program.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=running.log,
                # A group of its own: Ctrl-C at the terminal reaches only the launcher.
                process_group=0,
            )
            running.process = process
            running.starts += 1
            if process.stdout is not None:
                async for line in process.stdout:
                    running.log.write(line)
                    running.log.flush()
                    await running._note(line.decode(errors="replace").strip())  # noqa: SLF001
            await running._note(f"{EXITED} {await process.wait()}")  # noqa: SLF001
            async with running.changed:
                while running.held and not running.stopping:
                    await running.changed.wait()
            if not running.stopping:
                await asyncio.sleep(RESTART_PAUSE_S)
        running.log.close()

    async def _stop(self, running: Running) -> None:
        async with running.changed:
            running.stopping = True
            running.changed.notify_all()
        process = running.process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _until(condition: Callable[[], bool]) -> None:
    """Poll something that has no event of its own."""
    async with asyncio.timeout(START_TIMEOUT_S):
        while not condition():  # noqa: ASYNC110  # a foreign program has no event to wait for
            await asyncio.sleep(0.05)
