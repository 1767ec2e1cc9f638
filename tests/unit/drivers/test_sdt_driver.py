"""The SDT driver against a scripted wire and a clock that only the wire moves."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from drivers.id_card_reader.sdt import SYNJONES, SdtConfig, SdtReader
from drivers.id_card_reader.sdt_frames import (
    APPENDED,
    FIND,
    READ,
    SAM_ID,
    SAM_STATUS,
    SELECT,
    Command,
    frame,
)
from drivers.registry import discover, parse_peripherals
from drivers.transport.serial import SerialPort
from hallkit.errors import (
    ConfigError,
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    NotSupported,
    ProtocolError,
    Reason,
)
from hallkit.model.device import DeviceStatus, Media
from hallkit.ports.id_card_reader import CardOutcome, CardRead, CardUnreadable, NoCard

CONFIG = SdtConfig(
    id="id-card-reader", driver="sdt", transport=SerialPort(kind="serial", path="/dev/reader")
)

OK = frame(b"\0\0\x90")
NONE = frame(b"\0\0\x80")
FOUND = frame(b"\0\0\x9f" + bytes(4))
SELECTED = frame(b"\0\0\x90" + bytes(8))
NOT_THERE = frame(b"\0\0\x91")


def text_of(name: str, number: str) -> bytes:
    text = bytearray(" " * 128, "utf-16-le")
    fields = {
        0: name,
        30: "2",
        32: "01",
        36: number[6:14],
        52: "四川省什邡市测试路1号",
        122: number,
        158: "什邡市公安局",
        188: "20200101",
        204: "20400101",
    }
    for offset, value in fields.items():
        raw = value.encode("utf-16-le")
        text[offset : offset + len(raw)] = raw
    return bytes(text)


def read_answer(name: str, number: str) -> bytes:
    return frame(bytes.fromhex("0000900100 0400") + text_of(name, number) + bytes(1024))


ZHANG = read_answer("张三", "11010519491231002X")
LI = read_answer("李四", "810000199408230021")


class WireClock:
    """Time that passes only while the wire waits."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def wall_ms(self) -> int:
        return int(self.now_s * 1000)

    def mono_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class ScriptedWire:
    """Answers the n-th request with the n-th list of deliveries; then silence.

    A delivery of `None` is a hang-up. Each takes `pace_s`. What a dialogue leaves unread
    arrives before the answer to the next request: the worst case, too late to be drained.
    """

    def __init__(
        self, clock: WireClock, *answers: list[bytes | None], pace_s: float = 0.01
    ) -> None:
        self.clock = clock
        self.answers = deque(answers)
        self.arriving: deque[bytes | None] = deque()
        self.pace_s = pace_s
        self.sent: list[bytes] = []
        self.is_open = False
        self.opened = 0
        self.endless = b""

    async def open(self, *, timeout_s: float) -> None:
        self.is_open = True
        self.opened += 1

    async def write(self, data: bytes, *, timeout_s: float) -> None:
        self.sent.append(data)
        if self.answers:
            self.arriving.extend(self.answers.popleft())

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        if not self.is_open:
            raise DeviceUnavailable("id-card-reader", Reason.PORT_GONE)
        if self.pace_s > timeout_s or not (self.arriving or self.endless):
            self.clock.now_s += timeout_s
            raise DeviceTimeout("id-card-reader", Reason.SILENT)
        self.clock.now_s += self.pace_s
        delivery = self.arriving.popleft() if self.arriving else self.endless
        if delivery is None:
            self.is_open = False
            raise DeviceUnavailable("id-card-reader", Reason.PORT_GONE)
        return delivery

    async def drain_input(self) -> int:
        return 0

    async def close(self) -> None:
        self.is_open = False


class Bench:
    def __init__(self, *answers: list[bytes | None], pace_s: float = 0.01) -> None:
        self.clock = WireClock()
        self.wire = ScriptedWire(self.clock, *answers, pace_s=pace_s)
        self.reader = SdtReader(CONFIG, self.clock, open_transport=lambda _id, _port: self.wire)

    def asked(self) -> list[Command]:
        commands = (SAM_STATUS, SAM_ID, FIND, SELECT, READ, APPENDED)
        return [
            command for sent in self.wire.sent for command in commands if command.request == sent
        ]


def name_of(outcome: CardOutcome) -> str:
    assert isinstance(outcome, CardRead), outcome
    return outcome.card.name


async def test_find_select_read() -> None:
    bench = Bench([FOUND], [SELECTED], [ZHANG])
    assert name_of(await bench.reader.poll_card()) == "张三"
    assert bench.asked() == [FIND, SELECT, READ]
    assert bench.reader.report.status is DeviceStatus.ONLINE
    assert bench.reader.report.media is Media.PRESENT


async def test_a_card_that_was_read_lies_there_until_lifted() -> None:
    bench = Bench([NONE], [NOT_THERE], [NONE], [OK], [NONE], [frame(b"\0\0\x41")])
    assert await bench.reader.poll_card() == NoCard(left_behind=True)
    assert await bench.reader.poll_card() == NoCard(left_behind=True)
    assert await bench.reader.poll_card() == NoCard(left_behind=False)
    assert bench.asked() == [FIND, APPENDED] * 3


async def test_a_reader_that_does_not_know_the_question_for_the_address_still_works() -> None:
    for answer in ([], [frame(b"\0\0\x21")], [frame(b"\0\0\x24")], [b"\xaa"]):
        bench = Bench([NONE], list(answer))
        assert await bench.reader.poll_card() == NoCard(left_behind=False)
        assert bench.reader.report.works


async def test_answers_that_arrive_late_or_twice_are_not_taken_for_others() -> None:
    bench = Bench([FOUND, FOUND], [SELECTED, SELECTED], [ZHANG, ZHANG], [FOUND], [SELECTED], [LI])
    assert name_of(await bench.reader.poll_card()) == "张三"
    # The second copy of the first person's answer comes in before the second person's.
    assert name_of(await bench.reader.poll_card()) == "李四"
    assert bench.reader.diagnostics()["stale_replies"] == 3


async def test_a_garbled_question_is_asked_once_more() -> None:
    bench = Bench([FOUND[:-1] + b"\0"], [FOUND], [SELECTED], [ZHANG])
    assert name_of(await bench.reader.poll_card()) == "张三"
    assert bench.asked() == [FIND, FIND, SELECT, READ]


async def test_the_second_garbled_answer_is_a_fault() -> None:
    bench = Bench([b"\x00"], [b"\x00"], [FOUND])
    with pytest.raises(ProtocolError) as caught:
        await bench.reader.poll_card()
    assert caught.value.reason is Reason.GARBLED
    assert bench.asked() == [FIND, FIND]
    assert not bench.wire.is_open


@pytest.mark.parametrize("answers", [([b"\x00"],), ([SELECTED], [ZHANG[:-1] + b"\0"])])
async def test_select_and_read_are_never_repeated(answers: tuple[list[bytes | None], ...]) -> None:
    bench = Bench([FOUND], *answers)
    assert await bench.reader.poll_card() == CardUnreadable(Reason.GARBLED, "answer garbled")
    assert len(bench.asked()) == 1 + len(answers)


async def test_a_frame_that_holds_with_lengths_that_do_not_is_no_card() -> None:
    bench = Bench([FOUND], [SELECTED], [frame(b"\0\0\x90" + bytes(4 + 256 + 1024))])
    assert await bench.reader.poll_card() == CardUnreadable(Reason.GARBLED, "answer garbled")


async def test_a_reader_that_never_stops_talking_ends_at_the_deadline() -> None:
    bench = Bench()
    bench.wire.endless = b"\xaa" * 4096
    with pytest.raises(ProtocolError):
        await bench.reader.poll_card()
    assert bench.clock.now_s <= SYNJONES.poll_s


async def test_the_serial_number_is_asked_once_per_connection() -> None:
    sam_id = frame(b"\0\0\x90" + bytes.fromhex("0500010009B83201E7030000AD000000"))
    bench = Bench([OK], [sam_id], [OK], [None], [OK], [sam_id])
    first = await bench.reader.probe()
    assert first.serial == "05.01-20101129-0000000999-0000000173"
    assert await bench.reader.probe() == first
    assert (await bench.reader.probe()).status is DeviceStatus.NO_DEVICE
    assert (await bench.reader.probe()).works
    assert bench.asked() == [SAM_STATUS, SAM_ID, SAM_STATUS, SAM_STATUS, SAM_STATUS, SAM_ID]
    assert bench.wire.opened == 2


async def test_a_reader_without_a_number_has_none() -> None:
    report = await Bench([OK], [frame(b"\0\0\x21")]).reader.probe()
    assert report.works
    assert report.serial == ""


async def test_a_command_that_is_not_known_is_a_fault_of_the_configuration() -> None:
    bench = Bench([frame(b"\0\0\x21")])
    with pytest.raises(NotSupported):
        await bench.reader.poll_card()
    assert bench.reader.report.reason is Reason.UNSUPPORTED


async def test_a_loss_is_logged_once_and_dated_once() -> None:
    with capture_logs() as logs:
        bench = Bench([OK], [OK])
        reports = [await bench.reader.probe() for _ in range(4)]
    assert {report.status for report in reports} == {DeviceStatus.OFFLINE}
    assert {report.since_ms for report in reports} == {reports[0].since_ms}
    assert [entry["event"] for entry in logs] == ["device.state"]


async def test_the_turn_is_given_back_when_a_dialogue_is_given_up() -> None:
    class Stuck(ScriptedWire):
        async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
            if self.arriving:
                return await super().read(timeout_s=timeout_s)
            reading.set()
            await asyncio.Event().wait()
            return b""

    reading = asyncio.Event()
    clock = WireClock()
    wire = Stuck(clock)
    reader = SdtReader(CONFIG, clock, open_transport=lambda _id, _port: wire)
    polling = asyncio.create_task(reader.poll_card())
    await reading.wait()
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling
    assert not wire.is_open
    wire.answers.extend([[FOUND], [SELECTED], [ZHANG]])
    assert name_of(await reader.poll_card()) == "张三"


async def test_dialogues_do_not_mix() -> None:
    sam_id = frame(b"\0\0\x90" + bytes(16))
    bench = Bench([OK], [sam_id], [FOUND], [SELECTED], [ZHANG], [OK])
    await asyncio.gather(bench.reader.probe(), bench.reader.poll_card(), bench.reader.probe())
    assert bench.asked() == [SAM_STATUS, SAM_ID, FIND, SELECT, READ, SAM_STATUS]


async def test_nothing_of_the_person_is_in_diagnostics_report_or_log() -> None:
    with capture_logs() as logs:
        bench = Bench([FOUND], [SELECTED], [ZHANG])
        outcome = await bench.reader.poll_card()
    told = f"{bench.reader.diagnostics()} {bench.reader.report} {logs} {outcome}"
    for personal in ("张三", "11010519491231002X", "19491231", "1949, 12, 31", "什邡"):
        assert personal not in told


async def outcome_or_fault(reader: SdtReader) -> CardOutcome | DeviceError:
    try:
        return await reader.poll_card()
    except DeviceError as fault:
        return fault


DELIVERIES = st.lists(
    st.one_of(
        st.sampled_from([OK, NONE, FOUND, SELECTED, NOT_THERE, ZHANG, None]),
        st.binary(min_size=1, max_size=20),
        st.integers(0, 255).map(lambda status: frame(bytes([0, 0, status]))),
        st.sampled_from([OK, FOUND, ZHANG]).map(lambda raw: raw[:-1]),
    ),
    max_size=3,
)


@given(
    st.lists(DELIVERIES, max_size=8),
    st.booleans(),
    st.sampled_from([0.01, 0.29, 0.49, 3.4]),
    st.sampled_from([b"", b"\xaa\xaa\xaa\x96\x69\x09", OK]),
)
async def test_whatever_the_wire_says_a_call_ends_in_time_with_a_named_result(
    script: list[list[bytes | None]], probe: bool, pace_s: float, endless: bytes
) -> None:
    bench = Bench(*script, pace_s=pace_s)
    bench.wire.endless = endless
    if probe:
        assert (await bench.reader.probe()).id == "id-card-reader"
        assert bench.clock.now_s <= SYNJONES.probe_s + 1e-6
        return
    outcome = await outcome_or_fault(bench.reader)
    if isinstance(outcome, DeviceError):
        assert bench.reader.report.reason is outcome.reason
    else:
        assert not isinstance(outcome, CardRead) or outcome.card.name == "张三"
        assert bench.reader.report.works
    assert bench.clock.now_s <= SYNJONES.poll_s + 1e-6


def test_the_driver_is_found_and_its_configuration_checked() -> None:
    entry = {
        "id": "id-card-reader",
        "driver": "sdt",
        "transport": {"kind": "serial", "path": "ports/reader"},
    }
    specs = discover()
    ((spec, config),) = parse_peripherals([entry], specs, file="device.toml")
    assert (spec.key, spec.port) == ("sdt", "id_card_reader")
    assert isinstance(config, SdtConfig)
    assert config.transport.baud == 115200
    assert isinstance(spec.open(config, WireClock()), SdtReader)
    with pytest.raises(ConfigError) as caught:
        parse_peripherals([{**entry, "find_boud": True}], specs, file="device.toml")
    assert "find_baud" in str(caught.value)
