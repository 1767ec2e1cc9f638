"""The SDT driver against the simulated reader, process to process over a pty, under every fault."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from drivers.id_card_reader.sdt import SYNJONES, Profile, SdtConfig, SdtReader
from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.transport.serial import SerialPort
from hallkit.errors import (
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    NeedsAttention,
    NotSupported,
    ProtocolError,
    Reason,
)
from hallkit.model.device import DeviceStatus, Media
from hallkit.model.identity import CardKind
from hallkit.ports.id_card_reader import CardRead, CardUnreadable, NoCard
from hallkit.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

# A busy build machine may be slower than a reader; where an answer never comes, waiting is short.
PATIENT = replace(
    SYNJONES, sam_s=2.0, find_s=2.0, select_s=2.0, appended_s=2.0, probe_s=9, poll_s=9
)
HASTY = replace(PATIENT, sam_s=0.5, find_s=0.5, select_s=0.5, read_s=0.5)


class Bench:
    """A simulated reader, and drivers on it."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.link = folder / "reader"
        self.control = folder / "control"
        self._stack = stack

    async def start(self, *arguments: str) -> None:
        await self._stack.enter_async_context(
            simulator("drivers.sim.sdt", "--link", self.link, "--control", self.control, *arguments)
        )

    async def reader(self, profile: Profile = PATIENT, **config: Any) -> SdtReader:
        port = SerialPort(kind="serial", path=config.pop("path", str(self.link)))
        made = SdtConfig(id="id-card-reader", driver="sdt", transport=port, **config)
        return await self._stack.enter_async_context(
            SdtReader(made, SystemClock(), profile=profile)
        )

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    async def state(self) -> dict[str, Any]:
        state: dict[str, Any] = (await self.tell("state"))["state"]
        return state

    async def until_held(self) -> None:
        """Returns once the simulator holds an answer back."""
        while not (await self.state())["held"]:
            pass


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """One simulator for all tests that leave it alive; where its link and socket are."""
    folder = tmp_path_factory.mktemp("sdt")
    arguments = ("--link", folder / "reader", "--control", folder / "control")
    async with simulator("drivers.sim.sdt", *arguments):
        yield folder


@pytest.fixture
async def bench(running: Path) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        bench = Bench(running, stack)
        yield bench
    for do in ("card.lift", "fault.clear", "plug"):
        await bench.tell(do)


async def number_read(reader: SdtReader) -> str:
    outcome = await reader.poll_card()
    assert isinstance(outcome, CardRead), outcome
    return outcome.card.number


# --- cards ---


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (CardKind.RESIDENT, "11010519491231002X"),
        (CardKind.HMT_RESIDENT, "810000199408230021"),
        (CardKind.FOREIGN_2017, "CAN110081080300"),
        (CardKind.FOREIGN_2023, "911124198108030024"),
    ],
)
async def test_all_kinds_of_card(bench: Bench, kind: CardKind, number: str) -> None:
    reader = await bench.reader()
    await bench.tell("card.lay", card={"kind": kind})
    outcome = await reader.poll_card()
    assert isinstance(outcome, CardRead)
    assert outcome.card.kind is kind
    assert outcome.card.number == number
    assert outcome.card.photo_wlt.startswith(b"WL")
    assert len(outcome.card.photo_wlt) == 1024


async def test_the_fields_of_a_card(bench: Bench) -> None:
    reader = await bench.reader()
    fields = {"name": "欧阳测试", "nation": "05", "valid_to": "20391231", "address": "德阳市1号"}
    await bench.tell("card.lay", card=fields)
    outcome = await reader.poll_card()
    assert isinstance(outcome, CardRead)
    card = outcome.card
    assert (card.name, card.nation_code, card.address) == ("欧阳测试", "05", "德阳市1号")
    assert (card.birth, card.valid_to) == (dt.date(1949, 12, 31), dt.date(2039, 12, 31))


@pytest.mark.parametrize("appended", ["", "德阳市旌阳区测试路9号"])
async def test_a_card_left_behind_is_told_even_by_a_new_process(
    bench: Bench, appended: str
) -> None:
    await bench.tell("card.lay", card={"appended": appended})
    before = await bench.reader()
    assert isinstance(await before.poll_card(), CardRead)
    await before.__aexit__(None, None, None)
    after = await bench.reader()
    assert await after.poll_card() == NoCard(left_behind=True)
    assert after.report.media is Media.PRESENT
    await bench.tell("card.lift")
    assert await after.poll_card() == NoCard(left_behind=False)


async def test_a_number_that_fails_its_check_digit_is_no_card(bench: Bench) -> None:
    reader = await bench.reader()
    await bench.tell("card.lay", card={"number": "110105194912310021"})
    assert await reader.poll_card() == CardUnreadable(Reason.GARBLED, "text: number")


@pytest.mark.parametrize("size", [0, 255, 512])
async def test_a_text_of_the_wrong_size_is_no_card(bench: Bench, size: int) -> None:
    reader = await bench.reader(HASTY)
    await bench.tell("card.lay", card={"text_hex": bytes(size).hex()})
    assert await reader.poll_card() == CardUnreadable(Reason.GARBLED, "answer garbled")


# --- faults ---

FEW_GARBLES: list[dict[str, Any]] = [
    {"fault": "garble", "part": "check"},
    {"fault": "garble", "part": "length"},
    {"fault": "cut", "keep": 9},
    {"fault": "code", "code": "10"},
]
GARBLES: list[dict[str, Any]] = [
    *FEW_GARBLES,
    {"fault": "garble", "part": "preamble"},
    {"fault": "garble", "part": "status"},
    {"fault": "cut", "keep": 3},
    {"fault": "only_noise"},
    {"fault": "code", "code": "11"},
]


def label(fault: dict[str, Any]) -> str:
    return "-".join(str(value) for value in fault.values())


@pytest.mark.parametrize("fault", GARBLES, ids=label)
async def test_one_garbled_answer_to_find_is_forgiven(bench: Bench, fault: dict[str, Any]) -> None:
    reader = await bench.reader(HASTY)
    await bench.tell("card.lay")
    await bench.tell("fault.set", on="find", **fault)
    assert await number_read(reader) == "11010519491231002X"
    assert reader.diagnostics()["repeated"] == 1


@pytest.mark.parametrize("fault", GARBLES, ids=label)
async def test_two_garbled_answers_to_find_are_a_protocol_error(
    bench: Bench, fault: dict[str, Any]
) -> None:
    reader = await bench.reader(HASTY)
    await bench.tell("fault.set", on="find", times=2, **fault)
    with pytest.raises(ProtocolError) as caught:
        await reader.poll_card()
    assert caught.value.reason is Reason.GARBLED
    assert reader.report.reason is Reason.GARBLED
    assert await reader.poll_card() == NoCard()
    assert reader.report.works


@pytest.mark.parametrize("fault", FEW_GARBLES, ids=label)
async def test_garbled_status(bench: Bench, fault: dict[str, Any]) -> None:
    reader = await bench.reader(HASTY)
    await bench.tell("fault.set", on="status", times=2, **fault)
    report = await reader.probe()
    assert (report.status, report.reason) == (DeviceStatus.HARDWARE_ERROR, Reason.GARBLED)
    assert (await reader.probe()).works


@pytest.mark.parametrize("on", ["select", "read"])
@pytest.mark.parametrize("fault", [*FEW_GARBLES, {"fault": "garble", "part": "data"}], ids=label)
async def test_garbled_while_working_on_a_card_asks_for_it_again(
    bench: Bench, on: str, fault: dict[str, Any]
) -> None:
    reader = await bench.reader(HASTY)
    await bench.tell("card.lay")
    await bench.tell("fault.set", on=on, **fault)
    assert await reader.poll_card() == CardUnreadable(Reason.GARBLED, "answer garbled")
    assert reader.report.works
    await bench.tell("card.lay")
    assert await number_read(reader) == "11010519491231002X"


@pytest.mark.parametrize("on", ["status", "sam_id"])
async def test_a_probe_without_answer(bench: Bench, on: str) -> None:
    reader = await bench.reader(HASTY)
    await bench.tell("fault.set", fault="silent", on=on)
    report = await reader.probe()
    assert (report.status, report.reason) == (DeviceStatus.OFFLINE, Reason.SILENT)
    assert (await reader.probe()).works


@pytest.mark.parametrize("fault", ["drop", "silent"])
@pytest.mark.parametrize("on", ["find", "select", "read"])
async def test_no_answer_is_a_timeout(bench: Bench, fault: str, on: str) -> None:
    reader = await bench.reader(HASTY)
    await bench.tell("card.lay")
    await bench.tell("fault.set", fault=fault, on=on)
    with pytest.raises(DeviceTimeout) as caught:
        await reader.poll_card()
    assert caught.value.reason is Reason.SILENT
    assert reader.report.status is DeviceStatus.OFFLINE
    # A read whose answer was lost counts as read: the card must be lifted.
    carried_out = (fault, on) == ("drop", "read")
    outcome = await reader.poll_card()
    assert outcome == NoCard(left_behind=True) if carried_out else isinstance(outcome, CardRead)


@pytest.mark.parametrize("fault", ["double", "noise"])
@pytest.mark.parametrize("on", [None, "find", "select", "read"])
async def test_doubled_answers_and_noise_do_no_harm(
    bench: Bench, fault: str, on: str | None
) -> None:
    reader = await bench.reader()
    await bench.tell("fault.set", fault=fault, on=on, times=0)
    assert (await reader.probe()).works
    await bench.tell("card.lay")
    assert await number_read(reader) == "11010519491231002X"
    await bench.tell("card.lay", card={"kind": "J"})
    assert await number_read(reader) == "810000199408230021"


async def test_a_slow_answer_is_waited_for(bench: Bench) -> None:
    reader = await bench.reader()
    await bench.tell("card.lay")
    await bench.tell("fault.set", fault="delay", seconds=0.05, times=3)
    assert await number_read(reader) == "11010519491231002X"


async def test_an_answer_that_comes_too_late_is_not_the_next_persons(bench: Bench) -> None:
    reader = await bench.reader(HASTY)
    await bench.tell("card.lay")
    await bench.tell("fault.set", fault="hold", on="read")
    with pytest.raises(DeviceTimeout):
        await reader.poll_card()
    await bench.tell("card.lay", card={"kind": "J"})
    await bench.tell("release")
    assert await number_read(reader) == "810000199408230021"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("self_test", Reason.SELF_TEST), ("not_authorised", Reason.NOT_AUTHORISED)],
)
async def test_a_reader_that_needs_a_technician(bench: Bench, fault: str, reason: Reason) -> None:
    reader = await bench.reader()
    await bench.tell("fault.set", fault=fault, times=0)
    report = await reader.probe()
    assert (report.status, report.reason) == (DeviceStatus.HARDWARE_ERROR, reason)
    with pytest.raises(NeedsAttention) as caught:
        await reader.poll_card()
    assert caught.value.reason is reason
    await bench.tell("fault.clear")
    assert (await reader.probe()).works


@pytest.mark.parametrize(
    ("on", "code", "reason"),
    [
        ("select", "24", Reason.GARBLED),
        ("select", "31", Reason.UNSUPPORTED),
        ("select", "32", Reason.UNSUPPORTED),
        ("select", "40", Reason.UNSUPPORTED),
        ("select", "47", Reason.GARBLED),
        ("select", "81", Reason.GARBLED),
        ("read", "32", Reason.UNSUPPORTED),
        ("read", "33", Reason.GARBLED),
        ("read", "41", Reason.GARBLED),
    ],
)
async def test_statuses_that_are_about_the_card(
    bench: Bench, on: str, code: str, reason: Reason
) -> None:
    reader = await bench.reader()
    await bench.tell("card.lay")
    await bench.tell("fault.set", fault="code", code=code, on=on)
    outcome = await reader.poll_card()
    assert isinstance(outcome, CardUnreadable)
    assert outcome.reason is reason
    assert outcome.detail.startswith(code)
    assert reader.report.works
    # Nothing was read, so that the card need not be lifted.
    assert await number_read(reader) == "11010519491231002X"


@pytest.mark.parametrize(("fault", "on"), [("select_fail", "select"), ("read_fail", "read")])
async def test_a_card_that_moves_away(bench: Bench, fault: str, on: str) -> None:
    reader = await bench.reader()
    await bench.tell("card.lay")
    await bench.tell("fault.set", fault=fault, on=on)
    assert isinstance(await reader.poll_card(), CardUnreadable)


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        ("21", NotSupported, Reason.UNSUPPORTED),
        ("23", NotSupported, Reason.UNSUPPORTED),
        ("24", ProtocolError, Reason.GARBLED),
    ],
)
async def test_statuses_that_are_about_the_reader(
    bench: Bench, code: str, error: type[DeviceError], reason: Reason
) -> None:
    reader = await bench.reader()
    await bench.tell("fault.set", fault="code", code=code, on="find")
    with pytest.raises(error) as caught:
        await reader.poll_card()
    assert caught.value.reason is reason
    assert await reader.poll_card() == NoCard()


# --- the port ---


async def test_unplugged_and_plugged_in_again_without_a_restart(bench: Bench) -> None:
    with capture_logs() as logs:
        reader = await bench.reader()
        assert (await reader.probe()).works
        await bench.tell("unplug")
        for _ in range(3):
            assert (await reader.probe()).status is DeviceStatus.NO_DEVICE
            with pytest.raises(DeviceUnavailable) as caught:
                await reader.poll_card()
            assert caught.value.reason is Reason.PORT_GONE
        await bench.tell("plug")
        assert (await reader.probe()).works
        await bench.tell("card.lay")
        assert isinstance(await reader.poll_card(), CardRead)
    states = [entry["status"] for entry in logs if entry["event"] == "device.state"]
    assert states == ["online", "noDevice", "online", "online"]


async def test_unplugged_while_a_card_is_being_read(bench: Bench) -> None:
    reader = await bench.reader(replace(PATIENT, read_s=9.0))
    await bench.tell("card.lay")
    await bench.tell("fault.set", fault="hold", on="read")
    polling = asyncio.create_task(reader.poll_card())
    await bench.until_held()
    await bench.tell("unplug")
    with pytest.raises(DeviceUnavailable) as caught:
        await polling
    assert caught.value.reason is Reason.PORT_GONE
    await bench.tell("plug")
    assert (await reader.probe()).works


async def test_given_up_while_a_card_is_being_read(bench: Bench) -> None:
    reader = await bench.reader(replace(PATIENT, read_s=9.0))
    await bench.tell("card.lay")
    await bench.tell("fault.set", fault="hold", on="read")
    polling = asyncio.create_task(reader.poll_card())
    await bench.until_held()
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling
    await bench.tell("release")
    assert await reader.poll_card() == NoCard(left_behind=True)


async def test_the_simulator_dies_and_comes_back(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        bench = Bench(tmp_path, stack)
        reader = await bench.reader()
        assert (await reader.probe()).status is DeviceStatus.NO_DEVICE
        arguments = ("--link", bench.link, "--control", bench.control)
        async with simulator("drivers.sim.sdt", *arguments) as process:
            assert (await reader.probe()).works
            process.kill()
            await process.wait()
            assert (await reader.probe()).status is DeviceStatus.NO_DEVICE
        await bench.start()
        assert (await reader.probe()).works


async def test_another_program_holds_the_port(bench: Bench) -> None:
    await bench.tell("fault.set", fault="busy")
    reader = await bench.reader()
    report = await reader.probe()
    assert (report.status, report.reason) == (DeviceStatus.DEVICE_BUSY, Reason.OCCUPIED)
    with pytest.raises(DeviceUnavailable) as caught:
        await reader.poll_card()
    assert caught.value.reason is Reason.OCCUPIED
    await bench.tell("fault.clear")
    assert (await reader.probe()).works


async def test_two_drivers_cannot_hold_one_port(bench: Bench) -> None:
    first, second = await bench.reader(), await bench.reader()
    assert (await first.probe()).works
    assert (await second.probe()).reason is Reason.OCCUPIED
    assert (await first.probe()).works


async def test_a_file_is_not_a_port(bench: Bench, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    reader = await bench.reader(path=str(plain))
    assert (await reader.probe()).reason is Reason.REFUSED
    reader = await bench.reader(path=str(tmp_path / "absent"))
    assert (await reader.probe()).reason is Reason.PORT_GONE


async def test_the_rate_is_found(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        bench = Bench(tmp_path, stack)
        await bench.start("--baud", "19200")
        fixed = await bench.reader(HASTY)
        assert (await fixed.probe()).reason is Reason.SILENT
        await fixed.__aexit__(None, None, None)
        finding = await bench.reader(HASTY, find_baud=True)
        assert (await finding.probe()).works
        assert str(finding.diagnostics()["wire"]).endswith("@19200")
        await bench.tell("card.lay")
        assert isinstance(await finding.poll_card(), CardRead)


async def test_no_rate_is_found(bench: Bench) -> None:
    await bench.tell("fault.set", fault="silent", times=0)
    reader = await bench.reader(replace(HASTY, sam_s=0.1), find_baud=True)
    assert (await reader.probe()).reason is Reason.SILENT


# --- the simulator itself ---


@pytest.mark.parametrize(
    ("do", "arguments"),
    [
        ("nonsense", {}),
        ("card.lay", {"card": {"kind": "Q"}}),
        ("card.lay", {"card": {"colour": "red"}}),
        ("card.lay", {"card": {"name": "字" * 16}}),
        ("fault.set", {"fault": "nonsense"}),
        ("fault.set", {"fault": "drop", "on": "nonsense"}),
        ("fault.set", {"fault": "garble", "part": "nonsense"}),
        ("fault.set", {"fault": "code"}),
        ("fault.set", {"fault": "delay"}),
    ],
)
async def test_orders_that_make_no_sense_are_refused(
    bench: Bench, do: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(RuntimeError):
        await bench.tell(do, **arguments)
    assert (await bench.state())["faults"] == []


async def test_the_link_and_the_socket_go_when_the_simulator_ends(tmp_path: Path) -> None:
    link, control = tmp_path / "reader", tmp_path / "control"
    async with simulator("drivers.sim.sdt", "--link", link, "--control", control):
        assert link.is_symlink()
    assert list(tmp_path.iterdir()) == []
