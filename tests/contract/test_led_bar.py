"""What every LED bar does, wire and simulator or fake: users may rely on exactly this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.driver import status_of
from drivers.led_bar.onbon import OnbonBar, OnbonConfig
from drivers.led_bar.onbon_pictures import draw
from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.transport.tcp import TcpPort
from hallkit.errors import DeviceError, NotSupported, Reason
from hallkit.model.device import DeviceStatus
from hallkit.model.signage import BarText
from hallkit.ports.led_bar import LedBar
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import device
from tests.fakes.led_bar import FakeLedBar

CALL = BarText(text="请A001号到3号窗口")
NEXT = BarText(text="请A002号到3号窗口", colour="green")


class Bench(ABC):
    """A bar and the hands that use it."""

    bar: LedBar
    lacks = "䶮"
    """A character that the bar cannot show."""

    @abstractmethod
    async def shown(self) -> str:
        """What a visitor reads; empty if it is blank."""

    @abstractmethod
    async def break_(self, reason: Reason) -> None: ...
    @abstractmethod
    async def power_cut(self) -> None: ...
    @abstractmethod
    async def mend(self) -> None: ...
    @abstractmethod
    async def pass_time(self, seconds: float) -> None: ...


class FakeBench(Bench):
    def __init__(self) -> None:
        self.fake = FakeLedBar(SystemClock())
        self.bar = self.fake

    async def shown(self) -> str:
        return self.fake.shown

    async def break_(self, reason: Reason) -> None:
        self.fake.break_(reason)

    async def power_cut(self) -> None:
        self.fake.power_cut()

    async def mend(self) -> None:
        self.fake.mend()

    async def pass_time(self, seconds: float) -> None:
        self.fake.pass_time(seconds)


class OnbonBench(Bench):
    FAULTS = {Reason.SILENT: "silent", Reason.GARBLED: "garble", Reason.OCCUPIED: "busy"}

    def __init__(self, bar: OnbonBar, control: Path) -> None:
        self.bar = bar
        self.control = control

    async def shown(self) -> str:
        shown: str = (await order(self.control, "state"))["state"]["shown"]
        return shown

    async def break_(self, reason: Reason) -> None:
        if reason is Reason.OCCUPIED:
            await order(self.control, "disconnect")
        await order(self.control, "fault.set", fault=self.FAULTS[reason])

    async def power_cut(self) -> None:
        await order(self.control, "power.cut")

    async def mend(self) -> None:
        await order(self.control, "fault.clear")
        await order(self.control, "power.on")

    async def pass_time(self, seconds: float) -> None:
        await order(self.control, "time.pass", seconds=seconds)


class PictureBench(OnbonBench):
    """A card that knows no text: a visitor reads it off the lamps."""

    lacks = "🫠"

    async def shown(self) -> str:
        state = (await order(self.control, "state"))["state"]
        lamps = ["".join("." if lamp == "." else "#" for lamp in row) for row in state["lamps"]]
        if not lamps:
            return str(state["shown"])
        (text,) = (text for text in (CALL.text, NEXT.text) if _lit(text) == _bare(lamps))
        return text


def _bare(rows: list[str]) -> list[str]:
    """Without the dark columns on either side."""
    columns = [place for row in rows for place, lamp in enumerate(row) if lamp == "#"]
    return [row[min(columns) : max(columns) + 1] for row in rows]


def _lit(text: str) -> list[str]:
    picture = draw(text, font_px=16, height_px=16)
    signs = "".join("#" if lamp else "." for lamp in picture.tobytes())
    return _bare([signs[at : at + picture.width] for at in range(0, len(signs), picture.width)])


@pytest.fixture(params=["onbon", "onbon-6e", "onbon-6q", "fake", "device"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "bar", asked={"shown": str}) as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    control = tmp_path / "control"
    cards = {"onbon": "font", "onbon-6e": "6e", "onbon-6q": "6q"}[request.param]
    options = ("--cards", cards, "--colours", "2")
    async with simulator("drivers.sim.onbon", "--control", control, "--port", "0", *options):
        port = (await order(control, "state"))["state"]["port"]
        config = OnbonConfig.model_validate(
            {
                "id": "led-bar",
                "driver": "onbon",
                "transport": TcpPort(host="127.0.0.1", port=port),
                "cards": cards,
                "colours": 2,
                "answer_timeout_s": 0.2,
            }
        )
        async with OnbonBar(config, SystemClock()) as bar:
            yield (OnbonBench if cards == "font" else PictureBench)(bar, control)


async def test_a_new_bar_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.bar.report.status is DeviceStatus.STARTING
    report = await bench.bar.probe()
    assert report.works
    assert report == bench.bar.report
    assert report.port == "led_bar"


async def test_a_text_stands_there_until_another_one_comes(bench: Bench) -> None:
    await bench.bar.show(CALL)
    assert await bench.shown() == CALL.text
    await bench.bar.probe()
    assert await bench.shown() == CALL.text
    await bench.bar.show(NEXT)
    assert await bench.shown() == NEXT.text
    await bench.bar.clear()
    assert await bench.shown() == ""


async def test_a_text_with_an_end_goes_by_itself(bench: Bench) -> None:
    await bench.bar.show(CALL.model_copy(update={"for_s": 30}))
    await bench.pass_time(29)
    assert await bench.shown() == CALL.text
    await bench.pass_time(1)
    assert await bench.shown() == ""


async def test_what_the_bar_cannot_show_changes_nothing(bench: Bench) -> None:
    await bench.bar.show(CALL)
    with pytest.raises(NotSupported):
        await bench.bar.show(BarText(text=f"请{bench.lacks}先生到3号窗口"))
    assert await bench.shown() == CALL.text
    assert bench.bar.report.works


@pytest.mark.parametrize("reason", [Reason.SILENT, Reason.GARBLED, Reason.OCCUPIED])
async def test_a_fault_is_raised_reported_and_heals_by_itself(bench: Bench, reason: Reason) -> None:
    await bench.bar.show(CALL)
    await bench.break_(reason)
    with pytest.raises(DeviceError) as caught:
        await bench.bar.show(NEXT)
    first = caught.value.reason
    report = await bench.bar.probe()
    assert first in (reason, Reason.PORT_GONE)
    assert (report.works, report.reason) == (False, reason)
    assert (report.status, report.action) == status_of(reason)
    await bench.mend()
    assert (await bench.bar.probe()).works
    assert await bench.shown() == NEXT.text


async def test_a_bar_that_lost_its_power_shows_again_what_it_should(bench: Bench) -> None:
    await bench.bar.show(CALL)
    await bench.power_cut()
    await bench.bar.probe()
    report = await bench.bar.probe()
    assert (report.works, report.reason) == (False, Reason.REFUSED)
    await bench.mend()
    assert (await bench.bar.probe()).works
    assert await bench.shown() == CALL.text


async def test_what_was_cleared_while_it_was_lost_stays_away(bench: Bench) -> None:
    await bench.bar.show(CALL)
    await bench.power_cut()
    with pytest.raises(DeviceError):
        await bench.bar.clear()
    await bench.mend()
    assert (await bench.bar.probe()).works
    assert await bench.shown() == ""


async def test_since_moves_with_the_state_only(bench: Bench) -> None:
    first = await bench.bar.probe()
    await bench.bar.show(CALL)
    assert await bench.bar.probe() == first
    await bench.power_cut()
    await bench.bar.probe()
    broken = await bench.bar.probe()
    assert broken != first
    assert await bench.bar.probe() == broken


async def test_diagnostics_count_and_hold_no_text(bench: Bench) -> None:
    await bench.bar.show(CALL)
    facts = bench.bar.diagnostics()
    assert facts["texts_shown"] == 1
    assert not any("A001" in str(value) for value in facts.values())
