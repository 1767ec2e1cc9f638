"""A UPS: NUT's own server upsd with its driver dummy-ups, behind a wire with faults.

    python -m drivers.sim.nut --control SOCKET [--ups NAME] [--port PORT]

Prints `ready PORT`. Orders on the control socket (drivers/sim/control.py):

    power {status: "OB LB", charge: 12, runtime: 60, load: 35}    what the UPS says of itself
    power.lost  power.low  power.back                             the usual three
    cable.pull  cable.plug         between UPS and upsd: dummy-ups ends, and starts anew
    unplug  plug                   upsd itself
    fault.set {fault, times, seconds}    fault.clear               drivers/sim/tcp_faults.py
    state
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pwd
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from drivers.sim.control import control_socket
from drivers.sim.tcp_faults import FaultyWire

_PROGRAMS = Path("/lib/nut")
_UP_LIMIT_S = 10.0
_ATTEMPTS = 5
_VARIABLES = {
    "status": "ups.status",
    "charge": "battery.charge",
    "runtime": "battery.runtime",
    "load": "ups.load",
}
_NORMAL = {"status": "OL", "charge": "98", "runtime": "1800", "load": "35"}
_LOST = {"status": "OB DISCHRG", "charge": "80", "runtime": "900"}
_LOW = {"status": "OB DISCHRG LB", "charge": "9", "runtime": "60"}


class Twin:
    """upsd, dummy-ups and the wire before them."""

    def __init__(self, folder: Path, ups: str) -> None:
        self._folder = folder
        self._ups = ups
        self._password = secrets.token_hex(16)
        self._server_port = 0
        self._driver: asyncio.subprocess.Process | None = None
        self._server: asyncio.subprocess.Process | None = None
        self._power = dict(_NORMAL)

    async def start(self) -> int:
        """Start both; upsd's port. `RuntimeError` where they do not come up."""
        for name in ("upsd", "dummy-ups"):
            if not (_PROGRAMS / name).exists():
                raise RuntimeError(f"{_PROGRAMS / name} is missing: install Debian's nut-server")
        for _ in range(_ATTEMPTS):
            self._server_port = _free_port()
            self._write_files()
            await self.plug_cable()
            self._server = await self._run("upsd")
            if await self._answers():
                return self._server_port
            await self.stop()
        raise RuntimeError("upsd does not come up")

    async def stop(self) -> None:
        for process in (self._server, self._driver):
            if process is not None and process.returncode is None:
                process.terminate()
                await process.wait()
        self._server = self._driver = None

    async def plug_cable(self) -> None:
        """dummy-ups begins with what its file says."""
        if self._driver is not None and self._driver.returncode is None:
            return
        self._write_power()
        self._driver = await self._run("dummy-ups", "-a", self._ups)
        # An upsd that does not find the driver's socket looks again after seconds only.
        socket_path = self._folder / f"dummy-ups-{self._ups}"
        async with asyncio.timeout(_UP_LIMIT_S):
            while not socket_path.exists() and self._driver.returncode is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def pull_cable(self) -> None:
        if self._driver is not None and self._driver.returncode is None:
            self._driver.kill()
            await self._driver.wait()

    async def set_power(self, power: dict[str, str]) -> None:
        """Through upsd, as a technician would: `SET VAR`."""
        self._power |= power
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        try:
            lines = ["USERNAME twin", f"PASSWORD {self._password}"]
            lines += [
                f'SET VAR {self._ups} {_VARIABLES[name]} "{value}"' for name, value in power.items()
            ]
            for line in lines:
                writer.write(f"{line}\n".encode("ascii"))
                answer = await reader.readline()
                if not answer.startswith(b"OK"):
                    raise ValueError(f"{line.split()[0]}: {answer.decode().strip()}")
            for name, value in power.items():
                await self._taken_over(reader, writer, _VARIABLES[name], value)
        finally:
            writer.close()

    async def _taken_over(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, value: str
    ) -> None:
        """`SET` is answered before dummy-ups has told upsd of the new value."""
        async with asyncio.timeout(_UP_LIMIT_S):
            while True:
                writer.write(f"GET VAR {self._ups} {name}\n".encode("ascii"))
                if (await reader.readline()).endswith(f'"{value}"\n'.encode("ascii")):
                    return
                await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        """Whether upsd has the first values of its UPS."""
        try:
            async with asyncio.timeout(_UP_LIMIT_S):
                while self._server is not None and self._server.returncode is None:
                    try:
                        reader, writer = await asyncio.open_connection(
                            "127.0.0.1", self._server_port
                        )
                    except OSError:
                        await asyncio.sleep(0.02)
                        continue
                    writer.write(f"GET VAR {self._ups} ups.status\n".encode("ascii"))
                    answer = await reader.readline()
                    writer.close()
                    # `WAIT` before dummy-ups has told it.
                    if answer.endswith(f'"{self._power["status"]}"\n'.encode("ascii")):
                        return True
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pass
        return False

    async def _run(self, program: str, *arguments: str) -> asyncio.subprocess.Process:
        user = pwd.getpwuid(os.geteuid()).pw_name
        return await asyncio.create_subprocess_exec(
            _PROGRAMS / program,
            "-F",
            *arguments,
            "-u",
            user,
            env=os.environ
            | {"NUT_CONFPATH": str(self._folder), "NUT_STATEPATH": str(self._folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    def _write_files(self) -> None:
        device = self._folder / "ups.dev"
        # MAXAGE: how soon upsd notices that dummy-ups is gone.
        files = {
            "ups.conf": f"[{self._ups}]\ndriver = dummy-ups\nport = {device}\npollinterval = 1\n",
            "upsd.conf": f"LISTEN 127.0.0.1 {self._server_port}\nMAXAGE 3\n",
            "upsd.users": f"[twin]\npassword = {self._password}\nactions = SET\n",
            "nut.conf": "MODE=netserver\n",
        }
        for name, text in files.items():
            path = self._folder / name
            path.write_text(text, encoding="ascii")
            path.chmod(0o600)

    def _write_power(self) -> None:
        lines = [f"{_VARIABLES[name]}: {value}" for name, value in self._power.items()]
        lines += ["ups.mfr: Hallkit", "ups.model: Twin 1000", "ups.serial: 0007"]
        (self._folder / "ups.dev").write_text("\n".join(lines) + "\n", encoding="ascii")


class Orders:
    """What the control socket asks of them."""

    def __init__(self, twin: Twin, wire: FaultyWire) -> None:
        self._twin = twin
        self._wire = wire
        self._simple: dict[str, Callable[[], Awaitable[None]]] = {
            "power.lost": partial(twin.set_power, _LOST),
            "power.low": partial(twin.set_power, _LOW),
            "power.back": partial(twin.set_power, _NORMAL),
            "cable.pull": twin.pull_cable,
            "cable.plug": twin.plug_cable,
            "unplug": wire.unplug,
            "plug": wire.plug,
        }

    async def order(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry out an order of the control socket."""
        twin, wire = self._twin, self._wire
        match do:
            case "power":
                await twin.set_power(
                    {name: str(order[name]) for name in _VARIABLES if name in order}
                )
            case "fault.set":
                wire.set_fault(order)
            case "fault.clear":
                wire.clear_fault()
            case "state":
                return {
                    "state": {"port": wire.port, "plugged": wire.plugged, "connections": wire.met}
                }
            case _:
                await self._simple[do]()
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def _twin(ups: str) -> AsyncIterator[tuple[Twin, int]]:
    folder = Path(tempfile.mkdtemp(prefix="hall-nut-"))
    twin = Twin(folder, ups)
    try:
        yield twin, await twin.start()
    finally:
        await twin.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def run(arguments: argparse.Namespace) -> None:
    """Simulate until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with _twin(arguments.ups) as (twin, server_port):
        wire = FaultyWire(server_port)
        wire.port = arguments.port
        await wire.plug()
        try:
            async with control_socket(arguments.control, Orders(twin, wire).order):
                print("ready", wire.port, flush=True)  # noqa: T201 - whoever started us waits
                await ended.wait()
        finally:
            await wire.unplug()


def main() -> None:
    parser = argparse.ArgumentParser(prog="drivers.sim.nut")
    parser.add_argument("--control", type=Path, required=True, help="socket that takes orders")
    parser.add_argument("--ups", default="hallups", help="its name in upsd")
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; 0: any")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
