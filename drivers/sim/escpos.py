"""An ESC/POS ticket printer as a process, for tests, rehearsals and the demo.

    python -m drivers.sim.escpos --port 0 --receipts DIR --control SOCKET
    python -m drivers.sim.escpos --link PATH --receipts DIR --control SOCKET      on a pty

Prints `ready PORT` when it listens. Every slip that is cut becomes `slip-0001.png` and
`slip-0001.txt` in DIR; what is torn off with an empty roll becomes `torn-0001.*`. Orders on the
control socket (drivers/sim/control.py):

    state
    paper.set {lines} · paper.refill
    fault.set {fault, after_lines?, times?, seconds?} · fault.clear
    hold {after_lines?} · release
    disconnect · power.cut · power.on
    wait {what: "slips" | "held" | "buffer" | "connections" | "cleared", count?}
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import tty
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, get_args

from drivers.sim.control import control_socket
from drivers.sim.escpos_machine import STATE_FAULTS, Dialect, Machine

_PIECE_BYTES = 1024
WIRE_FAULTS = frozenset({"silent", "drop", "garble", "delay", "busy"})
"""Faults between printer and host; `times` ends them after so many answers or connections."""

_FOREVER = -1


class PrinterSimulator:
    """A machine on a TCP port. Its buffer and its faults outlive connections."""

    def __init__(
        self,
        receipts: Path,
        *,
        host: str,
        port: int,
        dots: int,
        dialect: Dialect,
        link: Path | None = None,
    ) -> None:
        self._machine = Machine(
            receipts,
            answer=self._answer,
            changed=self._notify,
            fault_due=self._wire_fault_now,
            dots=dots,
            dialect=dialect,
        )
        self._address = (host, port)
        self._serial = SerialWire(link, self._hear, self._use) if link else None
        self._server: asyncio.Server | None = None
        self._held_port: socket.socket | None = None
        self._links: dict[asyncio.StreamWriter, asyncio.Queue[tuple[float, bytes]]] = {}
        self._wire_faults: dict[str, int] = {}
        self._pending_times: dict[str, int] = {}
        self._delay_s = 0.0
        self._change = asyncio.Event()
        machine = self._machine
        self._orders: dict[str, Callable[[dict[str, Any]], Awaitable[None] | None]] = {
            "paper.set": lambda order: machine.set_paper(_count(order, "lines")),
            "paper.refill": lambda _: machine.refill(),
            "fault.set": self._set_fault,
            "fault.clear": self._clear_faults,
            "hold": lambda order: machine.set_fault("hold", _count(order, "after_lines", 0)),
            "release": lambda _: machine.release(),
            "disconnect": lambda _: self._disconnect(),
            "power.cut": lambda _: self.power_cut(),
            "power.on": lambda _: self.power_on(),
        }

    @property
    def port(self) -> int:
        return self._address[1]

    async def power_on(self) -> None:
        """Listen; the same port again after a power cut."""
        if self._serial is not None:
            self._serial.plug()
            self._machine.work()
            return
        if self._server is not None:
            return
        if self._held_port is None:
            self._hold_port()
        self._server = await asyncio.start_server(self._serve, sock=self._held_port)
        self._held_port = None
        self._machine.work()

    async def power_cut(self) -> None:
        """Drop everything: connections, the buffer, what was set."""
        if self._serial is not None and self._serial.plugged:
            self._serial.unplug()
            self._machine.power_off()
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self._machine.power_off()
            self._disconnect()
            # Bound and not listening: connections are refused, and the port stays ours.
            self._hold_port()

    async def close(self) -> None:
        await self.power_cut()
        if self._held_port is not None:
            self._held_port.close()

    async def handle(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Orders of the control socket."""
        if do == "state":
            return {"state": self._state()}
        if do == "wait":
            await self._wait(str(order["what"]), _count(order, "count", 1))
            return None
        done = self._orders[do](order)
        if done is not None:
            await done
        return None

    def _state(self) -> dict[str, Any]:
        machine = self._machine
        return {
            "port": self.port,
            "power": self._server is not None or bool(self._serial and self._serial.plugged),
            "online": machine.online,
            "paper_lines": machine.paper_lines,
            "lines_printed": machine.lines_printed,
            "slips": machine.slips,
            "torn": machine.torn,
            "buffer": len(machine.buffer),
            "held": machine.held,
            "cleared": machine.cleared,
            "connections": len(self._links),
            "faults": sorted(machine.faults | self._wire_faults.keys()),
            "unknown_commands": machine.unknown_commands,
        }

    async def _wait(self, what: str, count: int) -> None:
        if what not in ("slips", "torn", "held", "buffer", "connections", "cleared"):
            raise ValueError(f"cannot wait for {what!r}")
        while int(self._state()[what]) < count:
            self._change.clear()
            await self._change.wait()

    def _set_fault(self, order: dict[str, Any]) -> None:
        fault = str(order["fault"])
        if fault not in STATE_FAULTS | WIRE_FAULTS:
            raise ValueError(f"unknown fault {fault!r}")
        if fault in WIRE_FAULTS:
            self._pending_times[fault] = _count(order, "times", _FOREVER)
        if fault == "delay":
            self._delay_s = float(order.get("seconds", 1.0))
        self._machine.set_fault(fault, _count(order, "after_lines", 0))

    def _clear_faults(self, _order: dict[str, Any]) -> None:
        self._wire_faults.clear()
        self._machine.clear_faults()

    def _wire_fault_now(self, fault: str) -> None:
        times = self._pending_times.pop(fault, _FOREVER)
        if fault == "drop" and self._links:
            self._disconnect()
            times = max(times - 1, _FOREVER)
        if times:
            self._wire_faults[fault] = times
        self._notify()

    def _use(self, fault: str) -> bool:
        """True if the fault holds; one of its times is used up."""
        left = self._wire_faults.get(fault, 0)
        if left > 0:
            self._wire_faults[fault] = left - 1
            if left == 1:
                del self._wire_faults[fault]
        return left != 0

    def _answer(self, data: bytes) -> None:
        """To the newest connection, as a printer does with answers to a host that left."""
        serial = self._serial
        if not (self._links or serial) or self._use("silent"):
            return
        if self._use("garble"):
            data = bytes(byte ^ 0xFF for byte in data)
        delay_s = self._delay_s if self._use("delay") else 0.0
        if serial is not None:
            asyncio.get_running_loop().call_later(delay_s, serial.send, data)
            return
        *_, queue = self._links.values()
        queue.put_nowait((delay_s, data))

    def _hear(self, data: bytes) -> None:
        if not self._use("drop"):
            self._machine.receive(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._use("busy"):
            writer.close()
            return
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._links[writer] = queue
        self._notify()
        sender = asyncio.create_task(_send(queue, writer), name="answers")
        try:
            while data := await reader.read(4096):
                if self._use("drop"):
                    break
                self._machine.receive(data)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._links.pop(writer, None)
            sender.cancel()
            writer.close()
            self._notify()

    def _disconnect(self) -> None:
        if self._serial is not None and self._serial.plugged:
            self._serial.unplug()
            self._serial.plug()
        for writer in self._links:
            writer.transport.abort()
        self._links.clear()
        self._notify()

    def _hold_port(self) -> None:
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(self._address)
        self._address = held.getsockname()[:2]
        self._held_port = held

    def _notify(self) -> None:
        self._change.set()


class SerialWire:
    """The printer's port as a pty; `link` is a symbolic link to it while it is plugged in."""

    def __init__(
        self, link: Path, hear: Callable[[bytes], None], uses: Callable[[str], bool]
    ) -> None:
        self._link = link
        self._hear = hear
        self._uses = uses
        self._ends: tuple[int, int] | None = None

    @property
    def plugged(self) -> bool:
        return self._ends is not None

    def plug(self) -> None:
        if self._ends is not None:
            return
        # Our own end of the slave keeps the master readable while nobody has the port open.
        master, slave = self._ends = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        if self._uses("busy"):
            fcntl.flock(slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fresh = self._link.with_name(f".{self._link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(slave))
        fresh.replace(self._link)
        asyncio.get_running_loop().add_reader(master, self._ready, master)

    def unplug(self) -> None:
        ends, self._ends = self._ends, None
        if ends is not None:
            asyncio.get_running_loop().remove_reader(ends[0])
            self._link.unlink(missing_ok=True)
            for end in reversed(ends):
                os.close(end)

    def send(self, data: bytes) -> None:
        """What nobody takes is lost, as on a UART."""
        if self._ends is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._ends[0], data)

    def _ready(self, master: int) -> None:
        with contextlib.suppress(OSError):
            self._hear(os.read(master, _PIECE_BYTES))


async def _send(queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    while True:
        delay_s, data = await queue.get()
        if delay_s:
            await asyncio.sleep(delay_s)
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await writer.drain()


def _count(order: dict[str, Any], key: str, default: int | None = None) -> int:
    value = order.get(key, default)
    if not isinstance(value, int):
        raise ValueError(f"{key}: a whole number is needed")  # noqa: TRY004 - what orders promise
    return value


async def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    printer = PrinterSimulator(
        arguments.receipts,
        host=arguments.host,
        port=arguments.port,
        dots=arguments.dots,
        dialect=arguments.dialect,
        link=arguments.link,
    )
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with control_socket(arguments.control, printer.handle):
        await printer.power_on()
        print(f"ready {printer.port}", flush=True)  # noqa: T201 - whoever started us waits
        await ended.wait()
        await printer.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="drivers.sim.escpos")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--link", type=Path, help="a symbolic link to a pty, instead of TCP")
    parser.add_argument("--receipts", type=Path, required=True)
    parser.add_argument("--control", type=Path, required=True)
    parser.add_argument("--dots", type=int, choices=(576, 384), default=576)
    parser.add_argument("--dialect", choices=get_args(Dialect), default="generic")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
