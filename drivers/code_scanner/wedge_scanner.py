"""Driver `wedge_scanner`: code scanners that pose as a keyboard (docs/drivers/wedge_scanner.md).

The keyboard is taken away from everybody else. What is typed fast and ends with the suffix is a
code; the slow rest is a person's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from drivers.code_scanner.code_text import ScannerConfig, code_of
from drivers.code_scanner.wedge_keys import AltCodes, Keyboard
from drivers.key_listener import KeyListener
from drivers.registry import DriverSpec
from drivers.transport.evdev import EV_KEY, PRESSED, EvdevPort, EventWire, InputEvent, Packet
from hallkit.model.scanning import LONGEST, ScannedCode
from hallkit.runtime.clock import Clock

KEY = "wedge_scanner"


class WedgeScannerConfig(ScannerConfig):
    """`[[peripherals]]` entry of a scanner on the input system."""

    driver: Literal["wedge_scanner"]
    transport: EvdevPort
    gap_s: Annotated[float, Field(gt=0, le=10)] = 0.1
    """Two keys of a code are never further apart; a person's are."""
    shortest: Annotated[int, Field(ge=1, le=100)] = 3
    """Fewer characters are no code: somebody typed the last of them fast."""
    alt_codes: AltCodes = "ascii"


class WedgeScanner(KeyListener[ScannedCode]):
    """A scanner that types."""

    def __init__(
        self, config: WedgeScannerConfig, clock: Clock, *, transport: EventWire | None = None
    ) -> None:
        super().__init__(
            config.id,
            port="code_scanner",
            key=KEY,
            clock=clock,
            transport=config.transport,
            wire=transport,
            open_timeout_s=config.open_timeout_s,
            gap_s=config.gap_s,
        )
        self._config = config
        self._most = LONGEST + len(config.prefix) + len(config.suffix)
        self._keyboard = Keyboard(config.alt_codes)
        self._typed = ""
        self._is_spoilt = False
        """The code that is being typed does not count; its end is waited for."""
        self._pressed_s = 0.0

    async def next_code(self) -> ScannedCode:
        """See `hallkit.ports.code_scanner.CodeScanner.next_code`."""
        return await self._next()

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start; never what was typed."""
        return self._facts("codes", "damaged", "cut", "short")

    async def _throw_away(self) -> None:
        await super()._throw_away()
        # The beginning was for nobody; so is the rest.
        self._is_spoilt = self._has_part

    def _happened(self, packet: Packet) -> list[ScannedCode]:
        codes = [self._key(event) for event in packet if event.kind == EV_KEY]
        return [code for code in codes if code is not None]

    def _events_were_lost(self) -> None:
        self._keyboard.forget()
        self._is_spoilt = True

    @property
    def _has_part(self) -> bool:
        return self._is_spoilt or bool(self._typed)

    def _forget(self) -> None:
        self._typed = ""
        self._is_spoilt = False
        self._keyboard.calm()

    async def _drop(self) -> None:
        await super()._drop()
        self._keyboard.forget()

    def _key(self, event: InputEvent) -> ScannedCode | None:
        if event.value == PRESSED:
            if abs(event.at_s - self._pressed_s) > self._gap_s:
                self._counts["cut"] += self._has_part
                self._forget()
            self._pressed_s = event.at_s
        typed = self._keyboard.key(event.code, event.value)
        if typed is None:
            self._is_spoilt = True
            return None
        self._typed += typed
        if typed and self._typed.endswith(self._config.suffix):
            return self._end()
        if len(self._typed) > self._most:
            self._is_spoilt = True
            self._typed = self._typed[-len(self._config.suffix) :]
        return None

    def _end(self) -> ScannedCode | None:
        typed, is_spoilt = self._typed.removesuffix(self._config.suffix), self._is_spoilt
        self._forget()
        typed = typed.lstrip("\n")
        if not typed and not is_spoilt:
            return None
        code = None
        if not is_spoilt and typed.startswith(self._config.prefix):
            code = code_of(typed.removeprefix(self._config.prefix))
        if code is None:
            self._counts["damaged"] += 1
        elif len(code.text) < self._config.shortest:
            self._counts["short"] += 1
            return None
        else:
            self._counts["codes"] += 1
        return code


SPEC = DriverSpec(
    key=KEY,
    port="code_scanner",
    config=WedgeScannerConfig,
    open=WedgeScanner,
    simulator="drivers.sim.evdev",
    family="bar code and QR scanners that pose as a keyboard",
    transports=("evdev",),
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
        "hardware": "exempt: not yet run against a scanner; it types what its twin types",
        "guidance": "done",
    },
)
