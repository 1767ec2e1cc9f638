"""Driver `onbon`: window LED bars with Onbon font or picture cards (docs/drivers/onbon.md)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.driver import Driver
from drivers.led_bar.onbon_cards import CanNotShow, Card, FontCard, PictureCard
from drivers.led_bar.onbon_frames import Answer
from drivers.registry import DriverSpec, PeripheralConfig
from drivers.transport.tcp import TcpPort, TcpTransport
from drivers.transport.transport import Transport
from hallkit.errors import (
    DeviceBusy,
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    NotSupported,
    ProtocolError,
    Reason,
)
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.signage import BarText
from hallkit.runtime.clock import Clock

KEY = "onbon"
_CARD_IS_BUSY, _CARD_MISHEARD = 3, 5
"""Of the numbers with which a card refuses."""


class OnbonConfig(PeripheralConfig):
    """`[[peripherals]]` entry of an LED bar."""

    driver: Literal["onbon"]
    transport: TcpPort
    cards: Literal["font", "6e", "6q"] = "font"
    """`font`: BX-5K and BX-6K, which hold GB 2312; `6e`, `6q`: what is shown is drawn here."""
    colours: Literal[1, 2] = 1
    """Of a bar on a 6E card."""
    width_px: Annotated[int, Field(ge=16, le=4096, multiple_of=8)] = 128
    height_px: Annotated[int, Field(ge=16, le=512, multiple_of=8)] = 16
    font_px: Annotated[int, Field(ge=12, le=64)] = 16
    """Height of the Chinese font, and the width of a Chinese character."""
    brightness: Annotated[int, Field(ge=1, le=16)] | None = None
    """None: as it was set on the card."""
    address: Annotated[int, Field(ge=1, le=0xFFFD)] = 1
    device_type: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    """None: any."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=30)] = 3.0
    answer_timeout_s: Annotated[float, Field(gt=0, le=30)] = 2.0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.cards == "font" and (self.device_type or 0) > 0xFF:
            raise ValueError("device_type: a font card's has one byte")
        if self.cards != "font" and self.font_px > self.height_px:
            raise ValueError("font_px: higher than the bar")
        return self


class OnbonBar(Driver):
    """A bar. One caller at a time; what is to be shown is shown again when it was lost."""

    def __init__(
        self, config: OnbonConfig, clock: Clock, *, transport: Transport | None = None
    ) -> None:
        super().__init__(config.id, port="led_bar", key=KEY, clock=clock)
        self._config = config
        self._wire = transport or TcpTransport(config.id, config.transport)
        self._lock = asyncio.Lock()
        self._card = _card(config)
        self._wanted: BarText | None = None
        self._until_s: float | None = None
        """Until when what is wanted is to be shown."""
        self._dirty = False
        """The bar may show something else than what is wanted."""
        self._counts: Counter[str] = Counter()

    async def probe(self) -> DeviceReport:
        """How the bar is; one that was lost shows again what it should."""
        async with self._lock:
            return await self._guard(self._ask)

    async def show(self, text: BarText) -> None:
        """See `hallkit.ports.led_bar.LedBar.show`."""
        self._shows(text, None)
        async with self._lock:
            self._wanted, self._dirty = text, True
            self._until_s = None if text.for_s is None else self._clock.mono_s() + text.for_s
            await self._deliver()
        self._counts["texts_shown"] += 1

    async def clear(self) -> None:
        """See `hallkit.ports.led_bar.LedBar.clear`."""
        async with self._lock:
            self._wanted, self._until_s, self._dirty = None, None, True
            await self._deliver()

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start; never what was shown."""
        shown, heard = ("texts_shown", "texts_restored"), ("answers", "refused", "garbled_frames")
        return {
            "wire": str(self._config.transport),
            "cards": self._config.cards,
            "size_px": f"{self._config.width_px}x{self._config.height_px}",
            **{name: self._counts[name] for name in (*shown, "connections", *heard)},
        }

    async def _deliver(self) -> None:
        """Bring the bar to what is wanted; a fault is reported and raised."""
        try:
            await self._open()
            await self._restore()
        except DeviceError as fault:
            await self._drop()
            self._fault(fault)
            raise
        except BaseException:
            await self._drop()  # cancelled in the middle: the wire is out of step with us
            raise
        self._works()

    async def _ask(self) -> DeviceReport:
        await self._open()
        await self._request(self._card.ping)
        if self._dirty:
            await self._restore()
            self._counts["texts_restored"] += 1
        return self._works()

    async def _open(self) -> None:
        """Connect where needed; whatever a new connection finds is not what is wanted."""
        if self._wire.is_open:
            return
        await self._drop()
        await self._wire.open(timeout_s=self._config.connect_timeout_s)
        self._counts["connections"] += 1
        try:
            await self._request(self._card.ping)
        except DeviceUnavailable as exc:
            # A card that accepts and hangs up at once talks to somebody else.
            raise DeviceBusy(self._config.id, Reason.OCCUPIED) from exc
        if self._config.brightness is not None:
            await self._request(self._card.brightness(self._config.brightness))
        # A card that was switched off shows its own page; one that nobody asked for anything is
        # left alone.
        self._dirty = self._dirty or self._wanted is not None

    async def _restore(self) -> None:
        await self._request(self._data())
        self._dirty = False

    def _data(self) -> bytes:
        text = self._wanted
        left_s = None if self._until_s is None else self._until_s - self._clock.mono_s()
        if text is None or (left_s is not None and left_s <= 0):
            self._wanted = self._until_s = None
            return self._card.clear
        return self._shows(text, None if left_s is None else max(1, round(left_s)))

    def _shows(self, text: BarText, for_s: int | None) -> bytes:
        try:
            return self._card.text(text, for_s)
        except CanNotShow as exc:
            raise NotSupported(self._config.id, Reason.UNSUPPORTED, str(exc)) from exc

    async def _request(self, data: bytes) -> None:
        """Send and wait for an answer whose check sum holds; raise what a card refuses."""
        timeout_s = self._config.answer_timeout_s
        await self._wire.drain_input()
        self._card.deframer.reset()
        deadline = self._clock.mono_s() + timeout_s
        await self._wire.write(self._card.frame(data), timeout_s=timeout_s)
        garbled = 0
        while True:
            left_s = deadline - self._clock.mono_s()
            try:
                if left_s <= 0:
                    raise DeviceTimeout(self._config.id, Reason.SILENT)  # noqa: TRY301
                received = await self._wire.read(timeout_s=left_s)
            except DeviceTimeout as exc:
                garbled += self._card.deframer.pending
                if garbled:
                    detail = f"{garbled} bytes"
                    raise ProtocolError(self._config.id, Reason.GARBLED, detail) from exc
                raise
            for found in self._card.deframer.feed(received):
                if isinstance(found, Answer):
                    self._counts["answers"] += 1
                    self._heed(found.data)
                    return
                self._counts["garbled_frames"] += 1
                garbled += found.length

    def _heed(self, answer: bytes) -> None:
        error = self._card.refusal(answer)
        if error is None:
            return
        self._counts["refused"] += 1
        detail = f"the card's error {error}"
        if error == _CARD_IS_BUSY:
            raise DeviceBusy(self._config.id, Reason.OCCUPIED, detail)
        if error == _CARD_MISHEARD:
            raise ProtocolError(self._config.id, Reason.GARBLED, detail)
        raise DeviceUnavailable(self._config.id, Reason.UNSUPPORTED, detail)

    def _works(self) -> DeviceReport:
        return self._update(status=DeviceStatus.ONLINE, reason=None, action=None)

    async def _drop(self) -> None:
        await self._wire.close()
        self._card.deframer.reset()


def _card(config: OnbonConfig) -> Card:
    size = (config.width_px, config.height_px)
    if config.cards == "font":
        return FontCard(
            size=size,
            font_px=config.font_px,
            address=config.address,
            device_type=config.device_type,
        )
    return PictureCard(
        size=size,
        font_px=config.font_px,
        colours=config.colours if config.cards == "6e" else 3,
        address=config.address,
        device_type=config.device_type,
    )


SPEC = DriverSpec(
    key=KEY,
    port="led_bar",
    config=OnbonConfig,
    open=OnbonBar,
    simulator="drivers.sim.onbon",
    family="window LED bars with Onbon BX font or picture cards",
    transports=("tcp",),
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
        "hardware": "exempt: not yet run against a card; frames are those that were published",
        "guidance": "done",
    },
)
