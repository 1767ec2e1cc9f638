"""What PC/SC says, and what becomes of it; the daemon here says what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Event, current_thread
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chip_card_reader.apdu import answer_of, is_command, select_application, with_length
from drivers.chip_card_reader.call_thread import CallThread, settled
from drivers.chip_card_reader.pcsc import PcscConfig, PcscReader
from drivers.chip_card_reader.pcsc_link import ReaderNotFoundError, pick
from drivers.chip_card_reader.winscard import PNP_READER, Code, PcscError, ReaderState, State
from drivers.registry import discover, parse_peripherals
from hallkit.errors import (
    ConfigError,
    DeviceBusy,
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    Reason,
)
from hallkit.model.chip_card import ApduAnswer, CardSays, ChipCard, ChipCardKind
from hallkit.model.device import DeviceStatus
from hallkit.ports.chip_card_reader import CardRemoved, HolderNeedsPlugin, UnknownCard
from hallkit.ports.id_card_reader import CardUnreadable, NoCard
from hallkit.runtime.clock import SystemClock
from launcher.rehearsals.fuzz_cards import HereAndNow

T = TypeVar("T")
READER = "Maker Model 00 00"
ATR = bytes.fromhex("3B6800004E4F424F44592121")
SELECT = bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF")


@pytest.fixture(autouse=True, scope="module")
def _at_once() -> Iterator[None]:
    """A daemon in the test's own hands needs no time to notice that a card is gone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drivers.chip_card_reader.pcsc_link._NOTICE_S", 0.0)
        yield


class Daemon:
    """`PcSc` that says what it is told to."""

    def __init__(self, answers: Sequence[bytes] = ()) -> None:
        self.readers = [READER]
        self.flags = int(State.PRESENT) | 1 << 16
        self.pnp = 0
        self.answers: Iterator[bytes] = iter(answers)
        self.errors: dict[str, list[int]] = {}
        """Codes with which the next calls of a name are answered."""
        self.asked: list[bytes] = []
        self.contexts: set[int] = set()
        self.cards: set[int] = set()
        self._last = 0

    def _fails(self, call: str) -> None:
        if self.errors.get(call):
            raise PcscError(call, self.errors[call].pop(0))

    def establish(self) -> int:
        self._fails("establish")
        self._last += 1
        self.contexts.add(self._last)
        return self._last

    def is_valid(self, context: int) -> bool:
        return context in self.contexts

    def release(self, context: int) -> None:
        self.contexts.discard(context)
        self._fails("release")

    def list_readers(self, context: int) -> list[str]:
        self._fails("list_readers")
        return list(self.readers)

    def status_change(
        self, context: int, known: Sequence[tuple[str, int]], *, timeout_ms: int
    ) -> list[ReaderState]:
        self._fails("status_change")
        states = [self.pnp if name == PNP_READER else self.flags for name, _ in known]
        if timeout_ms and states == [flags for _, flags in known]:
            raise PcscError("status_change", Code.TIMEOUT)
        return [ReaderState(flags, ATR) for flags in states]

    def cancel(self, context: int) -> None:
        pass

    def connect(self, context: int, reader: str, *, exclusive: bool = False) -> tuple[int, int]:
        self._fails("connect")
        self._last += 1
        self.cards.add(self._last)
        return self._last, 1

    def begin(self, card: int) -> None:
        self._fails("begin")

    def end(self, card: int) -> None:
        self._fails("end")

    def transmit(self, card: int, protocol: int, command: bytes) -> bytes:
        self._fails("transmit")
        self.asked.append(command)
        return next(self.answers, b"\x90\x00")

    def disconnect(self, card: int) -> None:
        self.cards.discard(card)
        self._fails("disconnect")


def opened(daemon: Daemon, **settings: Any) -> PcscReader:
    config = PcscConfig.model_validate({"id": "reader", "driver": "pcsc", **settings})
    return PcscReader(config, SystemClock(), load=lambda: daemon, thread=HereAndNow("here"))


# ── Which reader ──


def test_a_reader_is_picked_by_its_name_or_a_piece_of_it() -> None:
    two = ["ACS ACR39U 00 00", "Maker SAM 00 00", "Maker SAM 00 00 (1)"]
    assert pick("acr39u", two) == "ACS ACR39U 00 00"
    assert pick("Maker SAM 00 00", two) == "Maker SAM 00 00", "the whole name is meant"
    assert pick("", two[:1]) == two[0]
    for wanted in ("", "Maker", "other"):
        with pytest.raises(ReaderNotFoundError) as lost:
            pick(wanted, two)
        assert all(name in str(lost.value) for name in two)


async def test_a_name_that_fits_none_is_a_mistake_and_a_cable_is_not() -> None:
    daemon = Daemon()
    reader = opened(daemon, transport={"kind": "pcsc", "reader": "other"})
    assert (await reader.probe()).reason is Reason.CONFIGURATION
    with pytest.raises(DeviceUnavailable, match=READER):
        await reader.poll_card()
    daemon.readers = []
    assert (await reader.probe()).reason is Reason.PORT_GONE


async def test_a_reader_that_is_pulled_out_and_back_in_is_found_again() -> None:
    """Here the daemon goes on; with vpcd it cannot."""
    daemon = Daemon()
    reader = opened(daemon)
    assert isinstance(await reader.poll_card(), HolderNeedsPlugin)
    daemon.readers = ["Another 00 00", "A third 00 00"]
    report = await reader.probe()
    assert (report.status, report.reason) == (DeviceStatus.NO_DEVICE, Reason.PORT_GONE)
    # On another number, with the same card, whose insertion is counted anew.
    daemon.readers, daemon.flags = ["Maker Model 01 00"], int(State.PRESENT)
    assert (await reader.probe()).works
    assert reader.report.model == "Maker Model 01 00"
    assert await reader.poll_card() == NoCard(left_behind=True)
    daemon.flags = int(State.EMPTY) | 1 << 16
    assert await reader.poll_card() == NoCard()
    daemon.flags = int(State.PRESENT) | 2 << 16
    assert isinstance(await reader.poll_card(), HolderNeedsPlugin)


async def test_losses_are_counted_and_not_the_looks_for_what_is_lost() -> None:
    daemon = Daemon()
    daemon.errors = {"establish": [Code.NO_SERVICE] * 4}
    reader = opened(daemon)
    for _ in range(2):
        assert (await reader.probe()).reason is Reason.REFUSED
    assert reader.diagnostics()["losses"] == 0, "what never was there is not lost"
    there, gone = [READER], list[str]()
    unavailable = int(State.UNAVAILABLE)
    for readers, flags, losses in (
        (there, int(State.PRESENT), 0),
        (gone, 0, 1),
        (gone, 0, 1),
        (there, int(State.PRESENT), 1),
        (there, unavailable, 2),
        (there, unavailable, 2),
        (there, int(State.PRESENT), 2),
    ):
        daemon.readers, daemon.flags = readers, flags
        await reader.probe()
        assert reader.diagnostics()["losses"] == losses
    daemon.errors = {"establish": [Code.NO_SERVICE] * 4}
    daemon.contexts.clear()
    for _ in range(2):
        await reader.probe()
        assert reader.diagnostics()["losses"] == 3


async def test_waiting_ends_with_a_card_or_a_reader_and_not_with_another_program() -> None:
    daemon = Daemon()
    reader = opened(daemon)
    assert (await reader.probe()).works
    for flags, pnp, changed in (
        (daemon.flags, 0, False),
        (daemon.flags | int(State.INUSE), 0, False),
        (int(State.EMPTY) | 2 << 16, 0, True),
        (int(State.EMPTY) | 4 << 16, 0, True),
        (int(State.EMPTY) | 4 << 16, int(State.CHANGED) | 2 << 16, True),
    ):
        daemon.flags, daemon.pnp = flags, pnp
        assert await reader.wait_change(limit_s=0.01) is changed
    daemon.readers = []
    daemon.errors = {"status_change": [Code.UNKNOWN_READER]}
    assert await reader.wait_change(limit_s=0.01), "ours was pulled out"
    with pytest.raises(DeviceUnavailable):
        await reader.wait_change(limit_s=0.01)


# ── What calls return ──


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (Code.SECURITY_VIOLATION, Reason.REFUSED),
        (Code.UNKNOWN_READER, Reason.PORT_GONE),
        (Code.READER_UNAVAILABLE, Reason.PORT_GONE),
        (Code.INSUFFICIENT_BUFFER, Reason.GARBLED),
        (Code.INTERNAL, Reason.GARBLED),
        (0x80109999, Reason.GARBLED),
    ],
)
async def test_an_error_of_the_reader_is_a_fault_with_a_reason(code: int, reason: Reason) -> None:
    daemon = Daemon()
    reader = opened(daemon)
    daemon.errors = {"status_change": [code] * 2}
    assert (await reader.probe()).reason is reason
    with pytest.raises(DeviceError) as fault:
        await reader.poll_card()
    assert fault.value.reason is reason
    assert (await reader.probe()).works


@pytest.mark.parametrize(
    "code", [Code.NO_SERVICE, Code.SERVICE_STOPPED, Code.INVALID_HANDLE, Code.COMM_ERROR]
)
async def test_a_context_that_a_daemon_left_behind_is_made_anew(code: Code) -> None:
    daemon = Daemon()
    reader = opened(daemon)
    assert (await reader.probe()).works
    daemon.errors = {"list_readers": [code]}
    assert (await reader.probe()).works
    assert len(daemon.contexts) == 1, "the old one is given back"
    daemon.errors = {"list_readers": [code] * 2}
    assert (await reader.probe()).reason is Reason.REFUSED


async def test_a_machine_without_the_library() -> None:
    def load() -> Daemon:
        raise OSError("libpcsclite.so.1: cannot open shared object file")

    config = PcscConfig(id="reader", driver="pcsc")
    reader = PcscReader(config, SystemClock(), load=load, thread=HereAndNow("here"))
    assert (await reader.probe()).reason is Reason.REFUSED
    with pytest.raises(DeviceUnavailable, match="not installed"):
        await reader.poll_card()


@pytest.mark.parametrize(
    ("call", "code", "outcome"),
    [
        ("connect", Code.NO_SMARTCARD, CardRemoved()),
        ("begin", Code.REMOVED_CARD, CardRemoved()),
        ("transmit", Code.REMOVED_CARD, CardRemoved()),
        ("connect", Code.UNRESPONSIVE_CARD, Reason.SILENT),
        ("connect", Code.UNPOWERED_CARD, Reason.SILENT),
        ("connect", Code.PROTO_MISMATCH, Reason.UNSUPPORTED),
        ("connect", Code.UNSUPPORTED_CARD, Reason.UNSUPPORTED),
        ("transmit", Code.NOT_TRANSACTED, Reason.GARBLED),
    ],
)
async def test_an_error_of_the_card_is_an_outcome(
    call: str, code: Code, outcome: CardRemoved | Reason
) -> None:
    daemon = Daemon()
    reader = opened(daemon)
    daemon.errors = {call: [code]}
    found = await reader.poll_card()
    assert (found.reason if isinstance(found, CardUnreadable) else found) == outcome
    assert reader.report.works
    assert not daemon.cards, "the card is given back"
    assert isinstance(await reader.poll_card(), HolderNeedsPlugin)


@pytest.mark.parametrize("code", [Code.SHARING_VIOLATION, Code.RESET_CARD])
@pytest.mark.parametrize("call", ["connect", "begin", "transmit"])
async def test_what_another_program_does_is_said(call: str, code: Code) -> None:
    daemon = Daemon()
    reader = opened(daemon)
    daemon.errors = {call: [code]}
    with pytest.raises(DeviceBusy) as busy:
        await reader.poll_card()
    assert busy.value.reason is Reason.OCCUPIED
    assert not daemon.cards
    assert isinstance(await reader.poll_card(), HolderNeedsPlugin)


async def test_giving_back_never_fails() -> None:
    daemon = Daemon()
    reader = opened(daemon)
    daemon.errors = {name: [Code.NO_SERVICE] for name in ("end", "disconnect", "release")}
    assert isinstance(await reader.poll_card(), HolderNeedsPlugin)
    async with reader:
        pass
    assert not daemon.contexts


async def test_a_session_that_somebody_forgets_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.chip_card_reader.pcsc._SESSION_S", 0.05)
    daemon = Daemon()
    reader = opened(daemon)
    with pytest.raises(DeviceTimeout, match="session"):
        async with reader.session():
            await asyncio.Event().wait()
    assert not daemon.cards
    assert isinstance(await reader.poll_card(), HolderNeedsPlugin)


async def test_while_a_call_hangs_nothing_else_is_asked_for() -> None:
    """An hour of a hung daemon must not pile up an hour of calls."""
    daemon, release = Daemon(), Event()
    asked: list[str] = []

    def list_readers(_context: int) -> list[str]:
        asked.append("list_readers")
        release.wait()
        return [READER]

    daemon.list_readers = list_readers  # type: ignore[method-assign]
    config = PcscConfig(id="reader", driver="pcsc", call_timeout_s=0.02)
    async with PcscReader(config, SystemClock(), load=lambda: daemon) as reader:
        for _ in range(5):
            assert (await reader.probe()).reason is Reason.SILENT
        assert len(asked) == 1
        release.set()
        async with asyncio.timeout(20):
            while not (await reader.probe()).works:  # noqa: ASYNC110  # a turn, not a time
                await asyncio.sleep(0)
    assert not daemon.contexts


# ── Commands and answers ──


def test_the_application_is_named_as_the_specification_has_it() -> None:
    name = PcscConfig(id="reader", driver="pcsc").application
    assert bytes.fromhex(name) == "sx1.sh.社会保障".encode("gbk")
    assert select_application(bytes.fromhex(name)) == SELECT


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("", False),
        ("00A404", False),
        ("00A40400", True),
        ("00B0000004", True),
        ("00A4000002EF15", True),
        ("00A4000002EF1500", True),
        ("00A4000002EF", False),
        ("00A4000002EF150000", False),
        ("00A4000000EF", False),
    ],
)
def test_a_command_is_told_from_what_is_none(text: str, good: bool) -> None:
    assert is_command(bytes.fromhex(text)) is good


@pytest.mark.parametrize(
    ("command", "with_8"),
    [
        ("00840000", "0084000008"),
        ("00840000FF", "0084000008"),
        ("00A4000002EF15", "00A4000002EF1508"),
        ("00A4000002EF1500", "00A4000002EF1508"),
    ],
)
def test_a_wrong_length_is_set_right(command: str, with_8: str) -> None:
    assert with_length(bytes.fromhex(command), 8) == bytes.fromhex(with_8)


async def test_parts_of_an_answer_become_one() -> None:
    daemon = Daemon([b"\x61\x02", b"AB\x61\x01", b"\x6c\x02", b"CD\x90\x00"])
    async with opened(daemon).session() as card:
        assert not isinstance(card, NoCard | CardRemoved | CardUnreadable)
        answer = await card.exchange(SELECT)
    assert answer == ApduAnswer(data=b"ABCD", status=0x9000)
    assert [command.hex() for command in daemon.asked] == [
        SELECT.hex(),
        "00c0000002",
        "00c0000001",
        "00c0000002",
    ]


async def test_a_length_that_is_never_right_is_asked_for_once() -> None:
    daemon = Daemon([b"\x6c\x04"] * 9)
    async with opened(daemon).session() as card:
        assert not isinstance(card, NoCard | CardRemoved | CardUnreadable)
        answer = await card.exchange(bytes.fromhex("00B0000000"))
    assert answer == ApduAnswer(data=b"", status=0x6C04)
    assert len(daemon.asked) == 2


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (0x9000, CardSays.DONE),
        (0x6283, CardSays.BLOCKED),
        (0x6281, CardSays.WARNING),
        (0x63C3, CardSays.WARNING),
        (0x6A82, CardSays.NOT_FOUND),
        (0x6985, CardSays.NOT_ALLOWED),
        (0x6982, CardSays.NOT_ALLOWED),
        (0x6D00, CardSays.NOT_KNOWN),
        (0x6700, CardSays.WRONG_PARAMETERS),
        (0x6581, CardSays.FAILED),
        (0x6F00, CardSays.FAILED),
        (0x9406, CardSays.OTHER),
    ],
)
def test_status_words_have_a_meaning(status: int, says: CardSays) -> None:
    assert ApduAnswer(data=b"", status=status).says is says


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_none(data: bytes) -> None:
    answer = answer_of(data)
    if answer is not None:
        assert answer.says in CardSays
        assert answer.data + answer.status.to_bytes(2, "big") == data
        assert data[:-2].hex() not in repr(answer) or len(data) < 6


@given(st.binary(min_size=4, max_size=300), st.integers(0, 255))
def test_any_command_that_is_one_stays_one(command: bytes, length: int) -> None:
    if is_command(command):
        assert is_command(with_length(command, length))


@given(st.lists(st.binary(max_size=8), max_size=80), st.integers(0, 0xFFFFFFFF), st.binary())
async def test_whatever_a_card_says_is_an_outcome(
    answers: list[bytes], flags: int, atr: bytes
) -> None:
    daemon = Daemon(answers)
    daemon.flags = flags
    reader = opened(daemon)
    with suppress(DeviceError):
        outcome = await reader.poll_card()
        assert isinstance(
            outcome, NoCard | CardRemoved | CardUnreadable | UnknownCard | HolderNeedsPlugin
        )
    assert not daemon.cards


@given(st.sampled_from(["connect", "begin", "transmit", "status_change"]), st.integers(1, 2**32))
async def test_whatever_a_call_returns_has_a_name(call: str, code: int) -> None:
    daemon = Daemon()
    daemon.errors = {call: [code] * 3}
    reader = opened(daemon)
    with suppress(DeviceError):
        await reader.poll_card()
    await reader.probe()


def test_an_atr_is_not_shown() -> None:
    card = ChipCard(kind=ChipCardKind.UNKNOWN, atr=ATR)
    told = f"{card} {card!r} {ReaderState(0x20, ATR)!r} {UnknownCard(card)}"
    assert ATR.hex() not in told.lower()
    assert repr(ATR)[2:-1] not in told


# ── Configuration ──


@pytest.mark.parametrize(
    "settings",
    [
        {"transport": {"kind": "serial", "path": "/dev/ttyS0"}},
        {"transport": {"kind": "pcsc", "name": "ACR39U"}},
        {"application": "7378"[:3]},
        {"application": ""},
        {"call_timeout_s": 0},
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    entry = {"id": "reader", "driver": "pcsc", **settings}
    with pytest.raises(ConfigError):
        parse_peripherals([entry], discover(), file="test")


# ── The thread ──


async def test_calls_run_one_after_another_on_a_thread_of_their_own() -> None:
    thread = CallThread("calls")
    names = [
        await result_of(thread.post(lambda: current_thread().name), timeout_s=20) for _ in range(3)
    ]
    assert names == ["calls"] * 3
    thread.stop()


async def test_a_call_that_is_given_up_while_it_waits_never_begins() -> None:
    thread, release, ran = CallThread("calls"), Event(), []
    first = thread.post(release.wait)
    with pytest.raises(TimeoutError):
        await result_of(thread.post(lambda: ran.append("late")), timeout_s=0.01)
    await settled(first, timeout_s=0.01)
    assert not first.done()
    release.set()
    await settled(first, timeout_s=20)
    await result_of(thread.post(lambda: ran.append("next")), timeout_s=20)
    assert ran == ["next"]
    thread.stop()


async def test_an_error_belongs_to_who_asked() -> None:
    thread = CallThread("calls")
    with pytest.raises(PcscError, match="8010001D NO_SERVICE"):
        await result_of(thread.post(_fail), timeout_s=20)
    assert await result_of(thread.post(lambda: 1), timeout_s=20) == 1
    thread.stop()


async def test_a_thread_that_hangs_ends_when_it_can() -> None:
    thread, release = CallThread("calls"), Event()
    hanging = thread.post(release.wait)
    behind = thread.post(lambda: "done")
    thread.stop()
    release.set()
    assert await asyncio.wrap_future(hanging)
    assert await asyncio.wrap_future(behind) == "done"


async def result_of(future: Future[T], *, timeout_s: float) -> T:
    async with asyncio.timeout(timeout_s):
        return await asyncio.wrap_future(future)


def _fail() -> None:
    raise PcscError("SCardEstablishContext", Code.NO_SERVICE)
