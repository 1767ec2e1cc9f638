"""The host tells every change of a peripheral once, and outlives a broken driver."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Self

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
    stubs = [driver for driver in host._drivers.values() if isinstance(driver, Stub)]
    return host, stubs


async def test_a_change_is_told_once_to_every_listener() -> None:
    host, [stub] = host_of("printer")
    heard: list[DeviceReport] = []
    also: list[DeviceReport] = []
    host.listen(heard.append)
    host.listen(also.append)
    async with host:
        for reason in (None, None, Reason.SILENT, Reason.SILENT, None):
            stub.reason = reason
            await host.probe(stub)
    assert [report.reason for report in heard] == [None, Reason.SILENT, None]
    assert also == heard


async def test_a_change_that_somebody_else_found_is_told_by_the_next_probe() -> None:
    host, [stub] = host_of("printer")
    heard: list[DeviceReport] = []
    host.listen(heard.append)
    async with host:
        await host.probe(stub)
        stub.reason = Reason.PAPER_OUT
        await stub.probe()
        await host.probe(stub)
    assert [report.reason for report in heard] == [None, Reason.PAPER_OUT]


async def test_a_crashing_driver_is_reported_as_broken_and_logged_once() -> None:
    host, [stub, other] = host_of("printer", "reader")
    heard: list[DeviceReport] = []
    host.listen(heard.append)
    async with host:
        await host.probe(stub)
        stub.crashes = True
        with capture_logs() as logs:
            for _ in range(3):
                await host.probe(stub)
        assert [line["event"] for line in logs] == ["device.crashed"]
        broken = heard[-1]
        assert (broken.status, broken.reason, broken.action) == (
            DeviceStatus.HARDWARE_ERROR,
            Reason.INTERNAL,
            ErrorAction.SOFTWARE_ERROR,
        )
        assert not broken.works
        assert host.reports == (broken, other.report)
        stub.crashes = False
        await host.probe(stub)
    assert [report.status for report in heard] == ["online", "hardwareError", "online"]
    assert host.reports[0].works


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


async def test_leaving_closes_every_driver_and_so_does_a_failed_entry() -> None:
    host, [stub, other] = host_of("printer", "reader")
    async with host:
        assert [driver.is_open for driver in (stub, other)] == [True, True]
    assert [driver.is_open for driver in (stub, other)] == [False, False]
    other.fails_to_open = True
    with pytest.raises(RuntimeError):
        async with host:
            pass
    assert [driver.is_open for driver in (stub, other)] == [False, False]


async def test_a_peripheral_is_found_by_what_it_can_do() -> None:
    host, [stub, _] = host_of("printer", "reader")
    assert host.of_port("printer_port") is stub
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
