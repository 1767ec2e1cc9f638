"""The driver against a real pcscd: what cards, daemons and other programs do to it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from drivers.chip_card_reader import pcsc
from drivers.chip_card_reader.pcsc import PcscConfig, PcscPort, PcscReader
from drivers.sim.control import order
from hallkit.errors import DeviceBusy, DeviceTimeout, DeviceUnavailable, Reason
from hallkit.model.chip_card import ApduAnswer, Cardholder, CardSays
from hallkit.model.device import DeviceStatus
from hallkit.ports.chip_card_reader import (
    CardRemoved,
    CardSession,
    HolderNeedsPlugin,
    HolderRead,
    HolderReader,
    UnknownCard,
)
from hallkit.ports.id_card_reader import CardUnreadable, NoCard
from hallkit.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

LONG_S = 20.0
SELECT = bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF")


class Rig:
    def __init__(self, control: Path, plugin: HolderReader | None, **settings: Any) -> None:
        self.control = control
        config = PcscConfig.model_validate(
            {
                "id": "chip-card-reader",
                "driver": "pcsc",
                "transport": PcscPort(reader="00 00"),
                "call_timeout_s": 1.0,
                "card_timeout_s": 0.7,
                **settings,
            }
        )
        self.reader = PcscReader(config, SystemClock(), holder_reader=plugin)

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    async def answer(self, command: bytes) -> ApduAnswer | CardRemoved | CardUnreadable:
        async with self.reader.session() as card:
            assert not isinstance(card, NoCard | CardRemoved | CardUnreadable)
            return await card.exchange(command)


@asynccontextmanager
async def rig(
    control: Path, *, plugin: HolderReader | None = None, **settings: Any
) -> AsyncIterator[Rig]:
    made = Rig(control, plugin, **settings)
    async with made.reader:
        yield made


async def until(ask: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LONG_S):
        while not await ask():  # noqa: ASYNC110  # the daemon's own pace
            await asyncio.sleep(0.02)


# ── Cards ──


async def test_a_card_that_makes_no_sense_is_unreadable_and_the_next_look_reads_it(
    pcsc_twin: Path,
) -> None:
    faults: dict[str, tuple[dict[str, Any], Reason]] = {
        "1 bytes": ({"fault": "cut", "keep": 1}, Reason.GARBLED),
        "without end": ({"fault": "more", "times": 0}, Reason.GARBLED),
        "6F00": ({"fault": "status", "sw": "6F00"}, Reason.GARBLED),
        "6283": ({"fault": "status", "sw": "6283"}, Reason.UNSUPPORTED),
        "6985": ({"fault": "status", "sw": "6985"}, Reason.UNSUPPORTED),
        "9EEC": ({"fault": "garble"}, Reason.UNSUPPORTED),
    }
    async with rig(pcsc_twin) as one:
        await one.tell("card.insert")
        for detail, (fault, reason) in faults.items():
            await one.tell("fault.set", **fault)
            outcome = await one.reader.poll_card()
            assert isinstance(outcome, CardUnreadable), detail
            assert outcome.reason is reason, detail
            assert detail in outcome.detail
            assert one.reader.report.works
            await one.tell("fault.clear")
        assert one.reader.diagnostics()["cards_unreadable"] == len(faults)
        assert isinstance(await one.reader.poll_card(), HolderNeedsPlugin)


async def test_a_card_without_the_command_is_an_unknown_one(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin) as one:
        await one.tell("card.insert")
        await one.tell("fault.set", fault="status", sw="6700", ins="A4")
        assert isinstance(await one.reader.poll_card(), UnknownCard)


async def test_answers_in_parts_and_wrong_lengths_are_followed(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin) as one:
        await one.tell("card.insert", files={"EF15": "00112233"})
        chosen = await one.answer(SELECT)
        assert isinstance(chosen, ApduAnswer)
        assert chosen.says is CardSays.DONE
        assert chosen.data.endswith(SELECT[5:])
        async with one.reader.session() as card:
            assert not isinstance(card, NoCard | CardRemoved | CardUnreadable)
            await card.exchange(bytes.fromhex("00A4000002EF15"))
            answer = await card.exchange(bytes.fromhex("00B00000FF"))
        assert answer == ApduAnswer(data=bytes.fromhex("00112233"), status=0x9000)
        asked = (await one.tell("state"))["state"]["asked"]
        assert asked == {"A4": 2, "C0": 1, "B0": 2}


async def test_a_card_forgets_between_two_sessions(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin) as one:
        await one.tell("card.insert", files={"EF15": "00112233"})
        chosen = await one.answer(bytes.fromhex("00A4000002EF15"))
        assert isinstance(chosen, ApduAnswer)
        assert chosen.says is CardSays.DONE
        answer = await one.answer(bytes.fromhex("00B0000004"))
        assert isinstance(answer, ApduAnswer)
        assert answer.says is CardSays.NOT_ALLOWED, "no file is chosen any more"


async def test_records_that_ask_for_keys_say_so(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin) as one:
        await one.tell("card.insert")
        answer = await one.answer(bytes.fromhex("00B2010400"))
        assert isinstance(answer, ApduAnswer)
        assert (answer.says, answer.status) == (CardSays.NOT_ALLOWED, 0x6982)


async def test_a_card_that_speaks_t1(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin) as one:
        await one.tell("card.insert", kind="social_security", atr="3B800181")
        assert isinstance(await one.reader.poll_card(), HolderNeedsPlugin)


async def test_a_slow_card_is_waited_for_and_a_hung_one_is_not(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin) as one:
        await one.tell("card.insert")
        await one.tell("fault.set", fault="slow", seconds=0.3)
        assert isinstance(await one.reader.poll_card(), HolderNeedsPlugin)
        await one.tell("card.insert")
        await one.tell("fault.set", fault="drop")
        with pytest.raises(DeviceTimeout):
            await one.reader.poll_card()
        assert one.reader.report.reason is Reason.SILENT
        await one.tell("fault.clear")
        assert isinstance(await one.reader.poll_card(), HolderNeedsPlugin)


# ── The plug-in ──


class Plugin:
    """What a customer's would be; this one reads nothing."""

    def __init__(self, outcome: object = None) -> None:
        self.outcome = outcome

    async def read(self, card: CardSession) -> Cardholder | CardRemoved | CardUnreadable:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        answer = await card.exchange(bytes.fromhex("00B2010400"))
        assert isinstance(answer, ApduAnswer)
        if self.outcome is not None:
            return self.outcome  # type: ignore[return-value]  # what no plug-in should do
        return Cardholder(name="张三", number="11010519491231002X")


async def test_a_plugin_reads_whose_the_card_is(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin, plugin=Plugin()) as one:
        await one.tell("card.insert")
        outcome = await one.reader.poll_card()
        assert isinstance(outcome, HolderRead)
        assert outcome.holder.name == "张三"
        told = f"{outcome} {outcome!r} {one.reader.diagnostics()} {one.reader.report}"
        assert "张三" not in told
        assert "11010519491231002X" not in told
        assert await one.reader.poll_card() == NoCard(left_behind=True)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (KeyError("11010519491231002X"), Reason.INTERNAL),
        ("11010519491231002X", Reason.INTERNAL),
        (TimeoutError(), Reason.SILENT),
    ],
)
async def test_a_plugin_that_fails_is_a_card_that_cannot_be_read(
    pcsc_twin: Path, fault: Exception | str, reason: Reason, capsys: pytest.CaptureFixture[str]
) -> None:
    async with rig(pcsc_twin, plugin=Plugin(fault)) as one:
        await one.tell("card.insert")
        outcome = await one.reader.poll_card()
        assert isinstance(outcome, CardUnreadable)
        assert outcome.reason is reason
        assert one.reader.report.works
        assert "1101051949" not in outcome.detail + capsys.readouterr().out


async def test_a_plugin_is_found_by_its_name(
    pcsc_twin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def installed(*, group: str, name: str) -> EntryPoints:
        assert group == "hallkit.chip_card_holder"
        value = {"ours": f"{__name__}:Plugin", "broken": "no.such.module:Plugin"}.get(name)
        return EntryPoints([EntryPoint(name, value, group)] if value else [])

    monkeypatch.setattr(pcsc, "entry_points", installed)
    monkeypatch.setattr(EntryPoint, "load", _load_here)
    async with rig(pcsc_twin, holder_plugin="ours") as one:
        await one.tell("card.insert")
        assert isinstance(await one.reader.poll_card(), HolderRead)
    for name in ("missing", "broken"):
        async with rig(pcsc_twin, holder_plugin=name) as one:
            assert (await one.reader.probe()).reason is Reason.CONFIGURATION
            with pytest.raises(DeviceUnavailable, match=name):
                await one.reader.poll_card()


def _load_here(self: EntryPoint) -> type[Plugin]:
    """This file is no module that `load` could import."""
    if not self.value.startswith(__name__):
        raise ModuleNotFoundError(self.value)
    return Plugin


# ── Readers ──


async def test_the_only_reader_needs_no_name_and_two_do(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin, transport=PcscPort()) as one:
        report = await one.reader.probe()
        assert (report.status, report.reason) == (DeviceStatus.USER_ERROR, Reason.CONFIGURATION)
        with pytest.raises(DeviceUnavailable, match="'Hall Twin 00 00', 'Hall Twin 00 01'"):
            await one.reader.poll_card()
        assert one.reader.diagnostics()["readers"] == "Hall Twin 00 00, Hall Twin 00 01"


async def test_each_reader_has_its_own_card(pcsc_twin: Path) -> None:
    async with (
        rig(pcsc_twin) as left,
        rig(pcsc_twin, transport=PcscPort(reader="twin 00 01")) as right,
    ):
        await left.tell("card.insert", slot=1)
        assert await left.reader.poll_card() == NoCard()
        assert isinstance(await right.reader.poll_card(), HolderNeedsPlugin)
        assert right.reader.report.model == "Hall Twin 00 01"


async def test_a_reader_that_came_back_does_not_read_the_card_that_was_left(
    pcsc_twin: Path,
) -> None:
    """Whose card it is cannot be told: nobody is to be taken for the one before."""
    async with rig(pcsc_twin) as one:
        await one.tell("card.insert")
        assert isinstance(await one.reader.poll_card(), HolderNeedsPlugin)
        await one.tell("daemon.kill")
        await one.tell("daemon.start")
        assert await one.reader.poll_card() == NoCard(left_behind=True)
        await one.tell("card.insert")
        assert isinstance(await one.reader.poll_card(), HolderNeedsPlugin)


# ── Other programs ──


async def test_another_programs_transaction_is_waited_for_and_then_reported(
    pcsc_twin: Path,
) -> None:
    async with rig(pcsc_twin) as one:
        await one.tell("card.insert")
        await one.tell("busy", how="transaction")
        assert (await one.reader.probe()).works, "it may be done soon"
        with pytest.raises(DeviceBusy) as busy:
            await one.reader.poll_card()
        assert busy.value.reason is Reason.OCCUPIED
        report = await one.reader.probe()
        assert (report.status, report.reason) == (DeviceStatus.DEVICE_BUSY, Reason.OCCUPIED)
        await one.tell("free")
        assert (await one.reader.probe()).works
        assert isinstance(await one.reader.poll_card(), HolderNeedsPlugin)


async def test_a_session_keeps_others_out(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin) as one, rig(pcsc_twin) as other:
        await one.tell("card.insert")
        async with one.reader.session():
            with pytest.raises(DeviceBusy):
                await other.reader.poll_card()
        assert isinstance(await other.reader.poll_card(), HolderNeedsPlugin)


# ── The daemon ──


async def test_a_daemon_that_was_started_anew_is_not_even_noticed(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin) as one:
        assert (await one.reader.probe()).works
        since_ms = one.reader.report.since_ms
        await one.tell("daemon.kill")
        await one.tell("daemon.start")
        assert (await one.reader.probe()).since_ms == since_ms
        assert one.reader.diagnostics()["losses"] == 1


async def test_a_daemon_that_dies_in_a_session_ends_it(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin) as one:
        await one.tell("card.insert")
        assert isinstance(await one.reader.poll_card(), HolderNeedsPlugin)
        async with one.reader.session() as card:
            assert not isinstance(card, NoCard | CardRemoved | CardUnreadable)
            await one.tell("daemon.kill")
            with pytest.raises(DeviceUnavailable) as gone:
                await card.exchange(SELECT)
            assert gone.value.reason is Reason.REFUSED
        await one.tell("daemon.start")
        assert await one.reader.poll_card() == NoCard(left_behind=True)


async def test_a_daemon_that_dies_ends_the_waiting(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin) as one:
        assert (await one.reader.probe()).works
        waiting = asyncio.create_task(one.reader.wait_change(limit_s=LONG_S))
        await one.tell("daemon.kill")
        assert await waiting
        with pytest.raises(DeviceUnavailable):
            await one.reader.wait_change(limit_s=LONG_S)


async def test_a_reader_that_is_plugged_in_ends_the_waiting(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin) as one:
        await one.tell("reader.unplug")
        assert (await one.reader.probe()).reason is Reason.PORT_GONE
        await one.tell("reader.plug")
        assert await one.reader.wait_change(limit_s=LONG_S)


async def test_a_hung_daemon_holds_neither_the_loop_nor_the_end(pcsc_twin: Path) -> None:
    one = Rig(pcsc_twin, None, call_timeout_s=0.3)
    async with one.reader:
        assert (await one.reader.probe()).works
        await one.tell("daemon.freeze")
        turns = 0
        probing = asyncio.create_task(one.reader.probe())
        while not probing.done():
            await asyncio.sleep(0)
            turns += 1
        assert (await probing).reason is Reason.SILENT
        assert turns > 100, "the loop went on"
        async with asyncio.timeout(LONG_S):
            await one.reader.__aexit__(None, None, None)
    await one.tell("daemon.thaw")


async def test_a_hung_daemon_that_goes_on_needs_no_restart(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin, call_timeout_s=0.3) as one:
        assert (await one.reader.probe()).works
        await one.tell("daemon.freeze")
        for _ in range(3):
            assert (await one.reader.probe()).reason is Reason.SILENT
        await one.tell("daemon.thaw")
        await until(lambda: _works(one.reader))


async def _works(reader: PcscReader) -> bool:
    return (await reader.probe()).works


async def test_nothing_is_left_open(pcsc_twin: Path) -> None:
    async def once() -> None:
        async with rig(pcsc_twin) as one:
            await one.reader.poll_card()
            await one.tell("daemon.kill")
            assert (await one.reader.probe()).reason is Reason.REFUSED
            await one.tell("daemon.start")
            assert (await one.reader.probe()).works

    def opened() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    await once()
    before = opened()
    for _ in range(3):
        await once()
    assert opened() <= before


async def test_a_caller_who_gives_up_leaves_nothing_for_the_next(pcsc_twin: Path) -> None:
    async with rig(pcsc_twin, card_timeout_s=LONG_S) as one:
        await one.tell("card.insert")
        await one.tell("fault.set", fault="drop", times=0)
        reading = asyncio.create_task(one.reader.poll_card())

        async def asked() -> bool:
            return bool((await one.tell("state"))["state"]["asked"])

        await until(asked)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await one.tell("fault.clear")
        assert isinstance(await one.reader.poll_card(), HolderNeedsPlugin)
