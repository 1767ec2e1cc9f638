"""The terminal's screen on a virtual panel, fed by a small bus server that plays kiosk.service."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hallkit.runtime.bus import BusServer, Connection
from hallkit.wire.agent_bus import Empty
from hallkit.wire.base import Message
from kiosk.flow import view as screen
from kiosk.flow.view import View
from kiosk.service import SCREEN_SOCKET, ViewData
from launcher.display import VirtualPanel, start_panel
from launcher.figures import Figure, children, cpu_ticks, percentile
from launcher.hall import TERMINAL_FILES
from launcher.installation import CHECKOUT, TERMINAL, Installation
from launcher.processes import ProcessTable, Program
from launcher.visitor import Seen, Visitor

SAMPLES = CHECKOUT / "kiosk" / "ui" / "samples"
STARTS = 5
TAKEOVERS = 5
TAPS = 40

START_LIMIT_MS = 1_000.0
TAKEOVER_LIMIT_MS = 1_000.0
TAP_LIMIT_MS = 100.0
"""What a person still takes for at once."""

STILL_FOR_S = 0.4
"""A process that used no processor time for so long has finished what it was doing."""
BETWEEN_TAPS_S = 0.6
"""A page slides in meanwhile; nobody taps faster on a page that they have just seen."""


async def start(folder: Path) -> list[Figure]:
    """From the start of a new screen process to its first frame, with everything it imports."""
    times = []
    async with _terminal(folder) as it:
        for _ in range(STARTS):
            began = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "kiosk.ui.app", "--fullscreen"),
                *("--socket", str(it.socket)),
                env=it.environment,
                stdout=asyncio.subprocess.PIPE,
            )
            await _line(process, b"interactive")
            times.append((time.monotonic() - began) * 1000)
            process.kill()
            await process.wait()
    return [Figure("terminal.start", statistics.median(times), "ms", limit=START_LIMIT_MS)]


async def takeover(folder: Path) -> list[Figure]:
    """From kill -9 of the working screen to the first frame of the spare."""
    times = []
    async with _terminal(folder) as it:
        kept = await it.keep_screen()
        for shown in range(1, TAKEOVERS + 1):
            await kept.wait_for("interactive", count=shown)
            working = int((await kept.wait_for("working", count=shown)).split()[-1])
            spare = await _spare(kept.process.pid if kept.process else 0, working)
            await _still(working, spare)
            began = time.monotonic()
            os.kill(working, signal.SIGKILL)
            await kept.wait_for("interactive", count=shown + 1)
            times.append((time.monotonic() - began) * 1000)
    return [Figure("terminal.takeover", statistics.median(times), "ms", limit=TAKEOVER_LIMIT_MS)]


async def tap_to_frame(folder: Path) -> list[Figure]:
    """From the finger on the panel over the service's answer to the new view's frame."""
    async with _terminal(folder) as it:
        kept = await it.keep_screen()
        await kept.wait_for("interactive", count=1)
        visitor = Visitor(it.panel, folder)
        try:
            places = [await _place_of_first_choice(it, visitor, view) for view in it.service.views]
            times = [
                await _tap(it, visitor, places[tap % len(places)]) * 1000 for tap in range(TAPS)
            ]
        finally:
            visitor.close()
    own = it.service.own_ms[-TAPS:]
    peer = "the screen's own count from press to frame"
    return [
        Figure(
            f"terminal.tap_to_frame.p{percent}",
            percentile(times, percent),
            "ms",
            peer,
            percentile(own, percent),
            TAP_LIMIT_MS,
        )
        for percent in (50, 95)
    ]


MEASURES = {
    "terminal.start": start,
    "terminal.takeover": takeover,
    "terminal.tap_to_frame": tap_to_frame,
}


class _Service:
    """Plays kiosk.service: each tap is answered with the other of two questions."""

    def __init__(self, socket: Path) -> None:
        self.views = [_sample("question"), _sample("question-two")]
        self.taps = 0
        self.own_ms: list[float] = []
        self.shown = asyncio.Event()
        self._seq = 1
        self.server = BusServer(
            screen.SERVER,
            socket,
            handlers={screen.TAP: self._on_tap, screen.SHOWN: self._on_shown},
            snapshot=lambda: ViewData(view=self.view),
        )

    @property
    def view(self) -> View:
        return self.views[self.taps % len(self.views)].model_copy(update={"seq": self._seq})

    def turn_to(self, view: View) -> None:
        """Show one of the views, as if the taps had led to it."""
        self.taps = self.views.index(view)
        self._publish()

    async def _on_tap(self, _args: Mapping[str, Any], _from: Connection) -> Message:
        self.taps += 1
        self._publish()
        return Empty()

    async def _on_shown(self, args: Mapping[str, Any], _from: Connection) -> Message:
        if args["seq"] == self._seq:
            self.own_ms.append(float(args["ms"]))
            self.shown.set()
        return Empty()

    def _publish(self) -> None:
        self._seq += 1
        self.server.publish(screen.VIEW, ViewData(view=self.view))


@dataclass(frozen=True, slots=True)
class _Terminal:
    """A panel, the service's part, and what a screen needs to find both."""

    table: ProcessTable
    panel: VirtualPanel
    service: _Service
    socket: Path
    environment: Mapping[str, str] = field(repr=False)

    async def keep_screen(self) -> Any:
        """The real keeper with its working screen and its spare."""
        return await self.table.start(
            Program(
                name="screen",
                command=(sys.executable, "-P", "-m", "kiosk.keep", "screen", "--fullscreen"),
                environment=self.environment,
            )
        )


@asynccontextmanager
async def _terminal(folder: Path) -> AsyncIterator[_Terminal]:
    installation = Installation(folder)
    installation.prepare(move_ports=True)
    table = ProcessTable(installation.logs)
    socket = installation.runtime / SCREEN_SOCKET
    async with table.group():
        panel = await start_panel(table, installation.runtime)
        service = _Service(socket)
        environment = {
            **installation.environment(TERMINAL, files=TERMINAL_FILES),
            **panel.environment,
        }
        async with service.server:
            yield _Terminal(table, panel, service, socket, environment)


def _sample(name: str) -> View:
    return View.model_validate_json((SAMPLES / f"{name}.json").read_bytes())


async def _line(process: asyncio.subprocess.Process, word: bytes) -> None:
    if process.stdout is None:
        raise RuntimeError("the screen has no output")
    async for line in process.stdout:
        if line.strip() == word:
            return
    raise RuntimeError(f"the screen ended before it said {word!r}")


async def _spare(keeper: int, working: int) -> int:
    while True:
        others = [child for child in children(keeper) if child != working]
        if others:
            return others[-1]
        await asyncio.sleep(0.02)


async def _still(*pids: int) -> None:
    """Wait until these processes rest: a spare that is still loading takes nothing over."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < STILL_FOR_S:
        used = sum(cpu_ticks(pid) for pid in pids)
        if used > before + 1:  # one tick may be a timer's
            before, since = used, time.monotonic()
        await asyncio.sleep(0.02)


async def _place_of_first_choice(it: _Terminal, visitor: Visitor, view: View) -> Seen:
    it.service.turn_to(view)
    return await visitor.sees(view.choices[0].title)


async def _tap(it: _Terminal, visitor: Visitor, place: Seen) -> float:
    """Touch, and wait for the frame of the next view; the seconds between them."""
    await asyncio.sleep(BETWEEN_TAPS_S)
    it.service.shown.clear()
    began = time.monotonic()
    touching = asyncio.create_task(visitor.touch(place))
    async with asyncio.timeout(5):
        await it.service.shown.wait()
    seconds = time.monotonic() - began
    await touching
    return seconds
