"""What every id-card reader does, wire and simulator or fake: users may rely on exactly this."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.id_card_reader.sdt import SYNJONES, SdtConfig, SdtPort, SdtReader
from drivers.sim.control import order
from drivers.transport.hidraw import HidrawPort
from drivers.transport.serial import SerialPort
from drivers.transport.usb import UsbPort
from hallkit.errors import DeviceTimeout, DeviceUnavailable, NeedsAttention, Reason
from hallkit.model.device import DeviceStatus, ErrorAction, Media
from hallkit.model.identity import CardKind, IdentityCard, id_number_is_valid
from hallkit.ports.id_card_reader import CardRead, CardUnreadable, IdCardReader, NoCard
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import device
from tests.fakes.id_card_reader import FakeIdCardReader
from tests.twins import UsbBus


def personal_words(card: IdentityCard) -> list[str]:
    """What must not be read anywhere."""
    born = (f"{card.birth:%Y%m%d}", f"{card.birth.year}, {card.birth.month}, {card.birth.day}")
    words = (card.name, card.number, *born, card.address, card.address[6:])
    return [word for word in words if len(word) > 1]


class Bench(ABC):
    """A reader and the hands that use it."""

    reader: IdCardReader

    @abstractmethod
    async def lay(self) -> None: ...
    @abstractmethod
    async def lay_unreadable(self) -> None: ...
    @abstractmethod
    async def lift(self) -> None: ...
    @abstractmethod
    async def unplug(self) -> None: ...
    @abstractmethod
    async def fall_silent(self) -> None: ...
    @abstractmethod
    async def fail_self_test(self) -> None: ...
    @abstractmethod
    async def heal(self) -> None: ...


class FakeBench(Bench):
    def __init__(self) -> None:
        self.fake = FakeIdCardReader(SystemClock())
        self.reader = self.fake

    async def lay(self) -> None:
        self.fake.lay()

    async def lay_unreadable(self) -> None:
        self.fake.lay_unreadable()

    async def lift(self) -> None:
        self.fake.lift()

    async def unplug(self) -> None:
        self.fake.fault = DeviceUnavailable("id-card-reader", Reason.PORT_GONE)

    async def fall_silent(self) -> None:
        self.fake.fault = DeviceTimeout("id-card-reader", Reason.SILENT)

    async def fail_self_test(self) -> None:
        self.fake.fault = NeedsAttention("id-card-reader", Reason.SELF_TEST)

    async def heal(self) -> None:
        self.fake.fault = None


class SdtBench(Bench):
    def __init__(self, reader: SdtReader, control: Path) -> None:
        self.reader = reader
        self.control = control

    async def lay(self) -> None:
        await order(self.control, "card.lay")

    async def lay_unreadable(self) -> None:
        await order(self.control, "card.lay", card={"number": "110105194912310021"})

    async def lift(self) -> None:
        await order(self.control, "card.lift")

    async def unplug(self) -> None:
        await order(self.control, "unplug")

    async def fall_silent(self) -> None:
        await order(self.control, "fault.set", fault="silent", times=0)

    async def fail_self_test(self) -> None:
        await order(self.control, "fault.set", fault="self_test", times=0)

    async def heal(self) -> None:
        await order(self.control, "fault.clear")
        await order(self.control, "plug")


PORTS: dict[str, SdtPort] = {
    "sdt-usb2": UsbPort(kind="usb", vendor="0400", product="c35a"),
    "sdt-usb4": UsbPort(kind="usb", vendor="0400", product="c35a"),
    "sdt-hid": HidrawPort(kind="hidraw", vendor="2b8b", product="2721"),
}


@pytest.fixture(params=["sdt", "sdt-usb2", "sdt-usb4", "sdt-hid", "fake", "device"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "reader") as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    sdt_twin: Path = request.getfixturevalue("sdt_twin")
    link, control = sdt_twin / "link", sdt_twin / "machine"
    async with AsyncExitStack() as stack:
        if request.param == "sdt":
            port: SdtPort = SerialPort(kind="serial", path=str(link))
        else:
            bus: UsbBus = request.getfixturevalue("usb_bus")
            port = PORTS[request.param]
            before = bus.before(request.param, link, control, tmp_path / "control")
            control = await stack.enter_async_context(before)
        config = SdtConfig(id="id-card-reader", driver="sdt", transport=port)
        # A busy build machine may be slower than a reader.
        profile = replace(SYNJONES, open_s=3.0, sam_s=1.0, find_s=1.0)
        reader = SdtReader(config, SystemClock(), profile=profile)
        yield SdtBench(await stack.enter_async_context(reader), control)


async def test_a_new_reader_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.reader.report.status is DeviceStatus.STARTING
    report = await bench.reader.probe()
    assert report.works
    assert report == bench.reader.report
    assert report.port == "id_card_reader"


async def test_no_card(bench: Bench) -> None:
    assert await bench.reader.poll_card() == NoCard(left_behind=False)
    assert bench.reader.report.media is Media.NOT_PRESENT


async def test_a_card_is_read_once_until_it_is_lifted(bench: Bench) -> None:
    await bench.lay()
    first = await bench.reader.poll_card()
    assert isinstance(first, CardRead)
    # No number may stand in what a failing test says.
    is_right = first.card.kind is not CardKind.RESIDENT or id_number_is_valid(first.card.number)
    assert is_right
    assert await bench.reader.poll_card() == NoCard(left_behind=True)
    assert bench.reader.report.media is Media.PRESENT
    await bench.lift()
    assert await bench.reader.poll_card() == NoCard(left_behind=False)
    await bench.lay()
    is_the_same = await bench.reader.poll_card() == first
    assert is_the_same


async def test_an_unreadable_card_is_an_outcome_and_the_reader_still_works(bench: Bench) -> None:
    await bench.lay_unreadable()
    outcome = await bench.reader.poll_card()
    assert isinstance(outcome, CardUnreadable)
    assert outcome.reason is Reason.GARBLED
    assert bench.reader.report.works
    assert bench.reader.report.media is Media.PRESENT
    await bench.lift()
    await bench.lay()
    assert isinstance(await bench.reader.poll_card(), CardRead)


async def test_a_lost_reader_is_a_report_and_heals_by_itself(bench: Bench) -> None:
    assert (await bench.reader.probe()).works
    await bench.unplug()
    report = await bench.reader.probe()
    assert (report.status, report.reason) == (DeviceStatus.NO_DEVICE, Reason.PORT_GONE)
    with pytest.raises(DeviceUnavailable) as caught:
        await bench.reader.poll_card()
    assert caught.value.reason is Reason.PORT_GONE
    again = await bench.reader.probe()
    assert again == report
    await bench.heal()
    assert (await bench.reader.probe()).works
    await bench.lay()
    assert isinstance(await bench.reader.poll_card(), CardRead)


async def test_a_reader_comes_back_in_a_look_for_a_card_too(bench: Bench) -> None:
    await bench.unplug()
    with pytest.raises(DeviceUnavailable):
        await bench.reader.poll_card()
    await bench.heal()
    assert await bench.reader.poll_card() == NoCard()
    assert bench.reader.report.works


async def test_a_silent_reader(bench: Bench) -> None:
    await bench.fall_silent()
    report = await bench.reader.probe()
    assert (report.status, report.reason) == (DeviceStatus.OFFLINE, Reason.SILENT)
    with pytest.raises(DeviceTimeout) as caught:
        await bench.reader.poll_card()
    assert caught.value.reason is Reason.SILENT
    await bench.heal()
    assert (await bench.reader.probe()).works


async def test_a_reader_that_needs_a_technician(bench: Bench) -> None:
    await bench.fail_self_test()
    report = await bench.reader.probe()
    assert (report.status, report.reason, report.action) == (
        DeviceStatus.HARDWARE_ERROR,
        Reason.SELF_TEST,
        ErrorAction.MAINTENANCE,
    )
    with pytest.raises(NeedsAttention) as caught:
        await bench.reader.poll_card()
    assert caught.value.reason is Reason.SELF_TEST
    await bench.heal()
    report = await bench.reader.probe()
    assert (report.works, report.reason, report.action) == (True, None, None)


async def test_calls_at_the_same_time_do_not_disturb_each_other(bench: Bench) -> None:
    await bench.lay()
    _, outcome, report = await asyncio.gather(
        bench.reader.probe(), bench.reader.poll_card(), bench.reader.probe()
    )
    assert isinstance(outcome, CardRead)
    assert report.works


async def test_nothing_of_a_person_is_told(bench: Bench) -> None:
    await bench.lay()
    outcome = await bench.reader.poll_card()
    assert isinstance(outcome, CardRead)
    told = f"{outcome} {bench.reader.diagnostics()} {bench.reader.report}"
    is_quiet = not any(word in told for word in personal_words(outcome.card))
    assert is_quiet
