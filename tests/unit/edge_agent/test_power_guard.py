"""The guard between a UPS, the outbox and the machine's switch, over deaths of the agent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge_agent import power_guard
from edge_agent.power import PowerSection, PowerState
from edge_agent.power_guard import STATE, PowerGuard, PoweroffFile
from hallkit.errors import Reason
from hallkit.model.power import PowerPhase, PowerReading
from hallkit.wire.events import PowerChanged
from tests.fakes.clock import FakeClock
from tests.fakes.ups import MAINS, FakeUps

LOST = PowerReading(on_battery=True, battery_low=False, charge_percent=90, runtime_s=1500)
LOW = PowerReading(on_battery=True, battery_low=True, charge_percent=9, runtime_s=60)
LIMITS = PowerSection(words_s=3, stuck_s=30)
PHASES = list(PowerPhase)


class Died(BaseException):
    """kill -9: nothing of ours may catch it."""


class RecordingSwitch(PoweroffFile):
    """The real file, with its orders counted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.orders: list[str] = []
        self.dies = ""
        self.refuses = False

    def switch_off(self) -> None:
        if self.dies == "before":
            raise Died
        if self.refuses:
            raise OSError
        super().switch_off()
        self.orders.append("off")
        if self.dies == "after":
            raise Died

    def take_back(self) -> None:
        super().take_back()
        self.orders.append("back")


class Machine:
    """What outlives an agent: its runtime folder, the UPS, the clock, the switch."""

    def __init__(self, runtime: Path) -> None:
        self.runtime = runtime
        self.clock = FakeClock()
        self.ups = FakeUps(self.clock)
        self.switch = RecordingSwitch(runtime / "poweroff")
        self.told: list[PowerPhase] = []
        self.kept: list[PowerChanged] = []
        self.busy = False
        self.dies_telling: PowerPhase | None = None
        self.restart()

    def restart(self) -> None:
        self.dies_telling, self.switch.dies = None, ""
        self.guard = PowerGuard(
            self.ups,
            self.clock,
            limits=LIMITS,
            runtime=self.runtime,
            switch=self.switch,
            busy=self._busy,
            tell=self._tell,
        )

    async def _busy(self) -> bool:
        return self.busy

    async def _tell(self, told: PowerChanged) -> None:
        if told.phase is self.dies_telling:
            raise Died
        self.told.append(told.phase)
        self.kept.append(told)

    async def looks(self, seconds: int = 1) -> PowerPhase:
        for _ in range(seconds):
            self.clock.advance(1)
            await self.guard.look()
        return self.guard.phase

    async def starts(self) -> None:
        """The beginning of `run`: what a former life left, and the first look."""
        running = asyncio.create_task(self.guard.run())
        await self.clock.until_sleeping()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        self.clock.advance(1)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.clock.advance(100)
    return machine


async def test_each_phase_is_told_once_before_the_command(machine: Machine) -> None:
    await machine.looks(3)
    machine.ups.reading = LOST
    await machine.looks(61)
    machine.ups.reading = LOW
    await machine.looks(10)
    assert machine.told == PHASES
    assert machine.switch.orders == ["off"]
    last = machine.kept[-1]
    assert (last.phase, last.charge_percent, last.runtime_s) == (PowerPhase.SHUTDOWN, 9, 60)


async def test_what_is_under_way_is_asked_for_only_where_it_matters(machine: Machine) -> None:
    machine.busy = True
    machine.ups.reading = LOW
    assert await machine.looks(20) is PowerPhase.ENDING
    machine.busy = False
    assert await machine.looks() is PowerPhase.SHUTDOWN


async def test_a_ups_that_crashes_or_hangs_is_one_that_says_nothing(machine: Machine) -> None:
    machine.ups.reading = LOST
    await machine.looks(2)
    machine.ups.fault = Reason.SILENT
    assert await machine.looks(119) is PowerPhase.CLOSING

    async def crashes() -> PowerReading:
        raise ZeroDivisionError

    machine.ups.read = crashes  # type: ignore[method-assign]  # a driver that is broken
    assert await machine.looks(2) is PowerPhase.ENDING


@pytest.mark.parametrize("where", ["ending", "shutdown", "before", "after"])
async def test_an_agent_that_dies_on_the_way_commands_once_all_the_same(
    machine: Machine, where: str
) -> None:
    machine.ups.reading = LOW
    if where in PHASES:
        machine.dies_telling = PowerPhase(where)
    else:
        machine.switch.dies = where
    with pytest.raises(Died):
        await machine.looks(10)
    machine.restart()
    await machine.starts()
    await machine.looks(10)
    assert machine.switch.orders == ["off"]
    assert machine.guard.phase is PowerPhase.SHUTDOWN
    assert machine.told[-1] is PowerPhase.SHUTDOWN


async def test_an_agent_that_dies_on_battery_goes_on_where_it_stood(machine: Machine) -> None:
    machine.ups.reading = LOST
    await machine.looks(61)
    machine.restart()
    machine.ups.fault = Reason.SILENT  # and nobody would know of the battery otherwise
    assert await machine.looks() is PowerPhase.CLOSING


async def test_an_agent_that_comes_back_gives_a_visit_a_moment_to_say_so(
    machine: Machine,
) -> None:
    machine.ups.reading = LOW
    await machine.looks(2)
    machine.restart()
    machine.clock.advance(LIMITS.words_s)  # it was away so long
    machine.guard._begun_s = machine.clock.mono_s()
    assert await machine.looks() is PowerPhase.ENDING
    machine.busy = True  # the service has found it
    assert await machine.looks(5) is PowerPhase.ENDING
    machine.busy = False
    assert await machine.looks() is PowerPhase.SHUTDOWN


async def test_a_boot_of_the_machine_begins_anew(machine: Machine) -> None:
    machine.ups.reading = LOW
    await machine.looks(10)
    machine.clock = FakeClock()  # begins at zero, as after a boot
    machine.ups.reading = MAINS
    machine.restart()
    assert await machine.looks() is PowerPhase.MAINS


@pytest.mark.parametrize("broken", ["", "{", '{"phase": "unheard"}', '{"lost_s": "x"}'])
async def test_an_unusable_file_is_no_reason_to_go_off(machine: Machine, broken: str) -> None:
    (machine.runtime / STATE).write_text(broken, encoding="utf-8")
    machine.restart()
    assert await machine.looks() is PowerPhase.MAINS


async def test_mains_that_are_back_open_a_machine_that_nobody_switched_off(
    machine: Machine,
) -> None:
    machine.ups.reading = LOW
    await machine.looks(5)
    machine.ups.reading = MAINS
    assert await machine.looks(31) is PowerPhase.MAINS
    assert machine.switch.orders == ["off", "back"]
    assert not machine.switch.told


async def test_a_command_that_can_not_be_given_is_logged_and_given_again(
    machine: Machine,
) -> None:
    machine.ups.reading = LOW
    machine.switch.refuses = True
    with capture_logs() as logs:
        await machine.looks(10)
    assert [line["event"] for line in logs].count("power.not_told") == 1
    machine.switch.refuses = False
    await machine.looks(30)
    assert machine.switch.orders == ["off"]


@pytest.mark.parametrize("hangs", ["tell", "busy"])
async def test_a_disk_that_hangs_keeps_no_machine_on(
    machine: Machine, hangs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power_guard, "DISK_LIMIT_S", 0.01)

    async def never(*_args: object) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(machine.guard, f"_{hangs}", never)
    machine.ups.reading = LOW
    async with asyncio.timeout(5):
        assert await machine.looks(10) is PowerPhase.SHUTDOWN
    assert machine.switch.orders == ["off"]


async def test_what_the_ups_said_before_the_agent_died_condemns_no_machine(
    machine: Machine,
) -> None:
    machine.ups.reading = LOST
    await machine.looks(30)
    machine.ups.fault = Reason.SILENT
    assert await machine.looks(31) is PowerPhase.CLOSING  # kept, with the silence
    machine.ups.fault = None
    await machine.looks(200)
    machine.restart()
    machine.ups.fault = Reason.SILENT  # one answer is late
    assert await machine.looks() is PowerPhase.CLOSING
    machine.ups.fault = None
    assert await machine.looks(20) is PowerPhase.CLOSING
    assert machine.switch.orders == []


async def test_mains_from_before_the_agent_died_do_not_count_as_steady(machine: Machine) -> None:
    kept = PowerState(phase=PowerPhase.CLOSING, lost_s=1, back_s=2)
    (machine.runtime / STATE).write_text(kept.model_dump_json(), encoding="utf-8")
    machine.restart()
    assert await machine.looks() is PowerPhase.CLOSING
    assert await machine.looks(round(LIMITS.steady_s)) is PowerPhase.MAINS


@pytest.mark.parametrize("time", ["lost_s", "ending_s", "warned_s", "told_s"])
async def test_any_time_that_is_still_to_come_is_of_a_former_boot(
    machine: Machine, time: str
) -> None:
    kept = PowerState(phase=PowerPhase.ENDING).model_copy(update={time: 1e6})
    (machine.runtime / STATE).write_text(kept.model_dump_json(), encoding="utf-8")
    machine.restart()
    assert machine.guard.phase is PowerPhase.MAINS
