"""The host tells every change of a peripheral once, and outlives a broken driver."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import pytest
from structlog.testing import capture_logs

from drivers.driver import Driver
from drivers.registry import DriverSpec, PeripheralConfig
from edge_agent.devices.host import PeripheralHost, in_runtime_folder
from hallkit.errors import Reason
from hallkit.model.device import DeviceReport, DeviceStatus, ErrorAction
from hallkit.runtime.clock import Clock
from tests.fakes.clock import FakeClock, HastyClock


class Stub(Driver):
    """A driver whose next answers the test chooses."""

    def __init__(self, config: PeripheralConfig, clock: Clock) -> None:
        super().__init__(config.id, port=config.driver, key="stub", clock=clock)
        self.reason: Reason | None = None
        self.crashes = False
        self.fails_to_open = False
        self.is_open = False

    async def __aenter__(self) -> Self:
        if self.fails_to_open:
            raise RuntimeError("a mistake of ours")
        self.is_open = True
        return self

    async def _drop(self) -> None:
        self.is_open = False

    async def probe(self) -> DeviceReport:
        if self.crashes:
            raise KeyError("a mistake of ours")
        status = DeviceStatus.OFFLINE if self.reason else DeviceStatus.ONLINE
        return self._update(status=status, reason=self.reason)

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {}


SPEC = DriverSpec(
    key="stub",
    port="any",
    config=PeripheralConfig,
    open=Stub,
    simulator="",
    family="devices of this test",
    transports=("tcp",),
    quality="bronze",
)


def host_of(*ids: str, clock: Clock | None = None) -> tuple[PeripheralHost, list[Stub]]:
    entries = [(SPEC, PeripheralConfig(id=name, driver=f"{name}_port")) for name in ids]
    host = PeripheralHost(entries, clock or FakeClock())
    stubs = [slot.driver for slot in host._slots.values() if isinstance(slot.driver, Stub)]
    return host, stubs


def test_a_camera_is_left_to_the_process_that_looks_at_its_pictures() -> None:
    entry = PeripheralConfig(id="entrance", driver="stub")
    host = PeripheralHost([(replace(SPEC, port="camera"), entry)], FakeClock())
    assert host.reports == ()


async def test_a_change_is_told_once_to_every_listener() -> None:
    host, [stub] = host_of("printer")
    heard: list[DeviceReport] = []
    also: list[DeviceReport] = []
    host.listen(heard.append)
    host.listen(also.append)
    async with host:
        for reason in (None, None, Reason.SILENT, Reason.SILENT, None):
            stub.reason = reason
            await host.probe("printer")
    assert [report.reason for report in heard] == [None, Reason.SILENT, None]
    assert also == heard


async def test_a_change_that_somebody_else_found_is_told_by_the_next_probe() -> None:
    host, [stub] = host_of("printer")
    heard: list[DeviceReport] = []
    host.listen(heard.append)
    async with host:
        await host.probe("printer")
        stub.reason = Reason.PAPER_OUT
        await stub.probe()
        await host.probe("printer")
    assert [report.reason for report in heard] == [None, Reason.PAPER_OUT]


async def test_a_crashing_driver_is_reported_as_broken_and_replaced() -> None:
    host, [stub, other] = host_of("printer", "reader")
    heard: list[DeviceReport] = []
    host.listen(heard.append)
    held = host.of_port("printer_port")
    assert held is not None
    async with host:
        await host.probe("printer")
        stub.crashes = True
        with capture_logs() as logs:
            broken = await host.probe("printer")
        assert [line["event"] for line in logs] == ["device.crashes"]
        assert (broken.status, broken.reason, broken.action) == (
            DeviceStatus.HARDWARE_ERROR,
            Reason.INTERNAL,
            ErrorAction.SOFTWARE_ERROR,
        )
        assert not broken.works
        assert host.reports == (broken, other.report)
        assert held.report == broken
        assert stub.is_open
        await host.probe("printer")
        assert not stub.is_open
        fresh = host._slots["printer"].driver
        assert fresh is not stub
        assert held.probe == fresh.probe
    assert [report.status for report in heard] == ["online", "hardwareError", "online"]
    facts = host.diagnostics()
    assert facts["printer"]["host_crashes"] == facts["printer"]["host_replacements"] == 1
    assert facts["reader"]["host_crashes"] == 0


class Broken(Stub):
    """Every one of them is."""

    async def probe(self) -> DeviceReport:
        raise KeyError("a mistake of ours")


async def test_a_driver_that_crashes_again_and_again_is_left_alone_ever_longer() -> None:
    clock = FakeClock()
    spec = replace(SPEC, open=Broken)
    host = PeripheralHost([(spec, PeripheralConfig(id="printer", driver="any"))], clock)
    heard: list[DeviceReport] = []
    host.listen(heard.append)
    slot = host._slots["printer"]
    pauses = []
    with capture_logs() as logs:
        async with host:
            for _ in range(9):
                await host.probe("printer")
                pauses.append(slot.pause_s)
                clock.advance(slot.pause_s)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert [line["event"] for line in logs] == ["device.crashes"]
    assert len(heard) == 1
    assert host.diagnostics()["printer"]["host_crashes"] == 9


async def test_a_driver_that_works_for_a_while_is_forgiven() -> None:
    clock = FakeClock()
    host, _ = host_of("printer", clock=clock)
    slot = host._slots["printer"]

    async def crashes_now() -> float:
        stub = slot.driver
        assert isinstance(stub, Stub)
        stub.crashes = True
        await host.probe("printer")
        return slot.pause_s

    async with host:
        assert await crashes_now() == 1
        await host.probe("printer")
        assert slot.pause_s == 1
        assert await crashes_now() == 2
        for _ in range(70):
            clock.advance(1)
            await host.probe("printer")
        with capture_logs() as logs:
            assert await crashes_now() == 1
        assert [line["event"] for line in logs] == ["device.crashes"]


async def test_a_device_that_comes_and_goes_is_looked_at_ever_more_seldom() -> None:
    clock = FakeClock()
    host, [stub] = host_of("printer", clock=clock)
    slot = host._slots["printer"]
    pauses = []
    with capture_logs() as logs:
        async with host:
            for _ in range(8):
                for reason in (None, Reason.PORT_GONE):
                    stub.reason = reason
                    await host.probe("printer")
                pauses.append(slot.pause_s)
                clock.advance(slot.pause_s)
    assert pauses == [1, 1, 1, 1, 1, 2, 4, 8]
    assert [line["event"] for line in logs].count("device.flaps") == 1
    assert slot.driver is stub, "it is the device that fails, not the driver"
    assert host.diagnostics()["printer"]["host_flaps"] == 4


class Stuck(Stub):
    """Its first probe never ends, and does not heed that it is cancelled."""

    stuck: ClassVar[list[Stub]] = []
    goes_on: ClassVar[asyncio.Event]

    async def probe(self) -> DeviceReport:
        if not self.stuck:
            self.stuck.append(self)
            while not self.goes_on.is_set():
                with suppress(asyncio.CancelledError):
                    await self.goes_on.wait()
        return await super().probe()


async def test_a_probe_that_never_ends_is_found_and_its_driver_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge_agent.devices.host.CANCEL_LIMIT_S", 0.01)
    Stuck.stuck.clear()
    Stuck.goes_on = asyncio.Event()
    spec = replace(SPEC, open=Stuck)
    entries = [
        (one, PeripheralConfig(id=name, driver=f"{name}_port"))
        for one, name in ((spec, "printer"), (SPEC, "reader"))
    ]
    host = PeripheralHost(entries, HastyClock(), call_limit_s=0.05)
    heard: asyncio.Queue[DeviceReport] = asyncio.Queue()
    host.listen(heard.put_nowait)
    async with host:
        running = asyncio.create_task(host.run())
        printer = []
        async with asyncio.timeout(10):
            while len(printer) < 2:
                report = await heard.get()
                if report.id == "printer":
                    printer.append((report.status, report.reason))
                else:
                    assert report.works, "another driver is not hurt"
        assert printer == [
            (DeviceStatus.HARDWARE_ERROR, Reason.INTERNAL),
            (DeviceStatus.ONLINE, None),
        ]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        facts = host.diagnostics()["printer"]
        assert (facts["host_hangs"], facts["host_replacements"]) == (1, 1)
        assert not Stuck.stuck[0].is_open
        Stuck.goes_on.set()
        await asyncio.wait(host._abandoned, timeout=5)
    assert not host._abandoned


async def test_every_peripheral_is_probed_by_itself() -> None:
    clock = HastyClock()
    host, [stub, other] = host_of("printer", "reader", clock=clock)
    heard: asyncio.Queue[DeviceReport] = asyncio.Queue()
    host.listen(heard.put_nowait)
    stub.crashes = True
    async with host:
        running = asyncio.create_task(host.run())
        async with asyncio.timeout(5):
            assert {(await heard.get()).id, (await heard.get()).id} == {"printer", "reader"}
            other.reason = Reason.PORT_GONE
            assert (await heard.get()).reason is Reason.PORT_GONE
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_plugged_in_is_not_waited_for() -> None:
    clock = FakeClock()
    host, [stub, other] = host_of("printer", "reader", clock=clock)
    heard: asyncio.Queue[DeviceReport] = asyncio.Queue()
    host.listen(heard.put_nowait)
    async with host:
        running = asyncio.create_task(host.run())
        async with asyncio.timeout(5):
            for _ in range(2):
                await heard.get()
            # The clock stands still: only the news wake them, every time and each of them.
            for reason in (Reason.PORT_GONE, None, Reason.SILENT):
                stub.reason = other.reason = reason
                host.look_again()
                assert [(await heard.get()).reason for _ in range(2)] == [reason, reason]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_plugged_in_during_a_probe_is_looked_at_after_it() -> None:
    host, [stub] = host_of("printer")
    heard: asyncio.Queue[DeviceReport] = asyncio.Queue()

    def plug(report: DeviceReport) -> None:
        if report.works:
            stub.reason = Reason.PORT_GONE
            host.look_again()
        heard.put_nowait(report)

    host.listen(plug)
    async with host:
        running = asyncio.create_task(host.run())
        async with asyncio.timeout(5):
            assert (await heard.get()).works
            assert (await heard.get()).reason is Reason.PORT_GONE
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_leaving_closes_every_driver() -> None:
    host, [stub, other] = host_of("printer", "reader")
    async with host:
        assert [driver.is_open for driver in (stub, other)] == [True, True]
    assert [driver.is_open for driver in (stub, other)] == [False, False]


async def test_a_driver_that_can_not_be_opened_hurts_no_other_and_is_replaced() -> None:
    host, [stub, other] = host_of("printer", "reader")
    stub.fails_to_open = True
    async with host:
        assert other.is_open
        assert host.reports[0].reason is Reason.INTERNAL
        assert (await host.probe("printer")).works


class Worse(Stub):
    """After the first one: how the next ones fail, until somebody mends it."""

    fails: ClassVar[str]
    asked: ClassVar[list[Stub]]

    def __init__(self, config: PeripheralConfig, clock: Clock) -> None:
        if self.fails == "made":
            raise OSError("its profile is gone")
        super().__init__(config, clock)

    async def __aenter__(self) -> Self:
        if self.fails == "raises":
            raise OSError("its port is gone")
        if self.fails == "hangs":
            await asyncio.Event().wait()
        return await super().__aenter__()

    async def probe(self) -> DeviceReport:
        self.asked.append(self)
        return await super().probe()


@pytest.mark.parametrize(
    ("fails", "counted"),
    [("made", "host_crashes"), ("raises", "host_crashes"), ("hangs", "host_hangs")],
)
async def test_a_driver_that_can_not_be_replaced_is_broken_and_tried_again(
    fails: str, counted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.devices.host.OPEN_LIMIT_S", 0.01)
    Worse.fails, Worse.asked = "", []
    entry = PeripheralConfig(id="printer", driver="any")
    host = PeripheralHost([(replace(SPEC, open=Worse), entry)], FakeClock())
    heard: list[DeviceReport] = []
    host.listen(heard.append)
    slot = host._slots["printer"]
    async with host:
        slot.replace = True
        Worse.fails = fails
        for _ in range(2):
            assert (await host.probe("printer")).reason is Reason.INTERNAL
        assert slot.pause_s == 2
        assert Worse.asked == []  # what did not open is not asked
        facts = host.diagnostics()["printer"]
        assert (facts["host_crashes"], facts["host_hangs"]) in {(2, 0), (0, 2)}
        assert facts[counted] == 2
        Worse.fails = ""
        assert (await host.probe("printer")).works
    assert [report.works for report in heard] == [False, True]


class Metered(Stub):
    """Goes on with the paper that an earlier driver counted."""

    def recall(self, last: DeviceReport) -> None:
        self._update(paper_left_lines=last.paper_left_lines)


async def test_a_driver_that_can_not_be_made_ends_nothing_and_comes_when_it_can() -> None:
    attempts: list[str] = []

    def made_the_second_time(config: PeripheralConfig, clock: Clock) -> Stub:
        attempts.append(config.id)
        if len(attempts) == 1:
            raise OSError("its profile is gone")
        return Metered(config, clock)

    last = Stub(PeripheralConfig(id="printer", driver="any"), FakeClock()).report
    last = last.model_copy(update={"status": DeviceStatus.ONLINE, "paper_left_lines": 700})
    with capture_logs() as logs:
        host = PeripheralHost(
            [
                (
                    replace(SPEC, open=made_the_second_time),
                    PeripheralConfig(id="printer", driver="any"),
                ),
                (SPEC, PeripheralConfig(id="reader", driver="any")),
            ],
            FakeClock(),
            recalled={"printer": last},
        )
    assert [line["event"] for line in logs] == ["device.crashes"]
    printer, reader = host.reports
    assert (printer.status, printer.reason) == (DeviceStatus.HARDWARE_ERROR, Reason.INTERNAL)
    assert reader.status is DeviceStatus.STARTING
    async with host:
        assert (await host.probe("reader")).works
        healed = await host.probe("printer")
    assert healed.works
    assert healed.paper_left_lines == 700
    assert host.diagnostics()["printer"]["host_crashes"] == 1


async def test_a_peripheral_is_found_by_what_it_can_do() -> None:
    host, [stub, _] = host_of("printer", "reader")
    held = host.of_port("printer_port")
    assert held is not None
    assert held.probe == stub.probe
    assert host.of_port("camera") is None


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"transport": {"kind": "serial", "path": "reader.tty"}}, "/run/hall/reader.tty"),
        ({"transport": {"kind": "serial", "path": "/dev/ttyUSB0"}}, "/dev/ttyUSB0"),
    ],
)
def test_a_relative_path_stands_in_the_runtime_folder(entry: dict[str, object], path: str) -> None:
    placed = in_runtime_folder(entry, Path("/run/hall"))
    assert placed["transport"] == {"kind": "serial", "path": path}


@pytest.mark.parametrize("entry", [{}, {"transport": {"kind": "tcp"}}, {"transport": "nonsense"}])
def test_what_has_no_path_stays_as_it_is(entry: dict[str, object]) -> None:
    assert in_runtime_folder(entry, Path("/run/hall")) == entry


async def test_a_driver_is_told_what_the_last_one_knew_also_when_it_is_replaced() -> None:
    recalled: list[DeviceReport] = []

    class Remembering(Stub):
        def recall(self, last: DeviceReport) -> None:
            recalled.append(last)

    spec = replace(SPEC, open=Remembering)
    entry = PeripheralConfig(id="printer", driver="ticket_printer")
    before = DeviceReport(
        id="printer", port="x", driver="stub", status="online", paper_left_lines=4_000
    )
    gone = before.model_copy(update={"id": "gone"})
    clock = FakeClock()
    host = PeripheralHost([(spec, entry)], clock, recalled={"printer": before, "gone": gone})
    assert recalled == [before]
    async with host:
        said = await host.probe("printer")
        stub = host._slots["printer"].driver
        assert isinstance(stub, Stub)
        stub.crashes = True
        broken = await host.probe("printer")
        assert broken.reason is Reason.INTERNAL
        await host.probe("printer")
        assert host._slots["printer"].driver is not stub
    assert recalled == [before, broken]
    assert said.works
