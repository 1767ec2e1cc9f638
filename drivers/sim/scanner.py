"""A code scanner on a pty: sends what is held before it, misbehaves when told to.

    python -m drivers.sim.scanner --link PATH --control SOCKET [--prefix HEX] [--suffix HEX]

`--link` becomes a symbolic link to the port. Orders on the control socket (drivers/sim/control.py):

    scan {text | hex, charset: "utf-8"}    sends one code, in pieces as a UART delivers
    fault.set {fault, times: 1 (0: until cleared), seconds: 1}    fault.clear
    unplug   plug   state

Faults, each of a scan: `drop` nothing is sent · `cut` the end is lost · `garble` bits are turned
over · `noise` junk before it · `double` sent twice · `delay` {seconds} between its halves · `flood`
{bytes} without end · `busy` another program holds the port until cleared.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from drivers.sim.control import control_socket
from drivers.sim.pty_port import PtyPort

_PIECE_BYTES = 16
_NOISE = bytes.fromhex("FF00FE11")
_FAULTS = frozenset({"drop", "cut", "garble", "noise", "double", "delay", "flood", "busy"})


class Simulator:
    """Scanner, wire and faults."""

    def __init__(self, link: Path, prefix: bytes, suffix: bytes) -> None:
        self.port = PtyPort(link)
        self._prefix, self._suffix = prefix, suffix
        self._fault: dict[str, Any] = {}
        self._scans = 0

    async def order(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry out an order of the control socket."""
        match do:
            case "scan":
                await self._scan(_bytes_of(order))
            case "fault.set":
                self._set_fault(order)
            case "fault.clear":
                if self._fault.get("fault") == "busy":
                    self.port.release()
                self._fault = {}
            case "unplug":
                self.port.unplug()
            case "plug":
                self.port.plug()
            case "state":
                return {"state": {"plugged": self.port.near is not None, "scans": self._scans}}
            case _:
                raise KeyError(do)
        return None

    def _set_fault(self, order: dict[str, Any]) -> None:
        if order.get("fault") not in _FAULTS:
            raise ValueError(f"no such fault: {order.get('fault')}")
        self._fault = {"times": 1, "seconds": 1.0, "bytes": 100_000, **order}
        if order["fault"] == "busy":
            self.port.unplug()
            self.port.plug(held_by_another=True)

    def _next_fault(self) -> str:
        fault = str(self._fault.get("fault", ""))
        if fault and fault != "busy" and self._fault["times"]:
            self._fault["times"] -= 1
            if not self._fault["times"]:
                self._fault = {**self._fault, "fault": ""}
        return fault

    async def _scan(self, code: bytes) -> None:
        self._scans += 1
        whole = self._prefix + code + self._suffix
        match self._next_fault():
            case "drop":
                return
            case "cut":
                await self._send(whole[: max(1, len(whole) // 2)])
            case "garble":
                turned = bytes(byte ^ 0x80 for byte in code)
                await self._send(self._prefix + turned + self._suffix)
            case "noise":
                await self._send(_NOISE + self._suffix + whole)
            case "double":
                await self._send(whole + whole)
            case "delay":
                half = len(whole) // 2
                await self._send(whole[:half])
                await asyncio.sleep(float(self._fault["seconds"]))
                await self._send(whole[half:])
            case "flood":
                await self._send(b"7" * int(self._fault["bytes"]))
            case _:
                await self._send(whole)

    async def _send(self, data: bytes) -> None:
        """In pieces; one that nobody takes waits no longer than a scanner would."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(data), _PIECE_BYTES):
            if (near := self.port.near) is None:
                return
            piece = data[start : start + _PIECE_BYTES]
            await loop.run_in_executor(None, os.write, near, piece)


def _bytes_of(order: dict[str, Any]) -> bytes:
    if "hex" in order:
        return bytes.fromhex(str(order["hex"]))
    return str(order["text"]).encode(str(order.get("charset", "utf-8")))


async def run(arguments: argparse.Namespace) -> None:
    """Simulate until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    simulator = Simulator(arguments.link, arguments.prefix, arguments.suffix)
    simulator.port.plug()
    try:
        async with control_socket(arguments.control, simulator.order):
            print("ready", flush=True)  # noqa: T201 - the sign that whoever started us waits for
            await ended.wait()
    finally:
        simulator.port.unplug()


def main() -> None:
    parser = argparse.ArgumentParser(prog="drivers.sim.scanner")
    parser.add_argument("--link", type=Path, required=True, help="symbolic link to the port")
    parser.add_argument("--control", type=Path, required=True, help="socket that takes orders")
    parser.add_argument("--prefix", type=bytes.fromhex, default=b"")
    parser.add_argument("--suffix", type=bytes.fromhex, default=b"\r")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
