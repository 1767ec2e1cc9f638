"""What every chip card reader does, with a real pcscd or as a fake: users may rely on this."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.chip_card_reader.pcsc import PcscConfig, PcscPort, PcscReader
from drivers.driver import status_of
from drivers.sim.control import order
from hallkit.errors import DeviceBusy, DeviceError, DeviceTimeout, DeviceUnavailable, Reason
from hallkit.model.chip_card import ApduAnswer, CardSays, ChipCardKind
from hallkit.model.device import DeviceStatus, Media
from hallkit.ports.chip_card_reader import (
    CardRemoved,
    ChipCardReader,
    HolderNeedsPlugin,
    UnknownCard,
)
from hallkit.ports.id_card_reader import CardUnreadable, NoCard
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import device
from tests.fakes.chip_card_reader import OTHER, SOCIAL_SECURITY, FakeChipCardReader

NO_COMMAND = bytes.fromhex("00FE000000")
"""No card knows it."""
CHOOSE_FILE = bytes.fromhex("00A4000002EF15")
READ_FILE = bytes.fromhex("00B0000004")
LONG_S = 20.0


class Bench(ABC):
    """A reader and the hands that use it."""

    reader: ChipCardReader
    atr: bytes | None = None
    """That of the social-security card, where it is known beforehand."""
    has_file: bool = False
    """Whether the card has the file of `READ_FILE`."""

    @abstractmethod
    async def insert(self) -> None: ...
    @abstractmethod
    async def insert_other(self) -> None: ...
    @abstractmethod
    async def insert_mute(self) -> None: ...
    @abstractmethod
    async def remove(self) -> None: ...
    @abstractmethod
    async def pull_at_next_command(self) -> None: ...
    @abstractmethod
    async def break_(self, reason: Reason) -> None: ...
    @abstractmethod
    async def mend(self) -> None: ...


class FakeBench(Bench):
    atr, has_file = SOCIAL_SECURITY.atr, True

    def __init__(self) -> None:
        self.fake = FakeChipCardReader(SystemClock())
        self.fake.answers = {
            CHOOSE_FILE: ApduAnswer(data=b"", status=0x9000),
            READ_FILE: ApduAnswer(data=bytes.fromhex("00112233"), status=0x9000),
        }
        self.reader = self.fake

    async def insert(self) -> None:
        self.fake.insert(SOCIAL_SECURITY)

    async def insert_other(self) -> None:
        self.fake.insert(OTHER)

    async def insert_mute(self) -> None:
        self.fake.insert(CardUnreadable(Reason.SILENT))

    async def remove(self) -> None:
        self.fake.remove()

    async def pull_at_next_command(self) -> None:
        self.fake.pulled_at_next_command = True

    async def break_(self, reason: Reason) -> None:
        fault = {Reason.SILENT: DeviceTimeout, Reason.OCCUPIED: DeviceBusy}
        self.fake.fault = fault.get(reason, DeviceUnavailable)("chip-card-reader", reason)

    async def mend(self) -> None:
        self.fake.fault = None


class PcscBench(Bench):
    atr, has_file = SOCIAL_SECURITY.atr, True

    def __init__(self, reader: PcscReader, control: Path) -> None:
        self.reader = reader
        self.control = control

    async def insert(self) -> None:
        await order(self.control, "card.insert", files={"EF15": "00112233"})

    async def insert_other(self) -> None:
        await order(self.control, "card.insert", kind="other")

    async def insert_mute(self) -> None:
        await order(self.control, "fault.set", fault="mute")
        await self.insert()

    async def remove(self) -> None:
        await order(self.control, "card.remove")

    async def pull_at_next_command(self) -> None:
        await order(self.control, "fault.set", fault="pull")

    async def break_(self, reason: Reason) -> None:
        words = {
            Reason.PORT_GONE: "reader.unplug",
            Reason.REFUSED: "daemon.kill",
            Reason.SILENT: "daemon.freeze",
            Reason.OCCUPIED: "busy",
        }
        await order(self.control, words[reason])

    async def mend(self) -> None:
        for do in ("daemon.thaw", "reader.plug", "daemon.start", "free"):
            await order(self.control, do)


@pytest.fixture(params=["pcsc", "fake", "device"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "reader") as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    twin: Path = request.getfixturevalue("pcsc_twin")
    config = PcscConfig(
        id="chip-card-reader",
        driver="pcsc",
        transport=PcscPort(reader="Hall Twin 00 00"),
        call_timeout_s=1.0,
    )
    async with PcscReader(config, SystemClock()) as reader:
        yield PcscBench(reader, twin)


async def test_a_new_reader_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.reader.report.status is DeviceStatus.STARTING
    report = await bench.reader.probe()
    assert report.works
    assert report == bench.reader.report
    assert report.port == "chip_card_reader"


async def test_no_card(bench: Bench) -> None:
    assert await bench.reader.poll_card() == NoCard(left_behind=False)
    assert bench.reader.report.media is Media.NOT_PRESENT
    async with bench.reader.session() as card:
        assert card == NoCard()


async def test_a_social_security_card_is_known_and_its_fields_need_the_plugin(
    bench: Bench,
) -> None:
    await bench.insert()
    outcome = await bench.reader.poll_card()
    assert isinstance(outcome, HolderNeedsPlugin)
    assert outcome.card.kind is ChipCardKind.SOCIAL_SECURITY
    assert bench.atr in (None, outcome.card.atr)


async def test_a_card_is_read_once_until_it_is_taken_out(bench: Bench) -> None:
    await bench.insert()
    first = await bench.reader.poll_card()
    assert await bench.reader.poll_card() == NoCard(left_behind=True)
    assert bench.reader.report.media is Media.PRESENT
    await bench.remove()
    assert await bench.reader.poll_card() == NoCard(left_behind=False)
    await bench.insert()
    assert await bench.reader.poll_card() == first


async def test_a_card_that_was_changed_between_two_looks_is_a_new_one(bench: Bench) -> None:
    await bench.insert()
    assert isinstance(await bench.reader.poll_card(), HolderNeedsPlugin)
    await bench.remove()
    await bench.insert_other()
    assert isinstance(await bench.reader.poll_card(), UnknownCard)


async def test_any_other_card_is_an_unknown_one(bench: Bench) -> None:
    await bench.insert_other()
    outcome = await bench.reader.poll_card()
    assert isinstance(outcome, UnknownCard)
    assert outcome.card.kind is ChipCardKind.UNKNOWN
    assert bench.atr is None or outcome.card.atr == OTHER.atr
    assert await bench.reader.poll_card() == NoCard(left_behind=True)


async def test_a_mute_card_is_an_outcome_and_the_reader_still_works(bench: Bench) -> None:
    await bench.insert_mute()
    outcome = await bench.reader.poll_card()
    assert isinstance(outcome, CardUnreadable)
    assert outcome.reason is Reason.SILENT
    assert bench.reader.report.works
    assert bench.reader.report.media is Media.PRESENT
    await bench.remove()
    await bench.insert()
    assert isinstance(await bench.reader.poll_card(), HolderNeedsPlugin)


async def test_a_card_that_is_pulled_while_it_is_read_is_an_outcome(bench: Bench) -> None:
    await bench.insert()
    await bench.pull_at_next_command()
    assert await bench.reader.poll_card() == CardRemoved()
    assert bench.reader.report.works
    assert await bench.reader.poll_card() == NoCard()


async def test_commands_go_to_the_card_while_a_session_lasts(bench: Bench) -> None:
    await bench.insert()
    async with bench.reader.session() as card:
        assert not isinstance(card, NoCard | CardRemoved | CardUnreadable)
        assert bench.atr in (None, card.atr)
        assert isinstance(await card.exchange(CHOOSE_FILE), ApduAnswer)
        answer = await card.exchange(READ_FILE)
        assert isinstance(answer, ApduAnswer)
        if bench.has_file:
            assert (answer.says, answer.data) == (CardSays.DONE, bytes.fromhex("00112233"))
        refused = await card.exchange(NO_COMMAND)
        assert isinstance(refused, ApduAnswer)
        assert refused.says is CardSays.NOT_KNOWN
        with pytest.raises(ValueError, match="command"):
            await card.exchange(b"\0")
        assert (await bench.reader.probe()).works, "a probe does not wait for a session"
    with pytest.raises(ValueError, match="session"):
        await card.exchange(READ_FILE)


async def test_a_session_does_not_make_a_card_a_read_one(bench: Bench) -> None:
    await bench.insert()
    async with bench.reader.session():
        pass
    assert isinstance(await bench.reader.poll_card(), HolderNeedsPlugin)


async def test_a_card_that_is_pulled_out_of_a_session(bench: Bench) -> None:
    await bench.insert()
    await bench.pull_at_next_command()
    async with bench.reader.session() as card:
        assert not isinstance(card, NoCard | CardRemoved | CardUnreadable)
        assert await card.exchange(READ_FILE) == CardRemoved()


@pytest.mark.parametrize(
    "reason", [Reason.PORT_GONE, Reason.REFUSED, Reason.SILENT, Reason.OCCUPIED]
)
async def test_a_lost_reader_is_a_report_and_heals_by_itself(bench: Bench, reason: Reason) -> None:
    await bench.insert()
    assert (await bench.reader.probe()).works
    await bench.break_(reason)
    report = await bench.reader.probe()
    assert (report.works, report.reason) == (False, reason)
    assert (report.status, report.action) == status_of(reason)
    with pytest.raises(DeviceError) as caught:
        await bench.reader.poll_card()
    assert caught.value.reason is reason
    assert await bench.reader.probe() == report, "since moves with the state only"
    await bench.mend()
    report = await bench.reader.probe()
    assert (report.works, report.reason, report.action) == (True, None, None)
    assert isinstance(await bench.reader.poll_card(), HolderNeedsPlugin)


async def test_a_change_ends_the_waiting(bench: Bench) -> None:
    assert await bench.reader.poll_card() == NoCard()
    assert not await bench.reader.wait_change(limit_s=0.05)
    waiting = asyncio.create_task(bench.reader.wait_change(limit_s=LONG_S))
    await bench.insert()
    assert await waiting
    assert isinstance(await bench.reader.poll_card(), HolderNeedsPlugin)


async def test_who_waits_is_not_in_the_way(bench: Bench) -> None:
    await bench.insert()
    assert (await bench.reader.probe()).works
    waiting = asyncio.create_task(bench.reader.wait_change(limit_s=LONG_S))
    outcome, report = await asyncio.gather(bench.reader.poll_card(), bench.reader.probe())
    assert isinstance(outcome, HolderNeedsPlugin)
    assert report.works
    await bench.remove()
    assert await waiting


async def test_nothing_of_a_card_is_told(bench: Bench) -> None:
    await bench.insert()
    outcome = await bench.reader.poll_card()
    assert isinstance(outcome, HolderNeedsPlugin)
    told = f"{outcome!r} {outcome} {bench.reader.diagnostics()} {bench.reader.report!r}"
    atr = outcome.card.atr
    assert not [form for form in (repr(atr)[2:-1], atr.hex(), atr.hex().upper()) if form in told]


async def test_diagnostics_count(bench: Bench) -> None:
    await bench.reader.poll_card()
    assert bench.reader.diagnostics()["looks"] == 1
