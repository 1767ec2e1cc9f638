"""Peripherals against what their wire allows: a card, a slip, a question how they are.

The devices are their twins, in processes of their own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import serial

from drivers.driver import Driver
from drivers.registry import discover, parse_peripherals
from drivers.sim.control import order
from drivers.sim.process import simulator
from hallkit.model.printing import PrintResult, QrLine, Slip, TextLine
from hallkit.ports.id_card_reader import CardRead
from hallkit.runtime.bus import BusClient
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.log import configure_logging
from kiosk.flow.view import TAP, View
from kiosk.service import SCREEN_SOCKET, TapAnswer
from kiosk.service import Tap as ScreenTap
from launcher.figures import Figure, percentile
from launcher.hall import running_hall
from launcher.installation import Installation

BAUD = 115200
BITS_PER_BYTE = 10
CARDS = 20
POLL_MS = 350.0
"""A reader is looked at so often (edge_agent/devices/card_watch.py)."""
SEE_S = 60.0
SLIPS = 20
PROBES = 200
LIMIT_PROBE_US = 10_000.0
"""The agent asks each peripheral once a second: a hundredth of a core."""
SLIP = Slip(
    lines=(
        TextLine(text="什邡市政务服务大厅", align="center", bold=True),
        *(TextLine(text=f"第 {number} 行：请带身份证到窗口") for number in range(12)),
        QrLine(text="HK1.T.01J8ZC3Y6K.20260101.A001.0123456789abcdef"),
    ),
    reprint_mark="补打",
)
READ_DIALOGUE = (
    # Find, select, read: request, and the bytes of its answer (docs/drivers/sdt.md).
    (bytes.fromhex("AAAAAA96690003200122"), 15),
    (bytes.fromhex("AAAAAA96690003200221"), 19),
    (bytes.fromhex("AAAAAA96690003300132"), 1295),
)


async def card(folder: Path) -> list[Figure]:
    """From the look that finds a card to its fields, on a wire that takes its time."""
    configure_logging("critical", process="bench")
    link, control = folder / "reader", folder / "control"
    options = ("--link", link, "--control", control, "--baud", str(BAUD), "--paced")
    async with simulator("drivers.sim.sdt", *options):
        async with _driver("sdt", {"kind": "serial", "path": str(link)}) as reader:
            await reader.probe()
            times = [await _card_ms(reader, control) for _ in range(CARDS)]
        peers = [await _bare_card_ms(link, control) for _ in range(CARDS)]
    crossing = sum(len(request) + answered for request, answered in READ_DIALOGUE)
    wire_ms = crossing * BITS_PER_BYTE / BAUD * 1000
    ours, peer = percentile(times, 50), percentile(peers, 50)
    bare = "bare pyserial, the same frames, nothing checked"
    wire = f"the wire's own time: {crossing} bytes at {BAUD} baud"
    return [
        Figure("devices.card.p50", ours, "ms", wire, wire_ms, limit=1.5 * wire_ms),
        Figure("devices.card.bare.p50", ours, "ms", bare, peer),
    ]


async def card_shown(folder: Path) -> list[Figure]:
    """From a card that is laid down to the view with its fields, in a whole hall.

    Reader and service as they stand on a terminal, and a wire that takes no time; the
    screen draws the view some ten milliseconds later (`terminal.tap_to_frame`).
    """
    configure_logging("critical", process="bench")
    installation = Installation(folder)
    installation.prepare(move_ports=True)
    async with running_hall(installation, headless=True) as hall:
        screen = Onlooker(installation.runtime / SCREEN_SOCKET)
        looking = asyncio.create_task(screen.client.run())
        try:
            await screen.goes_to_card()
            times = [await _shown_ms(screen, hall.reader_control) for _ in range(CARDS)]
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
    peer = "the pause between two looks for a card"
    return [
        Figure("devices.card.shown.p50", percentile(times, 50), "ms", peer, POLL_MS, 1000.0),
        Figure("devices.card.shown.p95", percentile(times, 95), "ms", peer, POLL_MS, 1000.0),
    ]


class Onlooker:
    """Sees every view and taps, beside the real screen."""

    def __init__(self, socket: Path) -> None:
        self.client = BusClient(socket, on_snapshot=self._see, on_event=self._event)
        self.view: View | None = None
        self.seen_s = 0.0
        self._news = asyncio.Event()

    async def _event(self, _name: str, data: dict[str, Any]) -> None:
        await self._see(data)

    async def _see(self, data: dict[str, Any]) -> None:
        if "view" in data:
            self.view, self.seen_s = View.model_validate(data["view"]), time.perf_counter()
            self._news.set()

    async def tap(self, action: str, value: str = "") -> None:
        await self.client.request(TAP, ScreenTap(action=action, value=value), TapAnswer)

    async def shows(self, *screens: str) -> View:
        async with asyncio.timeout(SEE_S):
            while self.view is None or self.view.screen not in screens:
                self._news.clear()
                await self._news.wait()
        return self.view

    async def goes_to_card(self) -> None:
        async with asyncio.timeout(SEE_S):
            while len((await self.shows("home")).choices) < 2:
                self._news.clear()  # the catalogue is on its way
                await self._news.wait()
        home = await self.shows("home")
        await self.tap("choose", home.choices[1].value)
        while (view := await self.shows("question", "materials")).screen == "question":
            seq = view.seq
            await self.tap("choose", view.choices[0].value)
            while self.view is not None and self.view.seq == seq:
                self._news.clear()
                await self._news.wait()
        await self.tap("take_number")
        await self.shows("card")


async def _shown_ms(screen: Onlooker, control: Path) -> float:
    await order(control, "card.lay")
    began = time.perf_counter()
    await screen.shows("identity")
    took_ms = (screen.seen_s - began) * 1000
    await order(control, "card.lift")
    await screen.tap("back")
    await screen.shows("card")
    return took_ms


async def slip(folder: Path) -> list[Figure]:
    """From a slip that is ready to its last byte on the way to the printer."""
    configure_logging("critical", process="bench")
    receipts, control = folder / "receipts", folder / "control"
    options = ("--receipts", receipts, "--control", control, "--port", "0")
    async with simulator("drivers.sim.escpos", *options):
        port = (await order(control, "state"))["state"]["port"]
        async with Tap(port) as tap:
            transport = {"kind": "tcp", "host": "127.0.0.1", "port": tap.port}
            async with _driver("escpos", transport) as printer:
                await printer.probe()
                times = [await _slip_ms(printer, tap) for _ in range(SLIPS)]
                sent = bytes(tap.heard)
            peers = [await _bare_slip_ms(tap, sent) for _ in range(SLIPS)]
    ours, bare = percentile(times, 50), percentile(peers, 50)
    wire = f"what {len(sent)} bytes take at {BAUD} baud"
    wire_ms = len(sent) * BITS_PER_BYTE / BAUD * 1000
    peer = f"a bare socket, the same {len(sent)} bytes; it asks nothing and lays nothing out"
    return [
        Figure("devices.slip.sent.p50", ours, "ms", wire, wire_ms, limit=wire_ms),
        Figure("devices.slip.sent.bare.p50", ours, "ms", peer, bare),
    ]


async def probe(folder: Path) -> list[Figure]:
    """Processor time of one question how a device is."""
    configure_logging("critical", process="bench")
    figures = []
    for key, options, transport in (
        ("sdt", ("--link", folder / "sdt"), {"kind": "serial", "path": str(folder / "sdt")}),
        ("escpos", ("--port", "0", "--receipts", folder), {"kind": "tcp", "host": "127.0.0.1"}),
        ("onbon", ("--port", "0"), {"kind": "tcp", "host": "127.0.0.1"}),
        ("ipp", ("--folder", folder), {"kind": "ipp"}),
    ):
        control = folder / f"{key}.control"
        async with simulator(discover()[key].simulator, "--control", control, *options):
            if transport["kind"] != "serial":
                port = (await order(control, "state"))["state"]["port"]
                place = {"port": port}
                if transport["kind"] == "ipp":
                    place = {"uri": f"ipp://127.0.0.1:{port}/ipp/print"}
                transport = transport | place  # noqa: PLW2901
            async with _driver(key, transport) as driver:
                cost_us = await _cpu_us(driver.probe)
        figures.append(Figure(f"devices.probe.{key}.cpu", cost_us, "µs", limit=LIMIT_PROBE_US))
    return figures


MEASURES = {
    "devices.card": card,
    "devices.card.shown": card_shown,
    "devices.slip": slip,
    "devices.probe": probe,
}


@asynccontextmanager
async def _driver(key: str, transport: dict[str, Any]) -> AsyncIterator[Any]:
    entry: dict[str, Any] = {"id": "bench", "driver": key, "transport": transport}
    if key == "onbon":
        entry["width_px"] = 128
    ((spec, config),) = parse_peripherals([entry], discover(), file="bench")
    driver: Driver = spec.open(config, SystemClock())
    async with driver:
        yield driver


async def _card_ms(reader: Any, control: Path) -> float:
    await order(control, "card.lay")
    began = time.perf_counter()
    outcome = await reader.poll_card()
    took_ms = (time.perf_counter() - began) * 1000
    if not isinstance(outcome, CardRead):
        raise TypeError(f"no card: {outcome}")
    await order(control, "card.lift")
    await reader.poll_card()
    return took_ms


async def _bare_card_ms(link: Path, control: Path) -> float:
    await order(control, "card.lay")

    def read() -> float:
        with serial.Serial(str(link), BAUD, timeout=5) as port:
            began = time.perf_counter()
            for request, answered in READ_DIALOGUE:
                port.write(request)
                if len(port.read(answered)) != answered:
                    raise OSError("the reader is silent")
            return (time.perf_counter() - began) * 1000

    took_ms = await asyncio.to_thread(read)
    await order(control, "card.lift")
    return took_ms


async def _slip_ms(printer: Any, tap: Tap) -> float:
    tap.heard.clear()
    began = time.perf_counter()
    outcome = await printer.print_slip(SLIP, marked=False)
    if outcome.result is not PrintResult.COMPLETED:
        raise RuntimeError(f"not printed: {outcome}")
    return (tap.last_s - began) * 1000


async def _bare_slip_ms(tap: Tap, sent: bytes) -> float:
    tap.heard.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", tap.port)
    try:
        began = time.perf_counter()
        writer.write(sent)
        answered = b""
        # Process-ID response (docs/drivers/escpos.md).
        while b"\x37\x22" not in answered:
            answered += await reader.read(4096)
        return (tap.last_s - began) * 1000
    finally:
        writer.close()


class Tap:
    """A wire to a port of this computer that knows what passed, and when the last of it did."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self.heard = bytearray()
        self.last_s = 0.0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_raised: object) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, near: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        answering = asyncio.create_task(_pass_on(far, writer))
        while data := await near.read(4096):
            far_writer.write(data)
            self.heard += data
            self.last_s = time.perf_counter()
        answering.cancel()
        for line in (far_writer, writer):
            line.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)


async def _cpu_us(ask: Callable[[], Awaitable[object]]) -> float:
    for _ in range(PROBES // 10):
        await ask()
    began = time.process_time()
    for _ in range(PROBES):
        await ask()
        os.sched_yield()
    return (time.process_time() - began) / PROBES * 1e6
