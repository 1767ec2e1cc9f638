"""The demo hall: broker, business node, operations centre, and one terminal with its peripherals.

Everything is the real program; only the peripherals behind their wires are emulated.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from launcher.commands.sim import SOCKETS
from launcher.display import VirtualPanel, start_panel
from launcher.installation import TERMINAL, Installation
from launcher.processes import ProcessTable, Program
from launcher.staff import make_demo_accounts

SITE_FILES = ("site.toml",)
AFFAIRS_FILES = (*SITE_FILES, "affairs.toml")
MOSQUITTO = "/usr/sbin/mosquitto"
"""Debian's place, which is not in every user's PATH."""
DESKTOP_WINDOW = ("--width", "540", "--height", "960", "--px-per-mm", "1.6")
"""The terminal's panel at half size, so that it fits on a desk's screen."""
TERMINAL_FILES = ("site.toml", f"devices/{TERMINAL}.toml")


class Hall:
    """A running hall."""

    def __init__(
        self, installation: Installation, table: ProcessTable, panel: VirtualPanel | None
    ) -> None:
        self.installation = installation
        self.table = table
        self.panel = panel

    @property
    def reader_control(self) -> Path:
        return self.installation.runtime / SOCKETS["reader"]

    @property
    def printer_control(self) -> Path:
        return self.installation.runtime / SOCKETS["printer"]

    def working_pid(self, name: str) -> int:
        """The process that a keeper let work last, from its last line.

        `kiosk` and `screen` are keepers; `agent` keeps the card reader's process.
        """
        said = [line.split() for line in self.table[name].lines]
        return int(next(line[-1] for line in reversed(said) if "working" in line[:2]))


@asynccontextmanager
async def running_hall(installation: Installation, *, headless: bool) -> AsyncIterator[Hall]:
    """Start everything in order; leaving the block stops it in the reverse order."""
    table = ProcessTable(installation.logs)
    async with table.group():
        with_display = not headless and bool(
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        )
        panel = None if with_display else await start_panel(table, installation.runtime)
        await make_demo_accounts(installation.state("affairs"), windows=None)
        for program in programs(installation, panel):
            await table.start(program)
        await table["screen"].wait_for("interactive", count=1)
        yield Hall(installation, table, panel)


def programs(installation: Installation, panel: VirtualPanel | None) -> Sequence[Program]:
    """The process table."""
    screen_options = ("--fullscreen",) if panel is not None else DESKTOP_WINDOW
    terminal = installation.environment(TERMINAL, files=TERMINAL_FILES)
    printer = installation.endpoints["ticket-printer"]
    return (
        Program(
            name="broker",
            command=(MOSQUITTO, "-c", str(installation.broker_conf)),
            environment=os.environ,
            is_up=lambda: _answers(installation.endpoints["broker"].port),
        ),
        Program(
            name="affairs",
            command=_module("affairs.app"),
            environment=installation.environment("affairs", files=AFFAIRS_FILES),
        ),
        Program(
            name="ops",
            command=_module("ops.app"),
            environment=installation.environment("ops", files=SITE_FILES),
        ),
        Program(
            name="sim-id-card-reader",
            command=(
                *_module("drivers.sim.sdt"),
                *("--link", str(installation.runtime / "id-card-reader.tty")),
                *("--control", str(installation.runtime / SOCKETS["reader"])),
            ),
            environment=terminal,
        ),
        Program(
            name="sim-ticket-printer",
            command=(
                *_module("drivers.sim.escpos"),
                *("--port", str(printer.port)),
                *("--receipts", str(installation.receipts)),
                *("--control", str(installation.runtime / SOCKETS["printer"])),
            ),
            environment=terminal,
        ),
        Program(name="agent", command=_module("edge_agent.app"), environment=terminal),
        Program(name="kiosk", command=_module("kiosk.keep", "service"), environment=terminal),
        Program(
            name="screen",
            command=_module("kiosk.keep", "screen", *screen_options),
            environment={**terminal, **(panel.environment if panel is not None else {})},
        ),
    )


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", name, *arguments)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
