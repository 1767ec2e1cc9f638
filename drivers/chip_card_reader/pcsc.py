"""Driver `pcsc`: any chip card reader that pcscd knows, contact or contactless.

A card is asked for the application of the social-security environment; whose it is, a plug-in of
the customer reads with their PSAM (docs/drivers/pcsc.md). Talking to the daemon blocks, so that it
happens on a thread of the device's own (docs/decisions/0015).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import entry_points
from threading import Thread
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from drivers.chip_card_reader import winscard
from drivers.chip_card_reader.apdu import (
    LONGEST_COMMAND_BYTES,
    answer_of,
    get_response,
    is_command,
    select_application,
    with_length,
)
from drivers.chip_card_reader.call_thread import CallThread, settled
from drivers.chip_card_reader.pcsc_link import PcscLink, ReaderNotFoundError
from drivers.chip_card_reader.winscard import Code, PcSc, PcscError, ReaderState, State
from drivers.driver import Driver, status_of
from drivers.registry import DriverSpec, PeripheralConfig
from hallkit.errors import (
    DeviceBusy,
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    ProtocolError,
    Reason,
)
from hallkit.model.chip_card import ApduAnswer, Cardholder, CardSays, ChipCard, ChipCardKind
from hallkit.model.device import DeviceReport, DeviceStatus, Media
from hallkit.ports.chip_card_reader import (
    CardRemoved,
    CardSession,
    ChipCardOutcome,
    HolderNeedsPlugin,
    HolderRead,
    HolderReader,
    NoSession,
    UnknownCard,
)
from hallkit.ports.id_card_reader import CardUnreadable, NoCard
from hallkit.runtime.clock import Clock

T = TypeVar("T")

KEY = "pcsc"
PLUGINS = "hallkit.chip_card_holder"
"""Group of entry points in which the customer's package names its `HolderReader`."""
_SOCIAL_SECURITY = "7378312e73682ec9e7bbe1b1a3d5cf"
_MOST_PARTS = 64
"""Of one answer; more than any card has room for."""
_SLICE_S = 0.5
"""A cancelled wait ends at once, unless the cancelling came a moment too early."""
_CLOSE_S = 1.0
_SESSION_S = 30.0
_READ_S = 10.0

_NO_CARD = frozenset({Code.NO_SMARTCARD, Code.REMOVED_CARD})
_BAD_CARD: Mapping[int, tuple[Reason, str]] = {
    Code.UNRESPONSIVE_CARD: (Reason.SILENT, "no answer to reset"),
    Code.UNPOWERED_CARD: (Reason.SILENT, "no power"),
    Code.UNSUPPORTED_CARD: (Reason.UNSUPPORTED, "kind of card"),
    Code.PROTO_MISMATCH: (Reason.UNSUPPORTED, "protocol of the card"),
    Code.NOT_TRANSACTED: (Reason.GARBLED, "not transacted"),
}
_FAULTS: Mapping[int, tuple[type[DeviceError], Reason]] = {
    Code.NO_SERVICE: (DeviceUnavailable, Reason.REFUSED),
    Code.SERVICE_STOPPED: (DeviceUnavailable, Reason.REFUSED),
    Code.INVALID_HANDLE: (DeviceUnavailable, Reason.REFUSED),
    Code.COMM_ERROR: (DeviceUnavailable, Reason.REFUSED),
    Code.SYSTEM_CANCELLED: (DeviceUnavailable, Reason.REFUSED),
    # The daemon's own rules (polkit) do not let this user in.
    Code.SECURITY_VIOLATION: (DeviceUnavailable, Reason.REFUSED),
    Code.UNKNOWN_READER: (DeviceUnavailable, Reason.PORT_GONE),
    Code.READER_UNAVAILABLE: (DeviceUnavailable, Reason.PORT_GONE),
    Code.NO_READERS_AVAILABLE: (DeviceUnavailable, Reason.PORT_GONE),
    Code.SHARING_VIOLATION: (DeviceBusy, Reason.OCCUPIED),
    Code.RESET_CARD: (DeviceBusy, Reason.OCCUPIED),
}


class PcscPort(BaseModel):
    """Which reader: `transport = { kind = "pcsc", reader = "ACR39U" }`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["pcsc"] = "pcsc"
    reader: Annotated[str, Field(max_length=127, examples=["ACS ACR39U"])] = ""
    """Its name, or a piece of it that no other reader's name has; empty: the only one there is."""

    def __str__(self) -> str:
        return f"pcsc:{self.reader or 'the only reader'}"


class PcscConfig(PeripheralConfig):
    """`[[peripherals]]` entry of a chip card reader."""

    driver: Literal["pcsc"]
    transport: PcscPort = PcscPort()
    application: Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}){1,16}$")] = _SOCIAL_SECURITY
    """Name of the social-security application, in hexadecimal."""
    holder_plugin: Annotated[str, Field(max_length=64)] = ""
    """Entry point that reads whose a social-security card is; empty: there is none."""
    call_timeout_s: Annotated[float, Field(gt=0, le=30)] = 3.0
    """For each call to the daemon; powering a card up is one."""
    card_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """For each answer of a card."""


class _Deadline:
    """An instant that no call of one look or session may pass."""

    def __init__(self, clock: Clock, device_id: str, seconds: float) -> None:
        self._clock = clock
        self._device_id = device_id
        self._ends_s = clock.mono_s() + seconds

    def cap(self, seconds: float) -> float:
        """The shorter of both; `DeviceTimeout` where nothing is left."""
        left_s = self._ends_s - self._clock.mono_s()
        if left_s <= 0:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "the whole took too long")
        return min(seconds, left_s)


class PcscReader(Driver):
    """One reader. Callers take turns; who waits for a change steps back for the others."""

    def __init__(
        self,
        config: PcscConfig,
        clock: Clock,
        *,
        load: Callable[[], PcSc] = winscard.load,
        thread: CallThread | None = None,
        holder_reader: HolderReader | None = None,
    ) -> None:
        super().__init__(config.id, port="chip_card_reader", key=KEY, clock=clock)
        self._config = config
        self._link = PcscLink(load, config.transport.reader)
        self._thread = thread or CallThread(f"pcsc-{config.id}")
        self._holder_reader = holder_reader
        self._turn_lock = asyncio.Lock()
        self._waiting = False
        self._in_session = False
        self._dropping: Future[None] | None = None
        self._unstuck = asyncio.Event()
        """Cleared while a call that was given up is still on."""
        self._unstuck.set()
        self._stuck_behind_others = False
        self._read_card: int | None = None
        """The count of insertions at which the card was read that still lies there."""
        self._known_losses = 0
        self._counts: Counter[str] = Counter()

    async def poll_card(self) -> ChipCardOutcome:
        """Look once for a new card and read it."""
        async with self._turn():
            return await self._or_fault(self._look_for_a_card())

    @asynccontextmanager
    async def session(self) -> AsyncIterator[CardSession | NoSession]:
        """See `hallkit.ports.chip_card_reader.ChipCardReader.session`."""
        async with self._turn():
            deadline = self._deadline(_SESSION_S)
            state = await self._or_fault(self._look(deadline))
            self._in_session = True
            try:
                async with asyncio.timeout(_SESSION_S) as limit:
                    async with self._card(state, deadline) as card:
                        yield card
            except TimeoutError:
                if not limit.expired():
                    raise
                # Whoever forgets a card holds up everybody else.
                raise DeviceTimeout(self._config.id, Reason.SILENT, "session too long") from None
            finally:
                self._in_session = False

    async def wait_change(self, *, limit_s: float) -> bool:
        """See `hallkit.ports.chip_card_reader.ChipCardReader.wait_change`."""
        deadline = self._clock.mono_s() + limit_s
        while (left_s := deadline - self._clock.mono_s()) > 0:
            async with self._turn():
                self._waiting = True
                try:
                    wait = partial(self._link.wait, min(_SLICE_S, left_s))
                    if await self._or_fault(self._call(wait, _SLICE_S + self._call_s)):
                        return True
                finally:
                    self._waiting = False
        return False

    async def probe(self) -> DeviceReport:
        """Ask the daemon how the reader is, establishing anew what was lost."""
        if self._in_session:
            # Somebody talks to a card at this moment, and says himself if that fails.
            return self._report
        async with self._turn():
            return await self._guard(self._ask_state)

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters and facts for a technician."""
        counted = (
            *("looks", "commands", "timeouts"),
            *("cards_read", "cards_known", "cards_unknown", "cards_unreadable", "cards_removed"),
        )
        return {
            "wire": str(self._config.transport),
            "reader": self._link.reader,
            "readers": ", ".join(self._link.present),
            "holder_plugin": self._config.holder_plugin or "none: fields need the PSAM plug-in",
            "contexts": self._link.contexts,
            "losses": self._link.losses,
            **{name: self._counts[name] for name in counted},
        }

    # ── Looking and reading ──

    async def _ask_state(self) -> DeviceReport:
        state = await self._look(self._deadline(_READ_S))
        if state.has(State.EXCLUSIVE):
            raise DeviceBusy(self._config.id, Reason.OCCUPIED, "another program has the card")
        return self._works(state)

    async def _look(self, deadline: _Deadline) -> ReaderState:
        self._counts["looks"] += 1
        self._load_plugin()
        state = await self._call(self._link.look, deadline.cap(self._call_s))
        if self._known_losses != self._link.losses and state.has(State.PRESENT | State.EMPTY):
            # Insertions are counted anew. What lies there now may be the card that was read, and
            # nobody's identity is to be read for the next one who comes.
            self._known_losses = self._link.losses
            if self._read_card is not None:
                self._read_card = state.counter
        if state.has(State.EMPTY):
            self._read_card = None
        return state

    async def _look_for_a_card(self) -> ChipCardOutcome:
        deadline = self._deadline(_READ_S)
        state = await self._look(deadline)
        if not state.has(State.PRESENT):
            self._works(state)
            return NoCard(left_behind=self._read_card is not None)
        if state.counter == self._read_card:
            self._works(state)
            return NoCard(left_behind=True)
        async with self._card(state, deadline) as card:
            outcome = await self._recognise(card) if isinstance(card, _Session) else card
        match outcome:
            case HolderRead() | HolderNeedsPlugin():
                self._counts["cards_read"] += isinstance(outcome, HolderRead)
                self._counts["cards_known"] += 1
                self._read_card = state.counter
            case UnknownCard():
                self._counts["cards_unknown"] += 1
                self._read_card = state.counter
            case CardUnreadable():
                self._counts["cards_unreadable"] += 1
            case CardRemoved():
                self._counts["cards_removed"] += 1
            case _:
                pass
        return outcome

    async def _recognise(self, card: _Session) -> ChipCardOutcome:
        answer = await card.exchange(select_application(bytes.fromhex(self._config.application)))
        if not isinstance(answer, ApduAnswer):
            return answer
        match answer.says:
            case CardSays.DONE | CardSays.WARNING:
                pass
            case CardSays.NOT_FOUND | CardSays.NOT_KNOWN | CardSays.WRONG_PARAMETERS:
                return UnknownCard(ChipCard(kind=ChipCardKind.UNKNOWN, atr=card.atr))
            case CardSays.FAILED:
                return CardUnreadable(Reason.GARBLED, f"{answer.status:04X}")
            case _:
                # An application that is blocked, or wants a key before it is chosen.
                return CardUnreadable(Reason.UNSUPPORTED, f"{answer.status:04X}")
        known = ChipCard(kind=ChipCardKind.SOCIAL_SECURITY, atr=card.atr)
        if self._holder_reader is None:
            return HolderNeedsPlugin(known)
        holder = await self._read_holder(self._holder_reader, card)
        return HolderRead(known, holder) if isinstance(holder, Cardholder) else holder

    async def _read_holder(
        self, plugin: HolderReader, card: _Session
    ) -> Cardholder | CardRemoved | CardUnreadable:
        """Whatever a plug-in does, the reader goes on."""
        try:
            async with asyncio.timeout(card.deadline.cap(_READ_S)):
                found: object = await plugin.read(card)
        except DeviceError:
            raise
        except TimeoutError:
            return CardUnreadable(Reason.SILENT, "the plug-in took too long")
        except Exception as fault:  # noqa: BLE001  # not ours; its text may hold what it read
            self._log.error("chip_card.plugin_failed", error=type(fault).__name__)
            return CardUnreadable(Reason.INTERNAL, "the plug-in failed")
        if isinstance(found, Cardholder | CardRemoved | CardUnreadable):
            return found
        return CardUnreadable(Reason.INTERNAL, "the plug-in gave out something else")

    @asynccontextmanager
    async def _card(
        self, state: ReaderState, deadline: _Deadline
    ) -> AsyncIterator[_Session | NoSession]:
        """The card that lies there, ours alone while the block runs."""
        refused = await self._or_fault(self._take(state, deadline))
        if refused is not None:
            yield refused
            return
        session = _Session(self, state.atr, deadline)
        try:
            yield session
        finally:
            session.over = True
            await self._given_back(self._thread.post(self._link.leave))

    async def _take(self, state: ReaderState, deadline: _Deadline) -> NoSession | None:
        if not state.has(State.PRESENT):
            self._works(state)
            return NoCard()
        refused: NoSession | None = None
        try:
            await self._call(
                self._link.connect,
                deadline.cap(self._call_s),
                behind_others=state.has(State.INUSE),
            )
        except _CardError as error:
            gone = error.pcsc_code in _NO_CARD
            refused = CardRemoved() if gone else error.unreadable()
        self._works(state)
        return refused

    async def exchange(
        self, command: bytes, deadline: _Deadline
    ) -> ApduAnswer | CardRemoved | CardUnreadable:
        """One command of a session and the whole answer to it."""
        return await self._or_fault(self._exchange(command, deadline))

    async def _exchange(
        self, command: bytes, deadline: _Deadline
    ) -> ApduAnswer | CardRemoved | CardUnreadable:
        received = bytearray()
        corrected = False
        for _ in range(_MOST_PARTS):
            part = await self._transmit(command, deadline)
            if not isinstance(part, ApduAnswer):
                return part
            received += part.data
            first, second = divmod(part.status, 256)
            if first == 0x6C and not corrected:
                command, corrected = with_length(command, second), True
            elif first == 0x61:
                command, corrected = get_response(second), False
            else:
                return ApduAnswer(data=bytes(received), status=part.status)
        return CardUnreadable(Reason.GARBLED, "an answer without end")

    async def _transmit(
        self, command: bytes, deadline: _Deadline
    ) -> ApduAnswer | CardRemoved | CardUnreadable:
        self._counts["commands"] += 1
        send = partial(self._link.transmit, command)
        try:
            data = await self._call(send, deadline.cap(self._config.card_timeout_s))
        except _CardError as error:
            if error.pcsc_code in _NO_CARD:
                return CardRemoved()
            removed = error.pcsc_code == Code.NOT_TRANSACTED and await self._call(
                self._link.was_removed, deadline.cap(self._call_s)
            )
            return CardRemoved() if removed else error.unreadable()
        answer = answer_of(data)
        if answer is not None:
            return answer
        # Some readers hand on nothing, without an error, when the card is pulled.
        if not data and await self._call(self._link.was_removed, deadline.cap(self._call_s)):
            return CardRemoved()
        return CardUnreadable(Reason.GARBLED, f"{len(data)} bytes, no status")

    # ── The plug-in ──

    def _load_plugin(self) -> None:
        name = self._config.holder_plugin
        if not name or self._holder_reader is not None:
            return
        detail = f"holder_plugin {name!r} is not installed"
        for found in entry_points(group=PLUGINS, name=name):
            try:
                self._holder_reader = found.load()()
            except Exception as fault:  # noqa: BLE001  # not ours
                detail = f"holder_plugin {name!r}: {type(fault).__name__}"
            else:
                return
        raise DeviceUnavailable(self._config.id, Reason.CONFIGURATION, detail)

    # ── The thread, and what becomes of errors ──

    @property
    def _call_s(self) -> float:
        return self._config.call_timeout_s

    def _deadline(self, seconds: float) -> _Deadline:
        return _Deadline(self._clock, self._config.id, seconds)

    async def _call(
        self, function: Callable[[], T], timeout_s: float, *, behind_others: bool = False
    ) -> T:
        """Run it on the thread. Raises `DeviceError`; `_CardError` for what may be the card's.

        `behind_others`: it does not return while another program talks to the card.
        """
        device_id = self._config.id
        running: Future[T] | None = None
        try:
            async with asyncio.timeout(timeout_s):
                await self._unstuck.wait()
                running = self._thread.post(function)
                return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            self._give_up(running, behind_others=behind_others)
            raise
        except TimeoutError:
            self._counts["timeouts"] += 1
            self._give_up(running, behind_others=behind_others)
            if self._stuck_behind_others:
                detail = "another program talks to the card"
                raise DeviceBusy(device_id, Reason.OCCUPIED, detail) from None
            raise DeviceTimeout(device_id, Reason.SILENT, "pcscd or the card") from None
        except OSError:
            detail = f"{winscard.LIBRARY} is not installed"
            raise DeviceUnavailable(device_id, Reason.REFUSED, detail) from None
        except ReaderNotFoundError as error:
            # One that was there, or none at all: a cable. A name that fits none: the files.
            gone = not error.present or self._link.reader
            reason = Reason.PORT_GONE if gone else Reason.CONFIGURATION
            raise DeviceUnavailable(device_id, reason, str(error)) from None
        except PcscError as error:
            if error.code in _FAULTS:
                fault, reason = _FAULTS[error.code]
                raise fault(device_id, reason, str(error)) from None
            raise _CardError(device_id, error) from None

    def _give_up(self, running: Future[Any] | None, *, behind_others: bool) -> None:
        """It goes on nevertheless, and nothing else is asked for before it is done."""
        if running is None:
            return
        loop = asyncio.get_running_loop()

        def done(_future: Future[Any]) -> None:
            # The loop may be over by then.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._unstuck.set)

        self._stuck_behind_others = behind_others
        self._unstuck.clear()
        running.add_done_callback(done)

    async def _or_fault(self, asked: Awaitable[T]) -> T:
        """What was asked for; a fault is taken into the report, and the next call starts afresh."""
        try:
            return await asked
        except DeviceError as fault:
            await self._drop()
            self._fault(fault)
            raise

    def _works(self, state: ReaderState) -> DeviceReport:
        media = Media.PRESENT if state.has(State.PRESENT) else Media.NOT_PRESENT
        return self._update(
            status=DeviceStatus.ONLINE,
            reason=None,
            action=None,
            media=media,
            model=self._link.reader,
        )

    def _fault(self, fault: DeviceError) -> DeviceReport:
        status, action = status_of(fault.reason)
        return self._update(status=status, reason=fault.reason, action=action, media=Media.UNKNOWN)

    async def _drop(self) -> None:
        if self._dropping is None or self._dropping.done():
            self._dropping = self._thread.post(self._link.drop)
            await self._given_back(self._dropping)

    async def _given_back(self, running: Future[None]) -> None:
        """It runs behind whatever is on; what is stuck is not waited for."""
        if self._unstuck.is_set():
            await settled(running, timeout_s=_CLOSE_S)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One at a time; one that is given up leaves nothing open."""
        if self._waiting:
            # The daemon may hang, so that not even this is done here.
            Thread(target=self._link.cancel, daemon=True).start()
        async with self._turn_lock:
            try:
                yield
            except asyncio.CancelledError:
                await self._drop()
                raise

    async def __aexit__(self, *exc: object) -> None:
        await self._drop()
        self._thread.stop()


class _CardError(ProtocolError):
    """The card's own failing where one was talked to, otherwise an answer that nobody expects."""

    def __init__(self, device_id: str, error: PcscError) -> None:
        super().__init__(device_id, Reason.GARBLED, str(error))
        self.pcsc_code = error.code

    def unreadable(self) -> CardUnreadable:
        """As an outcome; raised anew where it is nothing that a card does."""
        if self.pcsc_code not in _BAD_CARD:
            raise self
        return CardUnreadable(*_BAD_CARD[self.pcsc_code])


class _Session:
    """See `hallkit.ports.chip_card_reader.CardSession`."""

    def __init__(self, reader: PcscReader, atr: bytes, deadline: _Deadline) -> None:
        self._reader = reader
        self.atr = atr
        self.deadline = deadline
        self.over = False

    async def exchange(self, command: bytes) -> ApduAnswer | CardRemoved | CardUnreadable:
        if self.over:
            raise ValueError("the session is over")
        if len(command) > LONGEST_COMMAND_BYTES or not is_command(command):
            raise ValueError("not a short command APDU")
        return await self._reader.exchange(command, self.deadline)


SPEC = DriverSpec(
    key=KEY,
    port="chip_card_reader",
    config=PcscConfig,
    open=PcscReader,
    simulator="drivers.sim.pcsc",
    family="chip card readers that pcscd knows (PC/SC)",
    transports=("pcsc",),
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
        "hardware": "exempt: run against a real pcscd with a virtual reader; no reader was at hand",
        "guidance": "done",
    },
)
