"""What stands at the other end of a driver in the fault table, and how the driver reaches it.

A twin is started for its section, or runs already for all tests (tests/twins.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from drivers.sim.control import order
from drivers.sim.process import simulator
from tests.twins import UsbBus

Transport = dict[str, Any]
State = dict[str, Any]

SDT, ESCPOS = "drivers.sim.sdt", "drivers.sim.escpos"
SDT_ON_USB: Transport = {"kind": "usb", "vendor": "0400", "product": "c35a"}
SDT_ON_HID: Transport = {"kind": "hidraw", "vendor": "2b8b", "product": "2721"}
ESCPOS_ON_USB: Transport = {"kind": "usb", "vendor": "04b8", "product": "0202"}


@dataclass(frozen=True)
class Stage:
    """What a test lends a twin."""

    folder: Path
    fixture: Callable[[str], Any]
    """The fixture of a name."""


class Stand(NamedTuple):
    """A twin that runs."""

    control: Path
    """The socket that takes its orders."""
    transport: Transport
    """As a machine's file says where it is."""


Twin = Callable[[Stage], AbstractAsyncContextManager[Stand]]
Reach = Callable[[Path, State], Transport]
"""The transport to a twin, by the folder of its port and by what it says of itself."""


def on_serial(folder: Path, _state: State) -> Transport:
    return {"kind": "serial", "path": str(folder / "port")}


def on_tcp(_folder: Path, state: State) -> Transport:
    return {"kind": "tcp", "host": "127.0.0.1", "port": state["port"]}


def on_evdev(_folder: Path, state: State) -> Transport:
    return {"kind": "evdev", "path": state["link"]}


def on_pulse(_folder: Path, state: State) -> Transport:
    return {"kind": "portaudio", "server": state["server"]}


def at(kind: str, path: str) -> Reach:
    """A place on this machine that has an address."""

    def reach(_folder: Path, state: State) -> Transport:
        return {"kind": kind, "uri": f"{kind}://127.0.0.1:{state['port']}/{path}"}

    return reach


def known(transport: Transport) -> Reach:
    """A place that is the same every time."""
    return lambda _folder, _state: transport


def started(module: str, *options: str, reach: Reach) -> Twin:
    """A twin for this section alone; `FOLDER` in an option is a folder of its own."""

    @asynccontextmanager
    async def twin(stage: Stage) -> AsyncIterator[Stand]:
        control = stage.folder / "control"
        given = [option.replace("FOLDER", str(stage.folder)) for option in options]
        async with simulator(module, "--control", control, *given):
            yield Stand(control, reach(stage.folder, await _state(control)))

    return twin


def running(fixture: str, name: str | None = None, *, reach: Reach) -> Twin:
    """The twin of a fixture; by its name, where the fixture has several."""

    @asynccontextmanager
    async def twin(stage: Stage) -> AsyncIterator[Stand]:
        found = stage.fixture(fixture)
        control: Path = found if name is None else found[name]
        yield Stand(control, reach(control.parent, await _state(control)))

    return twin


def plugged(kind: str, module: str, *options: str, transport: Transport) -> Twin:
    """A twin for this section alone, behind a device on the emulated bus."""

    @asynccontextmanager
    async def twin(stage: Stage) -> AsyncIterator[Stand]:
        bus: UsbBus = stage.fixture("usb_bus")
        given = [option.replace("FOLDER", str(stage.folder)) for option in options]
        async with bus.device(kind, stage.folder, module, *given) as control:
            yield Stand(control, transport)

    return twin


async def _state(control: Path) -> State:
    state: State = (await order(control, "state"))["state"]
    return state
