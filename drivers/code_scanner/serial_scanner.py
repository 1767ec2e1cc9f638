"""Driver `serial_scanner`: code scanners on a serial port (docs/drivers/serial_scanner.md).

Such a scanner is not asked: it sends the text of a code, between a prefix and a suffix that are set
in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from drivers.code_scanner.code_text import ScannerConfig, code_of
from drivers.listener import Listener
from drivers.registry import DriverSpec
from drivers.transport.serial import SerialPort, SerialTransport
from drivers.transport.transport import Transport
from hallkit.model.scanning import LONGEST, ScannedCode
from hallkit.runtime.clock import Clock

KEY = "serial_scanner"
_LONGEST_BYTES = 4 * LONGEST


class SerialScannerConfig(ScannerConfig):
    """`[[peripherals]]` entry of a scanner on a serial port or a USB virtual one."""

    driver: Literal["serial_scanner"]
    transport: SerialPort
    gap_s: Annotated[float, Field(gt=0, le=10)] = 0.3
    """A code whose rest does not come within this time was cut."""


class SerialScanner(Listener[ScannedCode]):
    """A scanner on a serial port."""

    def __init__(
        self, config: SerialScannerConfig, clock: Clock, *, transport: Transport | None = None
    ) -> None:
        super().__init__(
            config.id,
            port="code_scanner",
            key=KEY,
            clock=clock,
            wire=transport or SerialTransport(config.id, config.transport),
            open_timeout_s=config.open_timeout_s,
            gap_s=config.gap_s,
        )
        self._config = config
        self._prefix, self._suffix = config.prefix.encode(), config.suffix.encode()

    async def next_code(self) -> ScannedCode:
        """See `hallkit.ports.code_scanner.CodeScanner.next_code`."""
        return await self._next()

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start; never what was scanned."""
        names = ("codes", "damaged", "cut", "unasked_bytes", "connections")
        return {
            "wire": str(self._config.transport),
            **{name: self._counts[name] for name in names},
        }

    def _take(self) -> ScannedCode | None:
        """The first whole code; damaged ones are counted and passed over."""
        while True:
            raw, suffix, rest = bytes(self._held).lstrip(b"\n").partition(self._suffix)
            if not suffix:
                if len(raw) > _LONGEST_BYTES:
                    self._counts["damaged"] += 1
                    self._held.clear()
                return None
            self._held[:] = rest
            if (code := self._code(raw)) is not None:
                self._counts["codes"] += 1
                return code
            self._counts["damaged"] += 1

    def _code(self, raw: bytes) -> ScannedCode | None:
        if not raw.startswith(self._prefix):
            return None
        text = _text(raw[len(self._prefix) :])
        return code_of(text) if text is not None else None


def _text(raw: bytes) -> str | None:
    """UTF-8, else GB 18030, as Chinese codes are made; None for neither."""
    for charset in ("utf-8", "gb18030"):
        try:
            return raw.decode(charset)
        except UnicodeDecodeError:
            continue
    return None


SPEC = DriverSpec(
    key=KEY,
    port="code_scanner",
    config=SerialScannerConfig,
    open=SerialScanner,
    simulator="drivers.sim.scanner",
    family="bar code and QR scanners",
    transports=("serial",),
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
        "guidance": "done",
    },
)
