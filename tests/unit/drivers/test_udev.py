"""libudev is looked for once, and a machine without it is a fault like any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pyudev

from drivers.transport.evdev import EvdevPort, EvdevTransport
from drivers.transport.hidraw import HidrawPort, HidrawTransport
from drivers.transport.transport import Transport
from drivers.transport.usb import UsbPort, UsbTransport
from hallkit.errors import DeviceUnavailable, Reason

IDS = {"vendor": "ffff", "product": "fffe"}
WIRES: list[Callable[[], Transport]] = [
    lambda: EvdevTransport("x", EvdevPort(kind="evdev", vendor=0xFFFF, product=0xFFFE)),
    lambda: HidrawTransport("x", HidrawPort(kind="hidraw", **IDS)),
    lambda: UsbTransport("x", UsbPort(kind="usb", **IDS)),
]


@pytest.fixture(autouse=True)
def _without_libusb(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one of a process, and begun here it would not see the buses of other tests."""
    monkeypatch.setattr("drivers.transport.usb._listed", lambda _config: None)


@pytest.mark.parametrize("make", WIRES, ids=["evdev", "hidraw", "usb"])
async def test_it_is_looked_for_once(
    make: Callable[[], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    real = pyudev.Context

    def context() -> Any:
        made.append(real())
        return made[-1]

    monkeypatch.setattr(pyudev, "Context", context)
    wire = make()
    for _ in range(3):
        with pytest.raises(DeviceUnavailable) as fault:
            await wire.open(timeout_s=10)
        assert fault.value.reason is Reason.PORT_GONE
    assert len(made) == 1


@pytest.mark.parametrize("make", WIRES, ids=["evdev", "hidraw", "usb"])
async def test_a_machine_without_it(
    make: Callable[[], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    def context() -> Any:
        raise ImportError("No library named udev")

    monkeypatch.setattr(pyudev, "Context", context)
    with pytest.raises(DeviceUnavailable):
        await make().open(timeout_s=10)
