"""Driver `serial_buttons`: rating boxes on a serial port (docs/drivers/serial_buttons.md).

No protocol is published for them; each maker's box sends some bytes for each of its five buttons.
So the bytes are configuration, read off the box with a terminal program.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from drivers.listener import Listener
from drivers.registry import DriverSpec, PeripheralConfig
from drivers.transport.serial import SerialPort, SerialTransport
from drivers.transport.transport import Transport
from hallkit.model.rating import RatingLevel
from hallkit.runtime.clock import Clock

KEY = "serial_buttons"
_MOST_BYTES = 32


class SerialButtonsConfig(PeripheralConfig):
    """`[[peripherals]]` entry of a rating box."""

    driver: Literal["serial_buttons"]
    transport: SerialPort
    buttons: dict[RatingLevel, bytes]
    """What each level's button sends, in hexadecimal: `very_satisfied = "41 0D"`."""
    bounce_s: Annotated[float, Field(ge=0, le=10)] = 1.0
    """The same button again within this time is the same press."""
    gap_s: Annotated[float, Field(gt=0, le=10)] = 0.3
    open_timeout_s: Annotated[float, Field(gt=0, le=30)] = 1.0

    @field_validator("buttons", mode="before")
    @classmethod
    def _of_hex(cls, told: Any) -> Any:
        if not isinstance(told, dict):
            return told
        return {level: _bytes_of(given) for level, given in told.items()}

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> SerialButtonsConfig:
        missing = [level.value for level in RatingLevel if level not in self.buttons]
        if missing:
            raise ValueError(f"no bytes for {', '.join(missing)}")
        for (one, first), (other, second) in itertools.permutations(self.buttons.items(), 2):
            if second.startswith(first):
                raise ValueError(f"what {one} sends is how {other} begins")
        return self


def _bytes_of(given: Any) -> bytes:
    try:
        raw = bytes.fromhex(given) if isinstance(given, str) else b""
    except ValueError:
        raw = b""
    if not 0 < len(raw) <= _MOST_BYTES:
        raise ValueError(f"{given!r} is not 1 to {_MOST_BYTES} bytes in hexadecimal, as in '41 0D'")
    return raw


class SerialButtons(Listener[RatingLevel]):
    """A rating box on a serial port."""

    def __init__(
        self, config: SerialButtonsConfig, clock: Clock, *, transport: Transport | None = None
    ) -> None:
        super().__init__(
            config.id,
            port="rating_buttons",
            key=KEY,
            clock=clock,
            wire=transport or SerialTransport(config.id, config.transport),
            open_timeout_s=config.open_timeout_s,
            gap_s=config.gap_s,
        )
        self._config = config
        self._levels = {sent: level for level, sent in config.buttons.items()}
        self._pressed: RatingLevel | None = None
        self._pressed_s = 0.0

    async def next_rating(self) -> RatingLevel:
        """See `hallkit.ports.rating_buttons.RatingButtons.next_rating`."""
        return await self._next()

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start; never which button."""
        names = ("presses", "bounces", "unknown_bytes", "cut", "unasked_bytes", "connections")
        return {
            "wire": str(self._config.transport),
            **{name: self._counts[name] for name in names},
        }

    def _take(self) -> RatingLevel | None:
        """The first whole press; bytes that no button begins with are passed over."""
        while self._held:
            level = next(
                (level for sent, level in self._levels.items() if self._held.startswith(sent)), None
            )
            if level is not None:
                del self._held[: len(self._config.buttons[level])]
                if not self._bounces(level):
                    self._counts["presses"] += 1
                    return level
                self._counts["bounces"] += 1
            elif any(sent.startswith(bytes(self._held)) for sent in self._levels):
                return None
            else:
                del self._held[:1]
                self._counts["unknown_bytes"] += 1
        return None

    def _bounces(self, level: RatingLevel) -> bool:
        """Held down, a button goes on sending: each repetition prolongs the press."""
        now_s = self._clock.mono_s()
        same = level is self._pressed and now_s - self._pressed_s < self._config.bounce_s
        self._pressed, self._pressed_s = level, now_s
        return same


SPEC = DriverSpec(
    key=KEY,
    port="rating_buttons",
    config=SerialButtonsConfig,
    open=SerialButtons,
    simulator="drivers.sim.scanner",
    family="rating boxes with five buttons",
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
        "hardware": "exempt: not yet run against a box; its bytes are read off it and configured",
        "guidance": "done",
    },
)
