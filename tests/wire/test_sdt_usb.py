"""The SDT driver on readers with USB: what the wire adds to tests/wire/test_sdt_reader.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.id_card_reader.sdt import Profile, SdtConfig, SdtReader
from drivers.sim.control import order
from drivers.transport.usb import UsbPort
from hallkit.errors import DeviceTimeout, DeviceUnavailable, ProtocolError, Reason
from hallkit.model.device import DeviceStatus
from hallkit.ports.id_card_reader import CardRead, CardUnreadable, NoCard
from hallkit.runtime.clock import SystemClock
from tests.twins import UsbBus

pytestmark = pytest.mark.wire

PATIENT = Profile(
    open_s=5.0,
    sam_s=2.0,
    find_s=2.0,
    select_s=2.0,
    read_s=9.0,
    appended_s=2.0,
    probe_s=9.0,
    poll_s=9.0,
)
HASTY = replace(PATIENT, sam_s=0.5, find_s=0.5, select_s=0.5, read_s=0.5)
SAMPLE = "11010519491231002X"
PORT = UsbPort(kind="usb", vendor="0400", product="c35a")


class Bench:
    def __init__(self, control: Path, stack: AsyncExitStack) -> None:
        self.control = control
        self._stack = stack

    async def reader(self, profile: Profile = PATIENT, **where: str) -> SdtReader:
        port = PORT.model_copy(update=where)
        config = SdtConfig(id="id-card-reader", driver="sdt", transport=port)
        reader = SdtReader(config, SystemClock(), profile=profile)
        return await self._stack.enter_async_context(reader)

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    async def until_held(self) -> None:
        """Returns once the reader holds an answer back."""
        while not (await self.tell("state"))["state"]["held"]:
            pass


@pytest.fixture(params=["sdt-usb2", "sdt-usb4"])
async def bench(
    request: pytest.FixtureRequest, tmp_path: Path, usb_bus: UsbBus, sdt_twin: Path
) -> AsyncIterator[Bench]:
    link, machine = sdt_twin / "link", sdt_twin / "machine"
    async with (
        usb_bus.before(request.param, link, machine, tmp_path / "control") as control,
        AsyncExitStack() as stack,
    ):
        yield Bench(control, stack)


async def number_read(reader: SdtReader) -> str:
    outcome = await reader.poll_card()
    assert isinstance(outcome, CardRead), outcome
    return outcome.card.number


async def test_pulled_out_in_the_middle_of_an_answer(bench: Bench) -> None:
    reader = await bench.reader()
    await bench.tell("card.lay")
    await bench.tell("fault.set", fault="hold", on="read")
    looking = asyncio.create_task(reader.poll_card())
    await bench.until_held()
    await bench.tell("unplug")
    with pytest.raises(DeviceUnavailable) as caught:
        await looking
    assert caught.value.reason is Reason.PORT_GONE
    assert (await reader.probe()).status is DeviceStatus.NO_DEVICE
    await bench.tell("plug")
    assert (await reader.probe()).works
    await bench.tell("card.lay")
    assert await number_read(reader) == SAMPLE


async def test_given_up_in_the_middle_of_an_answer(bench: Bench) -> None:
    reader = await bench.reader()
    await bench.tell("card.lay")
    await bench.tell("fault.set", fault="hold", on="read")
    looking = asyncio.create_task(reader.poll_card())
    await bench.until_held()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    await bench.tell("release")
    assert await reader.poll_card() == NoCard(left_behind=True)


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
    "fault",
    [
        {"fault": "garble", "part": "length"},
        {"fault": "cut", "keep": 3},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
async def test_garbled_once_is_forgiven_and_twice_is_a_fault(
    bench: Bench, fault: dict[str, Any]
) -> None:
    reader = await bench.reader(replace(HASTY, find_s=0.25))
    await bench.tell("card.lay")
    await bench.tell("fault.set", on="find", **fault)
    assert await number_read(reader) == SAMPLE
    await bench.tell("fault.set", on="find", times=2, **fault)
    with pytest.raises(ProtocolError):
        await reader.poll_card()
    assert (await reader.probe()).works


async def test_an_answer_said_twice_is_taken_once(bench: Bench) -> None:
    reader = await bench.reader()
    await bench.tell("card.lay")
    await bench.tell("fault.set", times=0, fault="double")
    assert await number_read(reader) == SAMPLE


@pytest.mark.parametrize("bench", ["sdt-usb2"], indirect=True)
async def test_what_stands_before_an_answer_is_skipped(bench: Bench) -> None:
    reader = await bench.reader()
    await bench.tell("card.lay")
    await bench.tell("fault.set", times=0, fault="noise")
    assert await number_read(reader) == SAMPLE


@pytest.mark.parametrize(
    "fault",
    [{"fault": "stall", "way": "in"}, {"fault": "stall", "way": "out"}, {"fault": "short"}],
    ids=["stall-in", "stall-out", "short"],
)
async def test_halts_and_small_packets_harm_nothing(bench: Bench, fault: dict[str, Any]) -> None:
    reader = await bench.reader()
    assert (await reader.probe()).works
    await bench.tell("card.lay")
    await bench.tell("fault.set", **fault)
    assert await number_read(reader) == SAMPLE
    assert reader.diagnostics()["connects"] == 1


async def test_a_reader_that_takes_no_command_is_silent(bench: Bench) -> None:
    reader = await bench.reader(HASTY)
    assert (await reader.probe()).works
    await bench.tell("fault.set", fault="deaf")
    assert (await reader.probe()).reason is Reason.SILENT
    await bench.tell("fault.clear")
    assert (await reader.probe()).works


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("claimed", DeviceStatus.DEVICE_BUSY, Reason.OCCUPIED),
        ("denied", DeviceStatus.OFFLINE, Reason.REFUSED),
    ],
)
async def test_another_program_or_the_rights_stand_before_it(
    bench: Bench, fault: str, status: DeviceStatus, reason: Reason
) -> None:
    await bench.tell("fault.set", fault=fault)
    reader = await bench.reader()
    report = await reader.probe()
    assert (report.status, report.reason) == (status, reason)
    await bench.tell("fault.clear")
    assert (await reader.probe()).works


async def test_two_drivers_cannot_hold_one_reader(bench: Bench) -> None:
    first, second = await bench.reader(), await bench.reader()
    assert (await first.probe()).works
    assert (await second.probe()).reason is Reason.OCCUPIED
    assert (await first.probe()).works


async def test_two_readers_alike_each_have_their_own_card(usb_bus: UsbBus, tmp_path: Path) -> None:
    kinds = {"1": "resident", "2": "J"}
    async with AsyncExitStack() as stack:
        numbers = []
        for port, kind in kinds.items():
            folder = tmp_path / port
            folder.mkdir()
            control = await stack.enter_async_context(
                usb_bus.device("sdt-usb2", folder, "drivers.sim.sdt", port=port)
            )
            bench = Bench(control, stack)
            await bench.tell("card.lay", card={"kind": kind})
        for port in kinds:
            reader = await bench.reader(port=f"1-{port}")
            numbers.append(await number_read(reader))
    assert numbers == [SAMPLE, "810000199408230021"]


async def test_a_card_that_answers_nonsense_is_unreadable(bench: Bench) -> None:
    reader = await bench.reader(HASTY)
    await bench.tell("card.lay")
    await bench.tell("fault.set", fault="garble", part="data", on="read")
    assert isinstance(await reader.poll_card(), CardUnreadable)
