"""The driver against its twin on a pty and over TCP, and against pymodbus: what a line may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from structlog.testing import capture_logs

from drivers.auxiliaries.modbus import ModbusAuxiliaries, ModbusConfig
from drivers.auxiliaries.modbus_bus import Bus, TcpLine
from drivers.auxiliaries.modbus_frames import Tcp, WriteFunction, write
from drivers.driver import status_of
from drivers.sim.control import order
from drivers.transport.tcp import TcpPort
from hallkit.errors import DeviceError, DeviceUnavailable, Reason
from hallkit.model.auxiliaries import ContactState
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.runtime.clock import Clock, SystemClock
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.wire

LONG_S = 20.0
CABINET = {"channel": "di0", "kind": "cabinetDoor"}
SMOKE = {"channel": "di1", "kind": "smokeSensor"}
PEOPLE = {"channel": "counter2", "kind": "peopleCounter"}
LAMP = {"channel": "do0", "kind": "lamp"}
IO: dict[str, Any] = {
    "address": 1,
    "map": "adam_4150",
    "points": {"cabinet-door": CABINET, "smoke": SMOKE, "people-in": PEOPLE, "lamp": LAMP},
}
CLIMATE = {
    "address": 4,
    "map": "climate",
    "points": {"inside": {"channel": "temperature", "kind": "temperature", "too_hot": 45}},
}


def relay(**point: Any) -> dict[str, Any]:
    door = {"channel": "relay1", "kind": "doorRelease", "pulse_s": 5, **point}
    return {"address": 2, "map": "waveshare_relay", "points": {"door": door}}


class Rig:
    def __init__(self, control: Path, config: ModbusConfig, clock: Clock) -> None:
        self.control = control
        self.driver = ModbusAuxiliaries(config, clock)

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    async def reports(self, reason: Reason | None) -> DeviceReport:
        """The report once it says so."""
        async with asyncio.timeout(LONG_S):
            while (report := await self.driver.probe()).reason is not reason:
                pass
        return report

    async def outputs(self, unit: int = 1) -> list[int]:
        found: list[int] = (await self.tell("state"))["state"]["units"][str(unit)]["outputs"]
        return found


@asynccontextmanager
async def rig(
    control: Path,
    *,
    units: dict[str, Any] | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """A driver on the twin of a control socket. The door of its cabinet is closed."""
    state = (await order(control, "state"))["state"]
    port = {"kind": "serial", "path": str(control.parent / "port"), "baud": 9600}
    if state["port"]:
        port = {"kind": "tcp", "host": "127.0.0.1", "port": state["port"]}
    entry = {
        "id": "cabinet",
        "driver": "modbus",
        "transport": port,
        "units": units or {"io": IO},
        "answer_timeout_s": 0.25,
        "late_s": 0.02,
        "poll_s": 0.02,
    }
    await order(control, "input", unit=1, address=0, on=True)
    made = Rig(control, ModbusConfig.model_validate(entry | settings), clock or SystemClock())
    async with made.driver:
        yield made


@pytest.fixture(params=["serial", "tcp"])
def control(request: pytest.FixtureRequest, modbus_twins: dict[str, Path]) -> Path:
    return modbus_twins[request.param]


@pytest.fixture
def serial(modbus_twins: dict[str, Path]) -> Path:
    return modbus_twins["serial"]


@pytest.fixture
def tcp(modbus_twins: dict[str, Path]) -> Path:
    return modbus_twins["tcp"]


FAULTS = [
    ("deaf", Reason.SILENT),
    ("silent", Reason.SILENT),
    ("delay", Reason.SILENT),
    ("garble", Reason.GARBLED),
    ("cut", Reason.GARBLED),
    ("wrong_unit", Reason.GARBLED),
    ("wrong_function", Reason.GARBLED),
    ("flood", Reason.GARBLED),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
async def test_each_fault_of_the_wire_is_named_and_heals(
    control: Path, fault: str, reason: Reason
) -> None:
    async with rig(control, answer_timeout_s=0.15, late_s=0.15) as one:
        await one.reports(None)
        await one.tell("fault.set", fault=fault, times=0, seconds=0.25)
        report = await one.reports(reason)
        assert not report.works
        assert (report.status, report.action) == status_of(reason)
        with pytest.raises(DeviceError):
            await one.driver.read()
        await one.tell("fault.clear")
        await one.reports(None)
        assert (await one.driver.read()).contacts["cabinet-door"].state is ContactState.CLOSED


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0x01, Reason.UNSUPPORTED),
        (0x02, Reason.CONFIGURATION),
        (0x03, Reason.CONFIGURATION),
        (0x04, Reason.UNRECOVERABLE),
        (0x06, Reason.OCCUPIED),
        (0x0A, Reason.PORT_GONE),
        (0x0B, Reason.SILENT),
        (0x63, Reason.GARBLED),
    ],
)
async def test_what_a_unit_refuses_has_a_reason(control: Path, code: int, reason: Reason) -> None:
    async with rig(control) as one:
        await one.tell("fault.set", fault="exception", code=code, times=0)
        assert (await one.driver.probe()).reason is reason
        assert one.driver.diagnostics()["unit io"] == f"{reason}: exception {code:02X}"
        await one.tell("fault.clear")
        assert (await one.driver.probe()).reason is None


async def test_a_map_of_another_model_is_a_mistake_of_the_files(control: Path) -> None:
    """The relay unit has no inputs at the addresses of the other one."""
    async with rig(control, units={"io": IO | {"address": 2}}) as one:
        report = await one.driver.probe()
        assert (report.status, report.reason) == (DeviceStatus.USER_ERROR, Reason.CONFIGURATION)


@pytest.mark.parametrize("fault", ["garble", "wrong_function", "wrong_unit", "noise"])
async def test_what_is_spoilt_once_is_asked_for_again(control: Path, fault: str) -> None:
    async with rig(control) as one:
        await one.driver.probe()
        await one.tell("fault.set", fault=fault)
        assert (await one.driver.probe()).reason is None
        is_heard = control.parent.name.startswith("modbus-serial") and fault == "noise"
        assert one.driver.diagnostics()["repeated"] == (0 if is_heard else 1)


async def test_one_silent_unit_makes_no_other_unknown(control: Path) -> None:
    units = {"io": IO, "relays": relay(), "climate": CLIMATE}
    async with rig(control, units=units) as one:
        assert (await one.driver.read()).unknown == ()
        await one.tell("power.cut", unit=2)
        reading = await one.driver.read()
        assert reading.unknown == ("door",)
        assert reading.contacts["cabinet-door"].state is ContactState.CLOSED
        assert reading.measures["inside"].value == 22.5
        report = one.driver.report
        assert (report.works, report.reason) == (True, Reason.SILENT)
        facts = one.driver.diagnostics()
        assert str(facts["unit relays"]).startswith("silent")
        assert (facts["unit io"], facts["unit climate"]) == ("fine", "fine")
        await one.tell("power.on", unit=2)
        assert (await one.driver.probe()).reason is None


async def test_each_unit_that_is_lost_and_back_is_logged_once(control: Path) -> None:
    async with rig(control, units={"io": IO, "climate": CLIMATE}) as one:
        with capture_logs() as logs:
            for do in ("power.cut", "power.on"):
                await one.driver.probe()
                await one.tell(do, unit=4)
                for _ in range(3):
                    await one.driver.probe()
    told = [(log["unit"], log["reason"]) for log in logs if log["event"] == "unit.state"]
    assert told == [("climate", Reason.SILENT), ("climate", None)]


async def test_smoke_is_heard_beside_silent_units(control: Path) -> None:
    """Who waits for a contact does not wait for each unit that is silent."""
    units = {"relays": relay(), "climate": CLIMATE, "io": IO}
    async with rig(control, units=units) as one:
        for unit in (2, 4):
            await one.tell("power.cut", unit=unit)
        last = await one.driver.read()
        assert set(last.unknown) == {"door", "inside"}
        waiting = asyncio.create_task(one.driver.changed(last))
        await one.tell("input", unit=1, address=1, on=True)
        async with asyncio.timeout(LONG_S):
            reading = await waiting
        assert reading.contacts["smoke"].state is ContactState.ON
        assert one.driver.report.reason is Reason.SMOKE
        assert one.driver.diagnostics()["alarm smoke"] == "smoke"


async def test_who_waits_anew_finds_what_was_lost_and_is_back(control: Path) -> None:
    async with rig(control) as one:
        last = await one.driver.read()
        await one.tell("power.cut", unit=1)
        with pytest.raises(DeviceError):
            await one.driver.changed(last)
        await one.tell("power.on", unit=1)
        await one.tell("input", unit=1, address=1, on=True)
        async with asyncio.timeout(LONG_S):
            reading = await one.driver.changed(last)
        assert reading.contacts["smoke"].state is ContactState.ON


async def test_on_a_line_a_late_answer_is_not_taken_for_another(serial: Path) -> None:
    """Inputs and outputs are both eight bits of one unit: only the time tells their answers."""
    points = {
        "smoke": SMOKE,
        "lamp": LAMP,
        **{f"more-{number}": {"channel": f"do{number}", "kind": "lamp"} for number in range(1, 7)},
        **{f"in-{number}": {"channel": f"di{number}", "kind": "heatSensor"} for number in (0, 2)},
    }
    units = {"io": IO | {"points": points}}
    async with rig(serial, units=units, answer_timeout_s=0.3, late_s=1.2) as one:
        await one.tell("input", unit=1, address=0, on=False)
        await one.driver.switch("lamp", on=True)
        for _ in range(2):
            await one.tell("fault.set", fault="delay", seconds=0.8)
            with pytest.raises(DeviceError):
                await one.driver.read()
            reading = await one.driver.read()
            assert [name for name, on in reading.outputs.items() if on] == ["lamp"]
            assert {contact.state for contact in reading.contacts.values()} == {ContactState.OFF}


async def test_over_tcp_a_late_answer_is_passed_over(tcp: Path) -> None:
    async with rig(tcp, answer_timeout_s=0.1) as one:
        await one.driver.switch("lamp", on=True)
        await one.tell("fault.set", fault="delay", seconds=0.2)
        with pytest.raises(DeviceError):
            await one.driver.read()
        await one.reports(None)
        reading = await one.driver.read()
        assert reading.outputs == {"lamp": True}
        assert reading.contacts["smoke"].state is ContactState.OFF


async def test_a_caller_who_gives_up_leaves_nothing_for_the_next(control: Path) -> None:
    async with rig(control, answer_timeout_s=5) as one:
        await one.driver.switch("lamp", on=True)
        await one.tell("fault.set", fault="delay", seconds=0.1)
        before = (await one.tell("state"))["state"]["requests"]
        asking = asyncio.create_task(one.driver.read())
        async with asyncio.timeout(LONG_S):
            while (await one.tell("state"))["state"]["requests"] == before:
                pass
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        one.driver._bus._late_s = 0.2  # longer than the answer is late
        reading = await one.driver.read()
        assert reading.outputs == {"lamp": True}
        assert reading.contacts["smoke"].state is ContactState.OFF


async def test_a_port_that_is_pulled_and_plugged(control: Path) -> None:
    async with rig(control) as one:
        await one.driver.switch("lamp", on=True)
        await one.tell("unplug")
        report = await one.driver.probe()
        serial_port = control.parent.name.startswith("modbus-serial")
        assert report.reason is (Reason.PORT_GONE if serial_port else Reason.REFUSED)
        await one.tell("plug")
        assert (await one.driver.probe()).reason is None
        assert (await one.driver.read()).outputs == {"lamp": True}


async def test_a_port_that_another_program_holds(serial: Path) -> None:
    async with rig(serial) as one:
        await one.tell("fault.set", fault="busy")
        await one.reports(Reason.OCCUPIED)
        await one.tell("fault.clear")
        assert (await one.driver.probe()).reason is None


async def test_a_peer_that_hangs_up_on_the_idle_is_met_again(tcp: Path) -> None:
    async with rig(tcp) as one:
        await one.driver.probe()
        await one.tell("fault.set", fault="hang_up")
        assert (await one.driver.probe()).reason is None
        assert one.driver.diagnostics()["connections"] == 2


async def test_an_output_that_does_not_follow_is_told_and_blinds_nobody(control: Path) -> None:
    async with rig(control) as one:
        await one.driver.probe()
        await one.tell("fault.set", fault="stuck", times=0)
        with pytest.raises(DeviceUnavailable) as stuck:
            await one.driver.switch("lamp", on=True)
        assert stuck.value.reason is Reason.UNRECOVERABLE
        reading = await one.driver.read()
        assert reading.outputs == {"lamp": False}
        assert reading.contacts["smoke"].state is ContactState.OFF
        report = one.driver.report
        assert (report.works, report.reason) == (True, Reason.UNRECOVERABLE)
        await one.tell("fault.clear")
        assert (await one.driver.probe()).reason is None
        assert await one.outputs() == [16]


async def test_a_unit_that_lost_its_power_between_two_looks_is_brought_back(control: Path) -> None:
    async with rig(control) as one:
        await one.driver.switch("lamp", on=True)
        await one.tell("power.cut", unit=1)
        await one.tell("power.on", unit=1)
        await one.driver.probe()
        assert await one.outputs() == [16]
        assert one.driver.diagnostics()["outputs_restored"] == 1


DOOR_OF_IO = {"channel": "do1", "kind": "doorRelease", "pulse_s": 5}


def io_with(**points: Any) -> dict[str, Any]:
    return {"io": IO | {"points": {**IO["points"], **points}}}


async def test_without_a_timer_of_the_unit_the_driver_locks_the_door(tcp: Path) -> None:
    clock = FakeClock()
    async with rig(tcp, units=io_with(door=DOOR_OF_IO), clock=clock) as one:
        await one.driver.switch("door", on=True)
        await clock.until_sleeping()
        clock.advance(4.9)
        assert (await one.driver.read()).outputs["door"] is True
        clock.advance(0.2)
        async with asyncio.timeout(LONG_S):
            while await one.outputs():
                pass
        assert (await one.driver.read()).outputs["door"] is False


async def test_a_pulse_given_again_lasts_from_then_on(tcp: Path) -> None:
    clock = FakeClock()
    async with rig(tcp, units=io_with(door=DOOR_OF_IO), clock=clock) as one:
        await one.driver.switch("door", on=True)
        await clock.until_sleeping()
        clock.advance(4)
        await one.driver.switch("door", on=True)
        clock.advance(4)
        assert (await one.driver.read()).outputs["door"] is True


async def test_a_door_that_could_not_be_locked_is_locked_when_its_unit_is_heard(tcp: Path) -> None:
    clock = FakeClock()
    async with rig(tcp, units=io_with(door=DOOR_OF_IO), clock=clock) as one:
        await one.driver.switch("door", on=True)
        await clock.until_sleeping()
        await one.tell("fault.set", fault="deaf", times=0)
        clock.advance(5.1)
        async with asyncio.timeout(LONG_S):
            while one.driver.report.reason is not Reason.UNRECOVERABLE:
                await one.outputs()
        assert (await one.driver.probe()).reason is Reason.SILENT
        assert await one.outputs() == [17]
        await one.tell("fault.clear")
        await one.driver.probe()
        assert await one.outputs() == []


async def test_whoever_leaves_locks_the_door_first(control: Path) -> None:
    async with rig(control, units=io_with(door=DOOR_OF_IO)) as one:
        await one.driver.switch("door", on=True)
        assert await one.outputs() == [17]
    assert await one.outputs() == []


async def test_a_door_that_a_dead_program_left_open_is_locked_by_the_next(tcp: Path) -> None:
    units = io_with(door=DOOR_OF_IO)
    async with rig(tcp, units=units, clock=FakeClock()) as dead:
        await dead.driver.switch("door", on=True)
        async with rig(tcp, units=units) as following:
            await following.driver.probe()
            assert await following.outputs() == []


async def test_a_lost_confirmation_does_not_leave_a_door_open(tcp: Path) -> None:
    clock = FakeClock()
    async with rig(tcp, units=io_with(door=DOOR_OF_IO), clock=clock) as one:
        await one.driver.probe()
        # The question before the pulse and the pulse are answered; what is read back is not.
        await one.tell("fault.set", fault="silent", after=2)
        with pytest.raises(DeviceError):
            await one.driver.switch("door", on=True)
        assert await one.outputs() == [17]
        await clock.until_sleeping()
        clock.advance(5.1)
        async with asyncio.timeout(LONG_S):
            while await one.outputs():
                pass


async def test_the_units_own_timer_locks_the_door_though_the_program_is_dead(tcp: Path) -> None:
    async with rig(tcp, units={"relays": relay()}) as one:
        await one.driver.switch("door", on=True)
        assert await one.outputs(2) == [0]
    assert await one.outputs(2) == [0], "nothing was switched on leaving"
    await one.tell("time.pass", seconds=5)
    assert await one.outputs(2) == []


async def test_a_timer_that_fails_is_seen(tcp: Path) -> None:
    clock = FakeClock()
    async with rig(tcp, units={"relays": relay(pulse_s=60)}, clock=clock) as one:
        await one.driver.switch("door", on=True)
        clock.advance(60.9)
        assert (await one.driver.read()).outputs == {"door": True}
        clock.advance(0.2)
        await one.driver.probe()
        assert await one.outputs(2) == []


@pytest.mark.parametrize("how", ["silence", "given up", "asked again"])
async def test_nothing_of_a_pulse_goes_out_behind_its_error(how: str) -> None:
    """A connection that ends politely still delivers what the other side has not taken."""
    asked, ends = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(100)
            asked.set()
            ends.set_result(await reader.read(100))
        except ConnectionResetError:
            asked.set()
            ends.set_result("reset")
        writer.close()

    server = await asyncio.start_server(never_answers, "127.0.0.1", 0)
    async with server:
        port = TcpPort(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        bus = Bus(
            "cabinet",
            TcpLine("cabinet", port),
            Tcp(),
            SystemClock(),
            connect_timeout_s=LONG_S,
            answer_timeout_s=LONG_S if how == "given up" else 0.05,
            late_s=0,
            baud=None,
        )
        await bus.open()
        pulse = write(WriteFunction.COIL, 0x200, (50,))
        asking = asyncio.create_task(bus.ask(2, pulse, again=how == "asked again"))
        await asked.wait()
        if how == "given up":
            asking.cancel()
        with pytest.raises((DeviceError, asyncio.CancelledError)):
            await asking
        assert bus.is_open == (how == "asked again")
        assert not bus.is_lost, "the line itself is fine"
        await bus.close()
        async with asyncio.timeout(LONG_S):
            assert await ends == (b"" if how == "asked again" else "reset")


async def test_a_pulse_that_was_not_confirmed_loses_no_other_unit(tcp: Path) -> None:
    async with rig(tcp, units={"io": IO, "relays": relay()}) as one:
        await one.driver.probe()
        await one.tell("fault.set", fault="silent", unit=2, after=1)
        with pytest.raises(DeviceError) as unheard:
            await one.driver.switch("door", on=True)
        assert unheard.value.reason is Reason.SILENT
        assert await one.outputs(2) == [0], "it was reached"
        facts = one.driver.diagnostics()
        assert (facts["unit io"], facts["unit relays"]) == ("fine", "fine")
        assert (await one.driver.read()).unknown == ()


@pytest.mark.parametrize("code", [0x03, 0x04, 0x06])
async def test_an_output_that_is_refused_hides_no_smoke(control: Path, code: int) -> None:
    async with rig(control) as one:
        await one.driver.switch("lamp", on=True)
        await one.tell("power.cut", unit=1)
        await one.tell("power.on", unit=1)
        await one.tell("input", unit=1, address=1, on=True)
        # Inputs, outputs and counters are answered; what would bring the lamp back is not.
        await one.tell("fault.set", fault="exception", code=code, after=3)
        assert (await one.driver.probe()).reason is Reason.SMOKE
        facts = one.driver.diagnostics()
        assert facts["unit io"] == "fine"
        assert "alarm lamp" in facts
        await one.driver.probe()
        assert await one.outputs() == [16]
        assert "alarm lamp" not in one.driver.diagnostics()


async def test_an_inverted_lamp_is_on_while_its_relay_is_off(control: Path) -> None:
    async with rig(control, units=io_with(lamp=LAMP | {"invert": True})) as one:
        assert (await one.driver.read()).outputs == {"lamp": True}
        await one.driver.switch("lamp", on=False)
        assert await one.outputs() == [16]


async def test_a_changeover_pair_that_says_what_cannot_be_is_tampered_with(tcp: Path) -> None:
    """For a moment it is so on its way; twice in a row it is not."""
    units = io_with(**{"cabinet-door": CABINET | {"opposite": "di2"}})
    async with rig(tcp, units=units) as one:
        await one.driver.probe()
        for closed, opened, state in (
            (True, False, ContactState.CLOSED),
            (False, False, ContactState.CLOSED),
            (False, True, ContactState.OPEN),
            (True, True, ContactState.OPEN),
            (True, True, ContactState.TAMPERED),
            (True, False, ContactState.CLOSED),
        ):
            await one.tell("input", unit=1, address=0, on=closed)
            await one.tell("input", unit=1, address=2, on=opened)
            told = (await one.driver.read()).contacts["cabinet-door"].state
            assert told is state
            tampered = one.driver.report.status is DeviceStatus.POTENTIAL_FRAUD
            assert tampered == (state is ContactState.TAMPERED)


async def test_too_hot_is_told_until_it_has_cooled_down(tcp: Path) -> None:
    async with rig(tcp, units={"climate": CLIMATE}) as one:
        for tenths, reason in ((449, None), (450, Reason.TOO_HOT), (431, Reason.TOO_HOT)):
            await one.tell("value", unit=4, address=1, value=tenths)
            assert (await one.driver.probe()).reason is reason
        assert one.driver.report.works
        await one.tell("value", unit=4, address=1, value=429)
        assert (await one.driver.probe()).reason is None


async def test_below_zero_and_a_probe_that_is_off(control: Path) -> None:
    async with rig(control, units={"climate": CLIMATE}) as one:
        await one.tell("value", unit=4, address=1, value=-101)
        assert (await one.driver.read()).measures["inside"].value == -10.1
        await one.tell("value", unit=4, address=1, value=0x7FFF)
        reading = await one.driver.read()
        assert (reading.measures, reading.unknown) == ({}, ("inside",))


async def test_people_are_counted_over_the_end_of_the_register(control: Path) -> None:
    async with rig(control) as one:
        for address in (4, 5):
            await one.tell("value", unit=1, address=address, value=0xFFFF)
        before = (await one.driver.read()).counts["people-in"]
        await one.tell("count", unit=1, counter=2, by=3)
        assert (await one.driver.read()).counts["people-in"] == before + 3 == (1 << 32) + 2


async def test_neighbours_are_asked_together(control: Path) -> None:
    async with rig(control) as one:
        await one.driver.read()
        first = int(one.driver.diagnostics()["requests"])
        await one.driver.read()
        # Inputs, outputs, counters.
        assert int(one.driver.diagnostics()["requests"]) - first == 3


async def test_a_serial_server_that_passes_bytes_on(tmp_path: Path) -> None:
    from drivers.sim.process import simulator

    control = tmp_path / "control"
    async with (
        simulator("drivers.sim.modbus", "--control", control, "--rtu", "--unit", "1=adam_4150"),
        rig(control, framing="rtu") as one,
    ):
        await one.driver.switch("lamp", on=True)
        assert (await one.driver.read()).outputs == {"lamp": True}
        await one.tell("fault.set", fault="noise", times=0)
        assert (await one.driver.probe()).reason is None


def _pymodbus_unit() -> SimDevice:
    bits = [SimData(0, values=[True, *([False] * 6)], datatype=DataType.BITS)]
    bits.append(SimData(16, values=[False] * 8, datatype=DataType.BITS))
    registers = [SimData(0, values=[7, 3, 65535, 1, *([0] * 10)], datatype=DataType.REGISTERS)]
    discretes = [SimData(0, values=[False] * 8, datatype=DataType.BITS)]
    return SimDevice(id=1, simdata=(bits, discretes, registers, registers))


@pytest.mark.parametrize("framing", ["rtu", "tcp"])
async def test_pymodbus_answers_the_driver(framing: str) -> None:
    """Another implementation of the same standard at the other end."""
    server = ModbusTcpServer(
        _pymodbus_unit(),
        framer=FramerType.RTU if framing == "rtu" else FramerType.SOCKET,
        address=("127.0.0.1", 0),
    )
    await server.serve_forever(background=True)
    try:
        port = server.transport.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        points = IO["points"] | {"second": {"channel": "counter1", "kind": "peopleCounter"}}
        config = ModbusConfig.model_validate(
            {
                "id": "cabinet",
                "driver": "modbus",
                "framing": framing,
                "transport": {"kind": "tcp", "host": "127.0.0.1", "port": port},
                "units": {"io": IO | {"points": points}},
            }
        )
        async with ModbusAuxiliaries(config, SystemClock()) as driver:
            reading = await driver.read()
            assert reading.contacts["cabinet-door"].state is ContactState.CLOSED
            assert reading.counts == {"people-in": 0, "second": 0x1FFFF}
            for on in (True, False):
                await driver.switch("lamp", on=on)
                assert (await driver.read()).outputs == {"lamp": on}
    finally:
        await server.shutdown()


async def test_the_twin_answers_pymodbus(control: Path) -> None:
    """So that the twin is no friend of our driver alone."""
    state = (await order(control, "state"))["state"]
    client: Any
    if state["port"]:
        client = AsyncModbusTcpClient("127.0.0.1", port=state["port"])
    else:
        client = AsyncModbusSerialClient(str(control.parent / "port"), baudrate=9600)
    assert await client.connect()
    try:
        await order(control, "count", unit=1, counter=0, by=65539)
        await order(control, "input", unit=3, address=2, on=True)
        assert (await client.read_holding_registers(0, count=2, device_id=1)).registers == [3, 1]
        inputs = (await client.read_discrete_inputs(0, count=4, device_id=3)).bits[:4]
        assert inputs == [False, False, True, False]
        await client.write_coils(16, [True, False, True], device_id=1)
        assert (await client.read_coils(16, count=3, device_id=1)).bits[:3] == [True, False, True]
        assert (await client.write_coil(0, True, device_id=1)).exception_code == 2
        assert (await client.read_coils(100, count=1, device_id=1)).exception_code == 2
    finally:
        client.close()
