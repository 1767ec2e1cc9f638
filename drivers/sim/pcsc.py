"""A chip card reader: the real pcscd with its virtual reader vpcd, and the card behind that.

    python -m drivers.sim.pcsc --control SOCKET

Prints `ready PATH`: the daemon's socket, for clients that have it as PCSCLITE_CSOCK_NAME. Debian's
pcscd knows one socket only, and vpcd listens on every address of the machine, so that all of this
lives in namespaces of its own (unshare): what the daemon takes for /run/pcscd is a folder of ours,
its network is one that nobody else has, and it finds no reader that is really plugged in. The
machine's own pcscd is not touched. SOCKET must not lie under /run, which is hidden.

Readers: `Hall Twin 00 00` and `Hall Twin 00 01`, slots 0 and 1. Orders on the control socket
(drivers/sim/control.py); those about cards are answered when the daemon has noticed:

    card.insert {kind: social_security | other, atr: HEX, files: {EF15: HEX}, slot: 0}
    card.remove {slot: 0}
    fault.set {fault: mute}                the next card inserted does not answer to power
    fault.set {fault, times: 1, ins: B0}   of answers; times 0: always; ins: to this command only
        drop             none, until the fault is cleared
        garble           each bit of it wrong
        cut {keep: 1}    only its first bytes
        slow {seconds}   late
        status {sw: 6F00}
        pull             none: the card is pulled out
        more             61 01 for ever
    fault.clear
    busy {how: exclusive | transaction}    another program has the card      free
    daemon.kill  daemon.start  daemon.freeze  daemon.thaw
    reader.unplug  reader.plug             the daemon starts anew without it, or with it
    reset                                  all of this undone, no card
    state
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.chip_card_reader import winscard
from drivers.chip_card_reader.winscard import Code, PcscError, State
from drivers.sim.control import control_socket

_PCSCD = Path("/usr/sbin/pcscd")
_DRIVERS = Path("/usr/lib/pcsc/drivers")
_VPCD = _DRIVERS / "serial" / "libifdvpcd.so"
_FIRST_PORT = 12000
_SLOTS = (0, 1)
_UP_LIMIT_S = 10.0
_NOTICE_LIMIT_S = 10.0
_FAULTS = {"mute", "drop", "garble", "cut", "slow", "status", "pull", "more"}

# Everything of the machine that the daemon must not see, or not share, hidden before it runs.
_INSIDE = """
mount -t tmpfs tmpfs /run && mkdir -m 755 /run/pcscd && mount --bind "$1" /run/pcscd &&
mount --bind "$1/drivers" "$2" && shift 2 && exec "$@"
"""

_POWER_OFF, _POWER_ON, _RESET, _ATR = b"\0", b"\1", b"\2", b"\4"
_TOO_LONG_AN_ATR = b"\x3b" * 40
"""For vpcd, no answer means no card; one that is too long makes power-up fail."""

_APPLICATION = "sx1.sh.社会保障".encode("gbk")
# T=0 with ten historical bytes, and T=1 with none; nobody's card.
_ATRS = {
    "social_security": bytes.fromhex("3B6800004E4F424F44592121"),
    "other": bytes.fromhex("3B800181"),
}


def _sw(word: int) -> bytes:
    return word.to_bytes(2, "big")


@dataclass
class Fault:
    name: str
    left: int | None
    """None: until it is cleared."""
    ins: int | None
    arguments: dict[str, Any]


@dataclass
class Card:
    """ISO 7816-4 as far as a reader of cards meets it. The layout of real ones is not known."""

    kind: str
    atr: bytes
    files: dict[int, bytes]
    mute: bool = False
    _chosen: bytes | None = None
    _waiting: bytes = b""

    def forget(self) -> None:
        """Without power a card knows nothing of what was said."""
        self._chosen, self._waiting = None, b""

    def answer(self, command: bytes) -> bytes:
        if len(command) < 4:
            return _sw(0x6700)
        cla, ins, p1, _ = command[:4]
        if cla != 0:
            return _sw(0x6E00)
        if ins == 0xC0:
            return self._get_response(command)
        self._waiting = b""
        if ins == 0xA4:
            return self._select(p1, command[5 : 5 + command[4]] if len(command) > 5 else b"")
        if ins == 0xB0:
            return self._read(command)
        # Records of a real card ask for keys first: security status not satisfied.
        return _sw(0x6982 if ins == 0xB2 else 0x6D00)

    def _select(self, p1: int, name: bytes) -> bytes:
        if p1 == 4:
            if self.kind != "social_security" or name != _APPLICATION:
                return _sw(0x6A82)
            self._waiting = b"\x6f" + bytes([len(name) + 2]) + b"\x84" + bytes([len(name)]) + name
            return bytes([0x61, len(self._waiting)])
        chosen = self.files.get(int.from_bytes(name, "big"))
        if chosen is None:
            return _sw(0x6A82)
        self._chosen = chosen
        return _sw(0x9000)

    def _read(self, command: bytes) -> bytes:
        if self._chosen is None:
            return _sw(0x6986)
        if len(command) != 5:
            return _sw(0x6700)
        if command[4] != len(self._chosen):
            return bytes([0x6C, len(self._chosen)])
        return self._chosen + _sw(0x9000)

    def _get_response(self, command: bytes) -> bytes:
        wanted = command[4] if len(command) == 5 else 0
        if not self._waiting:
            return _sw(0x6985)
        if wanted != len(self._waiting):
            return bytes([0x6C, len(self._waiting)])
        data, self._waiting = self._waiting, b""
        return data + _sw(0x9000)


@dataclass
class Slot:
    """One card and its line to vpcd."""

    number: int
    card: Card | None = None
    writer: asyncio.StreamWriter | None = None
    task: asyncio.Task[None] | None = None


@dataclass
class Machine:
    """pcscd, its readers and their cards."""

    folder: Path
    slots: tuple[Slot, ...] = field(default_factory=lambda: tuple(map(Slot, _SLOTS)))
    faults: list[Fault] = field(default_factory=list)
    cleared: asyncio.Event = field(default_factory=asyncio.Event)
    asked: Counter[str] = field(default_factory=Counter)
    daemon: asyncio.subprocess.Process | None = None
    frozen: bool = False
    plugged: bool = True
    _port: int = _FIRST_PORT
    _busy: int | None = None
    """The context of the other program."""
    _pcsc: winscard.Winscard | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "pcscd.comm"

    # ── The daemon ──

    async def start(self) -> None:
        """Start the daemon; `RuntimeError` where it does not come up."""
        if self.daemon is not None:
            return
        for left_over in ("pcscd.comm", "pcscd.pid"):
            (self.folder / left_over).unlink(missing_ok=True)
        self._write_reader_conf()
        self.daemon = await asyncio.create_subprocess_exec(
            _PCSCD,
            "--foreground",
            "--config",
            self.folder / "reader.conf",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(_UP_LIMIT_S):
            while not await self._is_up():
                if self.daemon.returncode is not None:
                    raise RuntimeError(f"pcscd ended: {self.daemon.returncode}")
                await asyncio.sleep(0.01)
        for slot in self.slots if self.plugged else ():
            if slot.card is not None:
                await self._connect(slot)

    async def kill(self) -> None:
        if self.daemon is None:
            return
        self._busy = None
        self.daemon.kill()
        await self.daemon.wait()
        self.daemon, self.frozen = None, False
        (self.folder / "pcscd.comm").unlink(missing_ok=True)
        for slot in self.slots:
            await self._disconnect(slot)

    def freeze(self, frozen: bool) -> None:
        if self.daemon is not None:
            self.daemon.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)
            self.frozen = frozen

    async def plug(self, plugged: bool) -> None:
        if plugged == self.plugged:
            return
        self.plugged = plugged
        # Debian's pcscd does not read its files again, whatever signal it is sent.
        await self.kill()
        await self.start()

    def _write_reader_conf(self) -> None:
        # Another pair of ports: those of a daemon that was killed are not free at once.
        self._port = self._port + 2 if self._port < 30000 else _FIRST_PORT
        lines = (
            'FRIENDLYNAME "Hall Twin"',
            f"DEVICENAME /dev/null:{self._port:#x}",
            f"LIBPATH {self.folder / _VPCD.name}",
            f"CHANNELID {self._port:#x}",
        )
        text = "\n".join(lines if self.plugged else ()) + "\n"
        (self.folder / "reader.conf").write_text(text, encoding="ascii")

    async def _is_up(self) -> bool:
        if not self.socket.exists():
            return False
        try:
            names = await asyncio.to_thread(self._readers)
        except PcscError:
            return False
        return len(names) == (len(_SLOTS) if self.plugged else 0)

    # ── The cards ──

    async def insert(self, order: dict[str, Any]) -> None:
        slot = self._slot(order)
        kind = str(order.get("kind", "social_security"))
        if kind not in _ATRS:
            raise ValueError(f"no such kind: {kind}")
        await self.remove(slot)
        files = {
            int(name, 16): bytes.fromhex(content)
            for name, content in dict(order.get("files", {})).items()
        }
        atr = bytes.fromhex(str(order.get("atr", ""))) or _ATRS[kind]
        slot.card = Card(kind, atr, files, mute=self._takes("mute", None) is not None)
        if self.daemon is not None and self.plugged:
            await self._connect(slot)

    async def remove(self, slot: Slot) -> None:
        slot.card = None
        await self._disconnect(slot)
        # Also where a fault has pulled it: one put in before that is noticed is the same card.
        if self.daemon is not None and self.plugged and not self.frozen:
            await self._noticed(slot, State.EMPTY)

    async def _connect(self, slot: Slot) -> None:
        reader, slot.writer = await asyncio.open_connection("127.0.0.1", self._port + slot.number)
        slot.task = asyncio.create_task(self._serve(slot, reader, slot.writer))
        if not self.frozen:
            await self._noticed(slot, State.PRESENT)

    async def _disconnect(self, slot: Slot) -> None:
        if slot.writer is not None:
            slot.writer.close()
        if slot.task is not None:
            slot.task.cancel()
            await asyncio.gather(slot.task, return_exceptions=True)
        slot.writer = slot.task = None

    async def _serve(
        self, slot: Slot, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """The wire of vpcd: two bytes of length, then a control byte or a command for the card."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            line = writer.get_extra_info("socket")
            while slot.card is not None:
                # Else vpcd's next message waits 40 ms for what acknowledges this one.
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                (length,) = struct.unpack(">H", await reader.readexactly(2))
                message = await reader.readexactly(length)
                if message in {_POWER_OFF, _POWER_ON, _RESET}:
                    slot.card.forget()
                    continue
                if message == _ATR:
                    answer: bytes | None = _TOO_LONG_AN_ATR if slot.card.mute else slot.card.atr
                else:
                    answer = await self._answer(slot.card, message)
                if answer is None:
                    slot.card = None
                    break
                writer.write(struct.pack(">H", len(answer)) + answer)
                await writer.drain()
        writer.close()

    async def _answer(self, card: Card, command: bytes) -> bytes | None:
        """What the card says, or what a fault makes of it; None: it is pulled out."""
        ins = command[1] if len(command) > 1 else None
        self.asked[f"{ins:02X}" if ins is not None else "short"] += 1
        answer = card.answer(command)
        fault = self._takes(None, ins)
        match fault.name if fault is not None else "":
            case "drop":
                await self.cleared.wait()
            case "garble":
                return bytes(byte ^ 0xFF for byte in answer)
            case "cut" if fault is not None:
                return answer[: int(fault.arguments.get("keep", 1))]
            case "slow" if fault is not None:
                await asyncio.sleep(float(fault.arguments.get("seconds", 1)))
            case "status" if fault is not None:
                return bytes.fromhex(str(fault.arguments["sw"]))
            case "pull":
                return None
            case "more":
                return _sw(0x6101)
            case _:
                pass
        return answer

    # ── Faults ──

    def set_fault(self, order: dict[str, Any]) -> None:
        name = str(order.get("fault"))
        if name not in _FAULTS:
            raise ValueError(f"no such fault: {name}")
        ins = int(str(order["ins"]), 16) if "ins" in order else None
        arguments = {key: order[key] for key in order.keys() - {"do", "fault", "times", "ins"}}
        if name == "status" and len(bytes.fromhex(str(arguments.get("sw")))) != 2:
            raise ValueError("sw is two bytes")
        self.cleared.clear()
        self.faults.append(Fault(name, int(order.get("times", 1)) or None, ins, arguments))

    def clear_faults(self) -> None:
        self.faults.clear()
        self.cleared.set()

    def _takes(self, name: str | None, ins: int | None) -> Fault | None:
        """The next fault that is due, counted: `mute` by name, any other for a command."""
        for fault in self.faults:
            if (fault.name == "mute") != (name == "mute") or fault.ins not in {None, ins}:
                continue
            if fault.left is not None:
                fault.left -= 1
                if not fault.left:
                    self.faults.remove(fault)
            return fault
        return None

    # ── Another program ──

    async def busy(self, how: str) -> None:
        if how not in {"exclusive", "transaction"}:
            raise ValueError(f"not exclusive or transaction: {how}")
        self._busy = await asyncio.to_thread(self._hold, how)

    async def free(self) -> None:
        if self._busy is not None:
            await asyncio.to_thread(self._api.release, self._busy)
            self._busy = None

    @property
    def _api(self) -> winscard.Winscard:
        if self._pcsc is None:
            os.environ["PCSCLITE_CSOCK_NAME"] = str(self.socket)
            self._pcsc = winscard.load()
        return self._pcsc

    def _readers(self) -> list[str]:
        context = self._api.establish()
        try:
            return self._api.list_readers(context)
        finally:
            self._api.release(context)

    def _hold(self, how: str) -> int:
        context = self._api.establish()
        card, _ = self._api.connect(context, _reader(0), exclusive=how == "exclusive")
        if how == "transaction":
            self._api.begin(card)
        return context

    async def _noticed(self, slot: Slot, flag: State) -> None:
        await asyncio.to_thread(self._wait_for, _reader(slot.number), flag)

    def _wait_for(self, reader: str, flag: State) -> None:
        """Until the daemon says so of a reader; it looks every 0.4 s."""
        context, known = self._api.establish(), int(State.UNAWARE)
        try:
            for _ in range(20):
                (state,) = self._api.status_change(
                    context, [(reader, known)], timeout_ms=int(_NOTICE_LIMIT_S * 1000)
                )
                if state.has(flag):
                    return
                known = state.known
        except PcscError as error:
            if error.code != Code.TIMEOUT:
                raise
        finally:
            self._api.release(context)
        raise ValueError(f"pcscd does not notice: {flag.name}")

    def _slot(self, order: dict[str, Any]) -> Slot:
        number = int(order.get("slot", 0))
        if number not in _SLOTS:
            raise ValueError(f"no such slot: {number}")
        return self.slots[number]

    async def reset(self) -> None:
        """A new daemon: quicker than the old one notices that its cards are gone."""
        self.clear_faults()
        self.asked.clear()
        self.plugged = True
        for slot in self.slots:
            slot.card = None
        await self.kill()
        await self.start()

    async def order(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry out an order of the control socket."""
        match do:
            case "card.insert":
                await self.insert(order)
            case "card.remove":
                await self.remove(self._slot(order))
            case "fault.set":
                self.set_fault(order)
            case "fault.clear":
                self.clear_faults()
            case "busy":
                await self.busy(str(order.get("how", "exclusive")))
            case "reader.unplug" | "reader.plug":
                await self.plug(plugged=do == "reader.plug")
            case "daemon.freeze" | "daemon.thaw":
                self.freeze(frozen=do == "daemon.freeze")
            case "state":
                return {"state": self._state()}
            case _:
                simple = {
                    "free": self.free,
                    "daemon.kill": self.kill,
                    "daemon.start": self.start,
                    "reset": self.reset,
                }
                await simple[do]()
        return None

    def _state(self) -> dict[str, Any]:
        return {
            "socket": str(self.socket),
            "daemon": "frozen" if self.frozen else "up" if self.daemon is not None else "down",
            "plugged": self.plugged,
            "cards": [slot.card.kind if slot.card is not None else None for slot in self.slots],
            "asked": dict(self.asked),
        }


def _reader(slot: int) -> str:
    return f"Hall Twin 00 {slot:02X}"


def _loopback_up() -> None:
    """A new network has a loopback that is down."""
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        _, flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, get_flags, request))
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sH14x", b"lo", flags | up))


async def run(arguments: argparse.Namespace) -> None:
    """Simulate until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    _loopback_up()
    machine = Machine(arguments.inside)
    try:
        await machine.start()
        async with control_socket(arguments.control, machine.order):
            print("ready", machine.socket, flush=True)  # noqa: T201 - whoever started us waits
            await ended.wait()
    finally:
        await machine.kill()
        shutil.rmtree(arguments.inside, ignore_errors=True)


def _go_inside(control: Path) -> None:
    """Start anew in namespaces of our own, as the same process."""
    for needed in (_PCSCD, _VPCD):
        if not needed.exists():
            raise SystemExit(f"{needed} is missing: install Debian's pcscd and vsmartcard-vpcd")
    if control.absolute().is_relative_to("/run"):
        raise SystemExit("--control: /run is hidden from the twin, take another folder")
    folder = Path(tempfile.mkdtemp(prefix="hall-pcsc-"))
    (folder / "drivers").mkdir()
    shutil.copy(_VPCD, folder)
    again = [sys.executable, "-P", "-m", "drivers.sim.pcsc"]
    again += ["--control", str(control.absolute()), "--inside", str(folder)]
    inside = ["sh", "-c", _INSIDE, "sh", str(folder), str(_DRIVERS), *again]
    os.execvp("unshare", ["unshare", "--map-root-user", "--mount", "--net", *inside])  # noqa: S606


def main() -> None:
    parser = argparse.ArgumentParser(prog="drivers.sim.pcsc")
    parser.add_argument("--control", type=Path, required=True, help="socket that takes orders")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside is None:
        _go_inside(arguments.control)
    asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
