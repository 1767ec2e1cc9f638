"""The driver against bytes in memory: what it sends, and that no answer can confuse it."""

import asyncio
from collections import deque
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.driver import TEXT_LIMIT
from drivers.ticket_printer.escpos import EscPosConfig, EscPosPrinter
from drivers.ticket_printer.escpos_profile import load_profile
from drivers.transport.tcp import TcpPort
from drivers.transport.transport import Transport
from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason
from hallkit.model.device import DeviceStatus, Paper
from hallkit.model.printing import PrintOutcome, PrintResult, Slip, TextLine
from hallkit.runtime.clock import SystemClock

SLIP = Slip(lines=(TextLine(text="A012"),), reprint_mark="AGAIN")
CONFIG = EscPosConfig(
    id="ticket-printer", driver="escpos", transport=TcpPort(host="printer", port=9100)
)
PROFILE = load_profile("escpos_generic")
STATUS_ONLY = PROFILE.model_copy(update={"confirm": "status", "clear": "dle_enq"})

OK = [b"\x12"] * 4
NAMES = [b"\x5fTM-T88V\x00", b"\x5fX1\x00"]
CLEARED = b"\x37\x25\x00"
ECHO = b"<process id>"
"""Stands for the process-ID response with the four characters that were asked for."""
GONE = b"<gone>"
SILENCE = b"<silence>"


class Wire:
    """A transport that answers from a script; each read takes one entry, then all is silence."""

    def __init__(self, answers: Iterable[bytes]) -> None:
        self.answers = deque(answers)
        self.written: list[bytes] = []
        self.is_open = False
        self.refuses_jobs = False
        self.allowed_s: list[float] = []

    async def open(self, *, timeout_s: float) -> None:
        self.is_open = True

    async def write(self, data: bytes, *, timeout_s: float) -> None:
        self.written.append(data)
        self.allowed_s.append(timeout_s)
        if self.refuses_jobs and b"A012" in data:
            raise DeviceTimeout("ticket-printer", Reason.SILENT)

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        answer = self.answers.popleft() if self.answers else SILENCE
        if answer == SILENCE:
            raise DeviceTimeout("ticket-printer", Reason.SILENT)
        if answer == GONE:
            self.is_open = False
            raise DeviceUnavailable("ticket-printer", Reason.PORT_GONE)
        if answer == ECHO:
            return b"\x37\x22" + self.written[-1][-4:] + b"\x00"
        return answer

    async def drain_input(self) -> int:
        return 0

    async def close(self) -> None:
        self.is_open = False

    @property
    def jobs(self) -> list[bytes]:
        return [data for data in self.written if b"A012" in data]


def made(wire: Transport, *, status_only: bool = False) -> EscPosPrinter:
    profile = STATUS_ONLY if status_only else PROFILE
    return EscPosPrinter(CONFIG, SystemClock(), transport=wire, profile=profile)


async def printed(wire: Wire, *, status_only: bool = False) -> PrintOutcome:
    async with made(wire, status_only=status_only) as printer:
        return await printer.print_slip(SLIP, marked=False)


async def test_bytes_of_a_whole_print() -> None:
    wire = Wire([*OK, *NAMES, CLEARED, ECHO])
    assert await printed(wire) == PrintOutcome(result=PrintResult.COMPLETED)
    assert wire.written[:7] == [
        b"\x10\x04\x01",
        b"\x10\x04\x02",
        b"\x10\x04\x03",
        b"\x10\x04\x04",
        b"\x1da\x0e\x1dI\x43\x1dI\x44",
        b"\x10\x05\x02",
        b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08",
    ]
    (job,) = wire.jobs
    assert wire.written[7:] == [job]
    assert job.startswith(b"\x1b@")
    assert job[-11:-4] == b"\x1d(H\x06\x0000"
    assert all(0x20 <= byte <= 0x7E for byte in job[-4:])


async def test_a_question_may_take_no_longer_than_its_answer() -> None:
    wire = Wire([*OK, *NAMES])
    async with made(wire) as printer:
        assert (await printer.probe()).works
    assert PROFILE.status_timeout_s < PROFILE.write_timeout_s
    assert all(seconds <= PROFILE.status_timeout_s for seconds in wire.allowed_s[:4])


async def test_a_printer_without_process_id_confirms_by_its_paper_sensor() -> None:
    wire = Wire([*OK, *NAMES, b"\x00"])
    assert (await printed(wire, status_only=True)).result is PrintResult.COMPLETED
    assert wire.jobs[0].endswith(b"\x1dV\x01\x1dr\x01")
    assert b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08" not in wire.written


async def test_each_attempt_asks_with_another_identifier() -> None:
    wire = Wire([*OK, *NAMES, CLEARED, ECHO, *OK, CLEARED, ECHO])
    async with made(wire) as printer:
        for _ in range(2):
            assert (await printer.print_slip(SLIP, marked=False)).result is PrintResult.COMPLETED
    first, second = wire.jobs
    assert first[-4:] != second[-4:]


async def test_somebody_elses_identifier_confirms_nothing() -> None:
    wire = Wire([*OK, *NAMES, CLEARED, b"\x37\x22----\x00"])
    outcome = await printed(wire)
    assert outcome == PrintOutcome(result=PrintResult.UNKNOWN, reason=Reason.SILENT)


async def test_a_paper_sensor_byte_amid_noise_confirms_nothing() -> None:
    wire = Wire([*OK, *NAMES, b"\xed\x00", SILENCE, *OK])
    outcome = await printed(wire, status_only=True)
    assert outcome == PrintOutcome(result=PrintResult.UNKNOWN, reason=Reason.GARBLED)


async def test_two_automatic_frames_in_one_read_while_waiting() -> None:
    hot_and_well = bytes.fromhex("18400000 10000000")
    wire = Wire([*OK, *NAMES, CLEARED, hot_and_well, ECHO])
    async with made(wire) as printer:
        outcome = await printer.print_slip(SLIP, marked=False)
        assert printer.report.status is DeviceStatus.ONLINE
        assert printer.diagnostics()["auto_status_frames"] == 2
    assert outcome.result is PrintResult.COMPLETED


async def test_paper_out_behind_the_last_byte_does_not_hide_the_confirmation() -> None:
    wire = Wire([*OK, *NAMES, CLEARED, bytes.fromhex("18000f00"), ECHO])
    async with made(wire) as printer:
        outcome = await printer.print_slip(SLIP, marked=False)
        assert printer.report.paper is Paper.OUT
        assert not printer.report.works
    assert outcome.result is PrintResult.COMPLETED


async def test_a_stopped_slip_is_cleared_from_the_buffer_at_once() -> None:
    wire = Wire([*OK, *NAMES, CLEARED, bytes.fromhex("18000f00")])
    outcome = await printed(wire)
    assert outcome == PrintOutcome(result=PrintResult.UNKNOWN, reason=Reason.PAPER_OUT)
    after = wire.written[wire.written.index(wire.jobs[0]) + 1 :]
    assert after == [b"\x10\x05\x02", b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08"]
    assert not wire.is_open


async def test_a_printer_that_stops_taking_data_says_why() -> None:
    wire = Wire([*OK, *NAMES, CLEARED, bytes.fromhex("38000000")])
    wire.refuses_jobs = True
    outcome = await printed(wire)
    assert outcome == PrintOutcome(result=PrintResult.UNKNOWN, reason=Reason.COVER_OPEN)


async def test_a_clear_that_is_not_answered_starts_nothing() -> None:
    wire = Wire([*OK, *NAMES])
    outcome = await printed(wire)
    assert outcome == PrintOutcome(result=PrintResult.NOT_STARTED, reason=Reason.SILENT)
    assert not wire.jobs


async def test_a_cutter_error_is_recovered_by_command() -> None:
    jammed = [b"\x1a", b"\x52", b"\x1e", b"\x12"]
    wire = Wire([*jammed, *OK, *NAMES])
    async with made(wire) as printer:
        report = await printer.probe()
    assert report.works
    assert wire.written[4] == b"\x10\x05\x02"


async def test_a_port_that_hangs_up_at_once_is_held_by_somebody_else() -> None:
    async with made(Wire([GONE])) as printer:
        report = await printer.probe()
    assert (report.status, report.reason) == (DeviceStatus.DEVICE_BUSY, Reason.OCCUPIED)


async def test_the_model_is_learnt_once_a_connection() -> None:
    wire = Wire([*OK, *NAMES, *OK])
    async with made(wire) as printer:
        assert (await printer.probe()).model == "TM-T88V"
        report = await printer.probe()
    assert (report.model, report.serial) == ("TM-T88V", "X1")
    assert wire.written.count(b"\x1da\x0e\x1dI\x43\x1dI\x44") == 1


async def test_a_printer_without_a_name_is_as_good() -> None:
    async with made(Wire(OK)) as printer:
        report = await printer.probe()
    assert report.works
    assert report.model == ""


async def test_a_missing_font_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_font(*_: object, **__: object) -> None:
        raise OSError("cannot open resource")

    monkeypatch.setattr("drivers.ticket_printer.escpos.lay_out", no_font)
    wire = Wire(OK)
    outcome = await printed(wire)
    assert outcome == PrintOutcome(result=PrintResult.NOT_STARTED, reason=Reason.UNSUPPORTED)
    assert not wire.written


ANSWERS = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=12),
        st.sampled_from([b"\x12", b"\x1a", *NAMES, CLEARED, ECHO, GONE, SILENCE]),
        st.sampled_from([b"\x10\x00\x00\x00", b"\x18\x00\x0f\x00", b"\x18\x0c\x00\x00"]),
    ),
    max_size=20,
)


@settings(max_examples=300, deadline=None)
@example(answers=[*OK, *NAMES, CLEARED, ECHO], status_only=False)
@given(answers=ANSWERS, status_only=st.booleans())
def test_any_answer_ends_in_a_named_outcome(answers: list[bytes], *, status_only: bool) -> None:
    wire = Wire(answers)
    outcome = asyncio.run(printed(wire, status_only=status_only))
    assert (outcome.reason is None) == (outcome.result is PrintResult.COMPLETED)
    assert bool(wire.jobs) == (outcome.result is not PrintResult.NOT_STARTED)


async def test_a_device_that_says_too_much_of_itself_does_not_fill_the_report() -> None:
    async with made(Wire([])) as printer:
        report = printer._update(model="m" * 500, serial="s" * 121)
    assert (len(report.model), len(report.serial)) == (TEXT_LIMIT, TEXT_LIMIT)


@settings(max_examples=200, deadline=None)
@given(ANSWERS)
def test_any_answer_ends_in_a_report(answers: list[bytes]) -> None:
    async def probe() -> None:
        async with made(Wire(answers)) as printer:
            report = await printer.probe()
            assert report.works or report.reason is not None
            assert report.status is not DeviceStatus.STARTING

    asyncio.run(probe())


class Late:
    """A printer without paper; one of its answers comes when it is let, to whoever reads then."""

    def __init__(self, question: int) -> None:
        self.is_open = False
        self.waits = asyncio.Event()
        self.lets = asyncio.Event()
        self._question = question
        self._owed: deque[bytes] = deque()
        self._last = 0

    async def open(self, *, timeout_s: float) -> None:
        self.is_open = True

    async def write(self, data: bytes, *, timeout_s: float) -> None:
        if data[:2] == b"\x10\x04":
            self._last = data[2]
            self._owed.append(b"\x7e" if self._last == 4 else b"\x12")

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        if self._last == self._question:
            self.waits.set()
            await self.lets.wait()
        if not self._owed:
            raise DeviceTimeout("ticket-printer", Reason.SILENT)
        return self._owed.popleft()

    async def drain_input(self) -> int:
        return 0  # it has not come yet

    async def close(self) -> None:
        self.is_open = False
        self._owed.clear()


@pytest.mark.parametrize("question", [1, 3, 4])
@pytest.mark.parametrize("prints", [False, True], ids=["probe", "print"])
async def test_whoever_is_cancelled_leaves_no_answer_to_the_next(
    question: int, *, prints: bool
) -> None:
    wire = Late(question)
    async with made(wire) as printer:
        asking: asyncio.Task[object] = asyncio.create_task(
            printer.print_slip(SLIP, marked=False) if prints else printer.probe()
        )
        await wire.waits.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert not wire.is_open
        wire.lets.set()
        for _ in range(2):
            report = await printer.probe()
            assert (report.reason, report.paper) == (Reason.PAPER_OUT, Paper.OUT)
