"""The chip card reader under nonsense: what a card might say, and what PC/SC might."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from random import Random
from typing import TypeVar

from drivers.chip_card_reader.call_thread import CallThread
from drivers.chip_card_reader.pcsc import PcscConfig, PcscReader
from drivers.chip_card_reader.winscard import Code, PcscError, ReaderState, State
from hallkit.errors import DeviceError
from hallkit.ports.chip_card_reader import CardSession
from launcher.rehearsals.fuzz_wire import WireClock
from launcher.rehearsals.nonsense import broken

T = TypeVar("T")

_READER = "Fuzz 00 00"
_ATR = bytes.fromhex("3B6800004E4F424F44592121")
_ANSWERS = (b"\x61\x13", b"\x6f\x02\x84\x00\x90\x00", b"\x6c\x08", b"\x6a\x82", b"\x69\x82")
_COMMANDS = ("00A4000002EF15", "00B0000000", "0084000008", "00B2010400")


class HereAndNow(CallThread):
    """Runs a call where it is asked for: nothing waits in truth."""

    def post(self, function: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(function())
        except Exception as error:  # noqa: BLE001  # as the thread does
            future.set_exception(error)
        return future


class _PcSc:
    """A daemon that fails now and then, and a card whose answers are broken."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._flags = int(State.PRESENT) | 1 << 16
        self.delivered = bytearray()
        self.connected = 0

    def _fails(self, call: str) -> None:
        if self._random.random() < 0.03:
            code = self._random.choice([*Code, self._random.getrandbits(32) | 1])
            raise PcscError(call, int(code))

    def establish(self) -> int:
        self._fails("establish")
        return 1

    def is_valid(self, context: int) -> bool:  # noqa: ARG002  # the protocol's shape
        return self._random.random() > 0.02

    def release(self, context: int) -> None:  # noqa: ARG002
        self._fails("release")

    def list_readers(self, context: int) -> list[str]:  # noqa: ARG002
        self._fails("list_readers")
        names: list[list[str]]
        names = [[_READER], [_READER, "Other 00 00"], [], ["Other 00 00"]]
        return self._random.choices(names, (20, 5, 1, 1))[0]

    def status_change(
        self,
        context: int,  # noqa: ARG002
        known: Sequence[tuple[str, int]],
        *,
        timeout_ms: int,
    ) -> list[ReaderState]:
        self._fails("status_change")
        if timeout_ms and self._random.random() < 0.8:
            raise PcscError("status_change", Code.TIMEOUT)
        if self._random.random() < 0.1:
            self._flags = self._random.choice(
                [self._random.getrandbits(32), int(State.EMPTY), self._flags + (1 << 16)]
            )
        return [ReaderState(self._flags & 0xFFFFFFFF, self._bytes(_ATR)) for _ in known]

    def cancel(self, context: int) -> None:
        pass

    def connect(self, context: int, reader: str, *, exclusive: bool = False) -> tuple[int, int]:  # noqa: ARG002
        self._fails("connect")
        self.connected += 1
        return 1, 1

    def begin(self, card: int) -> None:  # noqa: ARG002
        self._fails("begin")

    def end(self, card: int) -> None:  # noqa: ARG002
        self._fails("end")

    def transmit(self, card: int, protocol: int, command: bytes) -> bytes:  # noqa: ARG002
        self._fails("transmit")
        return self._bytes(self._random.choice(_ANSWERS))

    def disconnect(self, card: int) -> None:  # noqa: ARG002
        self.connected -= 1
        self._fails("disconnect")

    def _bytes(self, real: bytes) -> bytes:
        data = broken(self._random, real, _ANSWERS)
        self.delivered += data
        return data


class PcscDriver:
    """A reader that is looked at, and whose card is talked to."""

    last_input = ""

    async def once(self, random: Random) -> str:
        daemon = _PcSc(random)
        reader = PcscReader(
            PcscConfig.model_validate(
                {"id": "fuzz", "driver": "pcsc", "transport": {"reader": _READER}}
            ),
            WireClock(),
            load=lambda: daemon,
            thread=HereAndNow("fuzz"),
        )
        ends = []
        try:
            for _ in range(4):
                ends.append(await self._ask(reader, random))
                if daemon.connected:
                    raise AssertionError("a card that was not given back")
        finally:
            self.last_input = daemon.delivered.hex()
        return ends[-1]

    async def _ask(self, reader: PcscReader, random: Random) -> str:
        try:
            match random.randrange(4):
                case 0:
                    return f"probe {(await reader.probe()).status}"
                case 1:
                    async with reader.session() as card:
                        return await self._talk(card, random)
                case _:
                    return type(await reader.poll_card()).__name__
        except DeviceError as fault:
            return fault.code

    async def _talk(self, card: CardSession | object, random: Random) -> str:
        if not hasattr(card, "exchange"):
            return type(card).__name__
        return type(await card.exchange(bytes.fromhex(random.choice(_COMMANDS)))).__name__
