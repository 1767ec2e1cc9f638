"""Driver `serial_scanner`: code scanners on a serial port (docs/drivers/serial_scanner.md).

Such a scanner is not asked: it sends the text of a code, between a prefix and a suffix that are set
in it. Whether it still lives only its port tells, so a probe opens the port and looks whether it is
there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator

from drivers.driver import Driver
from drivers.registry import DriverSpec, PeripheralConfig
from drivers.transport.serial import SerialPort, SerialTransport
from drivers.transport.transport import Transport
from hallkit.errors import DeviceError, DeviceTimeout
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.scanning import LONGEST, ScannedCode
from hallkit.runtime.clock import Clock

KEY = "serial_scanner"
_LONGEST_BYTES = 4 * LONGEST
_LISTEN_S = 3600.0
"""A read without bytes ends then and begins anew; nobody notices."""


class SerialScannerConfig(PeripheralConfig):
    """`[[peripherals]]` entry of a scanner on a serial port or a USB virtual one."""

    driver: Literal["serial_scanner"]
    transport: SerialPort
    prefix: Annotated[str, Field(max_length=16)] = ""
    suffix: Annotated[str, Field(min_length=1, max_length=16)] = "\r"
    """What ends a code: as set in the scanner. `\\n` behind it is passed over."""
    gap_s: Annotated[float, Field(gt=0, le=10)] = 0.3
    """A code whose rest does not come within this time was cut."""
    open_timeout_s: Annotated[float, Field(gt=0, le=30)] = 1.0

    @field_validator("prefix", "suffix")
    @classmethod
    def _is_ascii(cls, text: str) -> str:
        if not text.isascii():
            raise ValueError("ASCII characters only")
        return text


class SerialScanner(Driver):
    """A scanner. One waits for codes; a probe never takes any from them."""

    def __init__(
        self, config: SerialScannerConfig, clock: Clock, *, transport: Transport | None = None
    ) -> None:
        super().__init__(config.id, port="code_scanner", key=KEY, clock=clock)
        self._config = config
        self._wire = transport or SerialTransport(config.id, config.transport)
        self._prefix, self._suffix = config.prefix.encode(), config.suffix.encode()
        self._waiting = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._held = bytearray()
        self._counts: Counter[str] = Counter()

    async def probe(self) -> DeviceReport:
        """Whether the port is there. While nobody waits, what was scanned is thrown away."""
        return await self._guard(self._look)

    async def next_code(self) -> ScannedCode:
        """See `hallkit.ports.code_scanner.CodeScanner.next_code`."""
        async with self._waiting:
            try:
                await self._open()
                await self._wire.drain_input()
                self._held.clear()
                return await self._listen()
            except DeviceError as fault:
                await self._drop()
                self._fault(fault)
                raise

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start; never what was scanned."""
        names = ("codes", "damaged_codes", "cut_codes", "unasked_bytes", "connections")
        return {
            "wire": f"serial:{self._config.transport.path}@{self._config.transport.baud}",
            **{name: self._counts[name] for name in names},
        }

    async def _look(self) -> DeviceReport:
        await self._open()
        if not self._waiting.locked():
            # It also finds a port that is gone.
            self._counts["unasked_bytes"] += await self._wire.drain_input()
        return self._works()

    async def _open(self) -> None:
        async with self._opening:
            if self._wire.is_open:
                return
            await self._wire.open(timeout_s=self._config.open_timeout_s)
            self._counts["connections"] += 1
            self._works()

    async def _listen(self) -> ScannedCode:
        while True:
            if (code := self._next_whole()) is not None:
                self._counts["codes"] += 1
                return code
            timeout_s = self._config.gap_s if self._held else _LISTEN_S
            try:
                self._held += await self._wire.read(timeout_s=timeout_s)
            except DeviceTimeout:
                self._counts["cut_codes"] += bool(self._held)
                self._held.clear()

    def _next_whole(self) -> ScannedCode | None:
        """The first whole code of what was received; damaged ones are counted and passed over."""
        while True:
            raw, suffix, rest = bytes(self._held).lstrip(b"\n").partition(self._suffix)
            if not suffix:
                if len(raw) > _LONGEST_BYTES:
                    self._counts["damaged_codes"] += 1
                    self._held.clear()
                return None
            self._held[:] = rest
            code = self._code(raw)
            if code is not None:
                return code
            self._counts["damaged_codes"] += 1

    def _code(self, raw: bytes) -> ScannedCode | None:
        if not raw.startswith(self._prefix):
            return None
        text = _text(raw[len(self._prefix) :])
        return ScannedCode(text=text) if text and len(text) <= LONGEST else None

    def _works(self) -> DeviceReport:
        return self._update(status=DeviceStatus.ONLINE, reason=None, action=None)

    async def _drop(self) -> None:
        await self._wire.close()
        self._held.clear()


def _text(raw: bytes) -> str | None:
    """UTF-8, else GB 18030, as Chinese codes are made; None for neither or with control characters.

    GS (1D) stays: it parts the fields of GS1 codes.
    """
    for charset in ("utf-8", "gb18030"):
        try:
            text = raw.decode(charset)
        except UnicodeDecodeError:
            continue
        plain = text.replace("\x1d", "").replace("\t", "").replace("\n", "").replace("\r", "")
        return text if plain.isprintable() else None
    return None


SPEC = DriverSpec(
    key=KEY,
    port="code_scanner",
    config=SerialScannerConfig,
    open=SerialScanner,
    simulator="drivers.sim.scanner",
    quality="silver",
    rules={
        "contract": "done",
        "config": "done",
        "simulator": "done",
        "log_once": "done",
        "reconnect": "done",
        "timeouts": "done",
        "attention": "done",
        "diagnostics": "done",
        "hardware": "exempt: not yet run against a scanner; it sends what its twin sends",
        "guidance": "exempt: reasons have names; a technician's steps come with alarms",
    },
)
