"""Every driver against its twin, fault by fault: the state, and what people are told of it.

The rows stand in docs/drivers/faults.md and must be those that come out here;
`HALL_WRITE_TABLES=1 ./hall test tests/wire/test_fault_table.py` writes them anew.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import Driver
from drivers.registry import discover, parse_peripherals
from drivers.sim.control import order
from drivers.sim.process import simulator
from hallkit.errors import Reason
from hallkit.lexicon.faults import AS_USUAL, for_citizens, for_technicians
from hallkit.lexicon.words import words
from hallkit.model.device import DeviceStatus, Paper
from hallkit.runtime.clock import SystemClock

pytestmark = [pytest.mark.wire, pytest.mark.timeout(180)]

LONG_S = 20.0
PAGE = Path(__file__).resolve().parents[2] / "docs" / "drivers" / "faults.md"
HEAD = """\
| fault | device | paper | reason | a citizen is told | a technician is told |
|---|---|---|---|---|---|
"""
say = words("zh_CN")

Orders = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Case:
    """A fault as its twin is told of it, and what undoes it."""

    fault: str
    orders: Orders
    undo: Orders = ({"do": "fault.clear"},)
    ends_as: Reason | None = None
    """Where the first probe meets something else: a connection that has just ended."""
    passes: bool = False
    """The device goes on as it was: what came was dropped and counted."""


def fault(name: str, **more: Any) -> Case:
    return Case(name, ({"do": "fault.set", "fault": name, "times": 0, **more},))


def wire(name: str, **more: Any) -> Case:
    """A fault that stands until cleared, where 0 times is not the word for it."""
    return Case(name, ({"do": "fault.set", "fault": name, **more},))


def held_by_another(*orders: dict[str, Any]) -> Case:
    """Another program takes the device; who holds it already notices when it is next opened."""
    return Case("busy", orders, ends_as=Reason.OCCUPIED)


def dropped(name: str) -> Case:
    scan = {"do": "scan", "text": "6901234"}
    return Case(name, ({"do": "fault.set", "fault": name}, scan), passes=True)


def not_let_in(name: str) -> Case:
    """Whoever looks already is not asked again until the stream is opened anew."""
    return Case(
        name,
        ({"do": "fault.set", "fault": name, "times": 0}, {"do": "disconnect"}),
        ends_as=ENDS[name],
    )


ENDS = {
    "deaf": Reason.SILENT,
    "refuse": Reason.REFUSED,
    "unauthorised": Reason.REFUSED,
    "busy": Reason.OCCUPIED,
}


def not_typed(name: str) -> Case:
    typing = {"do": "type", "text": "6901234"}
    return Case(name, ({"do": "fault.set", "fault": name}, typing), passes=True)


ON_THE_BED = (
    # The node comes back as another one, and who opens it meets the fault.
    held_by_another({"do": "fault.set", "fault": "busy"}),
    Case("denied", ({"do": "fault.set", "fault": "denied"},), ends_as=Reason.REFUSED),
    *(not_typed(name) for name in ("drop", "cut", "garble", "dropped", "noise")),
)
UNPLUGGED = Case("unplug", ({"do": "unplug"},), ({"do": "plug"},))
POWER_CUT = Case("power.cut", ({"do": "power.cut"},), ({"do": "power.on"},))


def contact(fault: str, address: int, *, on: bool, ends_as: Reason) -> Case:
    """A contact of the first unit on a Modbus line."""
    order = {"do": "input", "unit": 1, "address": address}
    return Case(fault, ({**order, "on": on},), ({**order, "on": not on},), ends_as=ends_as)


def unit_off(*units: int) -> tuple[Orders, Orders]:
    off, on = "power.cut", "power.on"
    return (
        tuple({"do": off, "unit": unit} for unit in units),
        tuple({"do": on, "unit": unit} for unit in units),
    )


MAINS = ({"do": "power.back"},)
SERVER_GONE = Case("server.kill", ({"do": "server.kill"},), ({"do": "server.start"},))


def sound(part: str, *names: str) -> tuple[Case, ...]:
    """Faults of a microphone or a loudspeaker, and of the server that both are known to."""
    return (
        Case("unplug", ({"do": "unplug", "part": part},), ({"do": "plug"},)),
        *(wire(name, part=part) for name in names),
        SERVER_GONE,
    )


CASES: dict[str, tuple[Case, ...]] = {
    "opencv": (
        *(
            fault(name, seconds=60)
            for name in ("stall", "slow", "garble", "half", "hang_up", "black")
        ),
        *(not_let_in(name) for name in ENDS),
        Case("drop", ({"do": "fault.set", "fault": "drop"},), passes=True),
        Case("unplug", ({"do": "unplug"},), ({"do": "plug"},), ends_as=Reason.REFUSED),
    ),
    "sdt": (
        UNPLUGGED,
        held_by_another({"do": "fault.set", "fault": "busy", "times": 0}),
        fault("silent"),
        fault("drop"),
        fault("garble", part="check"),
        fault("cut", keep=6),
        fault("self_test"),
        fault("not_authorised"),
    ),
    "escpos": (
        *(wire(name) for name in ("paper_out", "paper_low", "cover_open", "cutter")),
        *(wire(name) for name in ("overheated", "unrecoverable", "offline")),
        *(wire(name) for name in ("silent", "garble")),
        held_by_another({"do": "fault.set", "fault": "busy"}, {"do": "disconnect"}),
        POWER_CUT,
    ),
    "onbon": (
        *(wire(name) for name in ("silent", "drop", "garble")),
        held_by_another({"do": "fault.set", "fault": "busy"}, {"do": "disconnect"}),
        POWER_CUT,
    ),
    "serial_scanner": (
        UNPLUGGED,
        held_by_another({"do": "fault.set", "fault": "busy", "times": 0}),
        *(dropped(name) for name in ("drop", "cut", "garble", "noise")),
    ),
    "wedge_scanner": (UNPLUGGED, *ON_THE_BED),
    "evdev_keys": (UNPLUGGED, *ON_THE_BED),
    "serial_buttons": (
        UNPLUGGED,
        held_by_another({"do": "fault.set", "fault": "busy", "times": 0}),
        *(dropped(name) for name in ("drop", "cut", "garble", "noise")),
    ),
    "ipp": (
        *(wire(name) for name in ("paper_out", "paper_low", "jam", "cover_open")),
        *(wire(name) for name in ("toner_low", "toner_out", "output_full", "overheated")),
        *(wire(name) for name in ("unrecoverable", "paused", "full_up", "no_pdf")),
        *(fault(name) for name in ("drop", "deaf", "half", "cut", "garble", "flood", "hang_up")),
        POWER_CUT,
    ),
    "modbus": (
        contact("smoke", 1, on=True, ends_as=Reason.SMOKE),
        contact("tampered", 2, on=True, ends_as=Reason.TAMPERED),
        Case(
            "too hot",
            ({"do": "value", "unit": 4, "address": 1, "value": 500},),
            ({"do": "value", "unit": 4, "address": 1, "value": 225},),
            ends_as=Reason.TOO_HOT,
        ),
        contact("cabinet open", 0, on=False, ends_as=Reason.DOOR_OPEN),
        Case("one unit off", *unit_off(4)),
        Case("all units off", *unit_off(1, 4)),
        *(fault(name) for name in ("deaf", "silent", "garble", "cut", "flood")),
        *(fault(name) for name in ("wrong_unit", "wrong_function")),
        fault("delay", seconds=0.25),
        *(
            Case(f"exception {code:02X}", fault("exception", code=code).orders)
            for code in (0x01, 0x02, 0x04, 0x06, 0x0A, 0x0B)
        ),
        UNPLUGGED,
        held_by_another({"do": "fault.set", "fault": "busy"}),
    ),
    "pcsc": (
        Case("reader.unplug", ({"do": "reader.unplug"},), ({"do": "reader.plug"},)),
        Case("daemon.kill", ({"do": "daemon.kill"},), ({"do": "daemon.start"},)),
        Case("daemon.freeze", ({"do": "daemon.freeze"},), ({"do": "daemon.thaw"},)),
        Case(
            "busy",
            ({"do": "card.insert"}, {"do": "busy"}),
            ({"do": "free"}, {"do": "card.remove"}),
        ),
        Case(
            "mute",
            ({"do": "fault.set", "fault": "mute"}, {"do": "card.insert"}),
            ({"do": "card.remove"},),
            passes=True,
        ),
    ),
    "portaudio_microphone": sound("mic", "silent", "muted", "dead", "clipping"),
    "portaudio_loudspeaker": sound("spk", "silent", "muted"),
    "nut": (
        Case("power.lost", ({"do": "power.lost"},), MAINS),
        Case("power.low", ({"do": "power.low"},), MAINS),
        Case("battery worn", ({"do": "power", "status": "OL RB"},), MAINS),
        Case("overload", ({"do": "power", "status": "OL OVER"},), MAINS),
        Case("bypass", ({"do": "power", "status": "OL BYPASS"},), MAINS),
        Case("alarm", ({"do": "power", "status": "OL ALARM"},), MAINS),
        Case(
            "cable.pull",
            ({"do": "cable.pull"},),
            ({"do": "cable.plug"},),
            ends_as=Reason.PORT_GONE,
        ),
        Case("unplug", ({"do": "unplug"},), ({"do": "plug"},)),
        *(fault(name) for name in ("drop", "deaf", "half", "cut", "garble", "flood", "hang_up")),
    ),
}

RATINGS = ("very_satisfied", "satisfied", "basically_satisfied", "dissatisfied")
BYTES = {level: f"A5 0{number} 5A" for number, level in enumerate((*RATINGS, "very_dissatisfied"))}
QUICK = {"open_timeout_s": 2, "block_timeout_s": 0.5, "look_every_s": 0.1}
MORE: dict[str, dict[str, Any]] = {
    "serial_buttons": {"buttons": BYTES},
    "onbon": {"width_px": 128, "answer_timeout_s": 0.5},
    "modbus": {
        "answer_timeout_s": 0.2,
        "late_s": 0.15,
        "units": {
            "io": {
                "address": 1,
                "map": "adam_4150",
                "points": {
                    "cabinet-door": {"channel": "di0", "kind": "cabinetDoor"},
                    "smoke": {"channel": "di1", "kind": "smokeSensor"},
                    "tamper": {"channel": "di2", "kind": "tamperSensor"},
                },
            },
            "climate": {
                "address": 4,
                "map": "climate",
                "points": {
                    "inside": {"channel": "temperature", "kind": "temperature", "too_hot": 45}
                },
            },
        },
    },
    "nut": {"answer_timeout_s": 0.5},
    "portaudio_microphone": QUICK | {"dead_after_s": 0.5, "overdriven_after_s": 0.3},
    "portaudio_loudspeaker": QUICK,
    "ipp": {"answer_timeout_s": 0.5},
    "pcsc": {"call_timeout_s": 0.5},
    "opencv": {
        "open_timeout_s": 0.5,
        "stall_timeout_s": 0.4,
        "glance_s": 0.05,
        "covered_after_s": 0.1,
        "retry_max_s": 0.05,
    },
}


SHARED = {
    "nut": "nut_twin",
    "wedge_scanner": "evdev_twin",
    "evdev_keys": "evdev_twin",
    "pcsc": "pcsc_twin",
    "opencv": "camera_twin",
    "portaudio_microphone": "sound_twin",
    "portaudio_loudspeaker": "sound_twin",
}
"""Fixtures of twins that run already (tests/twins.py)."""


def test_every_driver_is_in_the_table() -> None:
    assert CASES.keys() == discover().keys()


@asynccontextmanager
async def opened(key: str, folder: Path, shared: Path | None) -> AsyncIterator[tuple[Driver, Path]]:
    """The driver of a key, and the control socket of its twin: `shared`, or one of its own."""
    spec = discover()[key]
    control, link = folder / "control", folder / "port"
    options: list[str | Path] = ["--control", control]
    if key == "modbus" or ("serial" in spec.transports and "tcp" not in spec.transports):
        options += ["--link", link]
    elif key == "escpos":
        options += ["--port", "0", "--receipts", folder]
    elif key == "ipp":
        options += ["--folder", folder]
    if shared is not None:
        state = await _state(shared)
        tcp = {"kind": "tcp", "port": state.get("port")}
        sound = {"kind": "portaudio", "server": state.get("server")}
        places = {
            "wedge_scanner": {"kind": "evdev", "path": state.get("link")},
            "evdev_keys": {"kind": "evdev", "path": state.get("link")},
            "pcsc": {"kind": "pcsc", "reader": "Hall Twin 00 00"},
            "opencv": {"kind": "http", "uri": f"http://127.0.0.1:{state.get('port')}/video"},
            "portaudio_microphone": sound,
            "portaudio_loudspeaker": sound,
        }
        yield _driver(key, places.get(key, tcp)), shared
        return
    async with simulator(spec.simulator, *options):
        if "--link" in options:
            if key == "modbus":
                await order(control, "input", unit=1, address=0, on=True)  # its cabinet is closed
            yield _driver(key, {"kind": "serial", "path": str(link)}), control
        else:
            port = (await _state(control))["port"]
            tcp = {"kind": "tcp", "port": port}
            ipp = {"kind": "ipp", "uri": f"ipp://127.0.0.1:{port}/ipp/print"}
            http = {"kind": "http", "uri": f"http://127.0.0.1:{port}/video"}
            wires = {"ipp": ipp, "opencv": http}
            yield _driver(key, wires.get(key, tcp)), control


def _driver(key: str, transport: dict[str, Any]) -> Driver:
    host = {"host": "127.0.0.1"} if transport["kind"] == "tcp" else {}
    entry = {"id": key.replace("_", "-"), "driver": key, "transport": transport | host}
    ((spec, config),) = parse_peripherals([entry | MORE.get(key, {})], discover(), file="test")
    return spec.open(config, SystemClock())


async def _state(control: Path) -> dict[str, Any]:
    state: dict[str, Any] = (await order(control, "state"))["state"]
    return state


async def until(ask: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(LONG_S):
            while not await ask():  # noqa: ASYNC110  # another process has no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(what)


@pytest.mark.parametrize("key", sorted(CASES))
async def test_each_fault_has_a_state_and_words(
    key: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rows: list[tuple[str, ...]] = []
    shared = request.getfixturevalue(SHARED[key]) if key in SHARED else None
    async with opened(key, tmp_path, shared) as (driver, control), driver:

        async def fine() -> bool:
            report = await driver.probe()
            return report.works and report.reason is None

        for case in CASES[key]:
            await until(fine, f"{key} works before {case.fault}")
            for one in case.orders:
                await order(control, **one)
            if case.passes:
                assert await fine(), f"{key}: {case.fault}"
            else:

                async def noticed(meant: Reason | None = case.ends_as) -> bool:
                    reason = (await driver.probe()).reason
                    return reason is not None and meant in (None, reason)

                await until(noticed, f"{key}: {case.fault} is noticed")
            rows.append(_row(case, driver))
            for one in case.undo:
                await order(control, **one)
        await until(fine, f"{key} heals")
    _compare(PAGE, key, rows)


def _row(case: Case, driver: Driver) -> tuple[str, ...]:
    report = driver.report
    technician = for_technicians(report)
    if not case.passes:
        assert report.status is not DeviceStatus.STARTING
        assert technician is not None, "a fault that nobody is told of"
    paper = report.paper if report.paper is not Paper.UNKNOWN else "–"
    told = say(f"reason.{report.reason}") if report.reason else "–"
    citizen, steps = say(for_citizens(report)), say(technician or "advice.nothing")
    if report.port not in {"ups", "auxiliaries", "camera"} and not report.works:
        assert citizen != say(AS_USUAL), "a citizen runs into it"
    return (f"`{case.fault}`", report.status, paper, told, citizen, steps)


def _compare(page: Path, key: str, rows: list[tuple[str, ...]]) -> None:
    table = HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)
    assert all(cell for row in rows for cell in row)
    text = page.read_text(encoding="utf-8")
    before, found, rest = text.partition(f"\n## {key}\n\n")
    assert found, f"{page} has a section `## {key}`"
    old, _, behind = rest.partition("\n## ")
    if os.environ.get("HALL_WRITE_TABLES"):
        page.write_text(
            before + found + table + (f"\n## {behind}" if behind else ""), encoding="utf-8"
        )
    else:
        assert old == table, "HALL_WRITE_TABLES=1 writes it anew"
