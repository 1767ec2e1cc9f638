"""The fault table's sections: a driver on one of its wires, its twin there, and what befalls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from drivers.driver import Driver
from drivers.id_card_reader.sdt import SYNJONES, SdtConfig, SdtReader
from drivers.ticket_printer.escpos import EscPosConfig, EscPosPrinter
from drivers.ticket_printer.escpos_profile import load_profile
from hallkit.errors import Reason
from hallkit.runtime.clock import Clock
from tests.wire.fault_twins import (
    ESCPOS,
    ESCPOS_ON_USB,
    SDT,
    SDT_ON_HID,
    SDT_ON_USB,
    Twin,
    at,
    known,
    on_evdev,
    on_pulse,
    on_serial,
    on_tcp,
    plugged,
    running,
    started,
)

Order = dict[str, Any]
Orders = tuple[Order, ...]

CLEAR: Orders = ({"do": "fault.clear"},)


@dataclass(frozen=True)
class Case:
    """A fault as its twin is told of it, and what undoes it."""

    fault: str
    orders: Orders
    undo: Orders = CLEAR
    ends_as: Reason | None = None
    """Where the first probe meets something else: a connection that has just ended."""
    passes: bool = False
    """The device goes on as it was: what came was made up for, or dropped and counted."""


@dataclass(frozen=True)
class Section:
    """A driver on one of its wires."""

    key: str
    wire: str
    """As in the driver's `SPEC.transports`."""
    twin: Twin
    cases: tuple[Case, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the machine's file: deadlines that a test can wait for, and what is connected."""
    opens: Callable[[Any, Clock], Driver] | None = None
    """In the place of `SPEC.open`, for deadlines that no file sets."""
    before: Orders = ()
    """What the twin is told first."""
    layout: str = ""
    """What tells two sections of one wire apart."""

    @property
    def title(self) -> str:
        """Its heading: the wire is named where the driver has several."""
        if sum(section.key == self.key for section in SECTIONS) == 1:
            return self.key
        return f"{self.key} ({', '.join(filter(None, (self.wire, self.layout)))})"


# --- how twins are told ---


def wire(name: str, **more: Any) -> Case:
    """A fault that stands until cleared, where 0 times is not the word for it."""
    return Case(name, ({"do": "fault.set", "fault": name, **more},))


def fault(name: str, **more: Any) -> Case:
    return wire(name, times=0, **more)


def each(make: Callable[[str], Case], *names: str) -> tuple[Case, ...]:
    """Several faults that are told alike."""
    return tuple(make(name) for name in names)


def held_by_another(*orders: Order, undo: Orders = CLEAR, name: str = "busy") -> Case:
    """Another program takes the device; who holds it already notices when it is next opened."""
    return Case(name, orders, undo, ends_as=Reason.OCCUPIED)


def busy(**more: Any) -> Case:
    return held_by_another({"do": "fault.set", "fault": "busy", **more})


def dropped(name: str) -> Case:
    scan = {"do": "scan", "text": "6901234"}
    return Case(name, ({"do": "fault.set", "fault": name}, scan), passes=True)


def not_typed(name: str) -> Case:
    typing = {"do": "type", "text": "6901234"}
    return Case(name, ({"do": "fault.set", "fault": name}, typing), passes=True)


UNPLUGGED = Case("unplug", ({"do": "unplug"},), ({"do": "plug"},))
POWER_CUT = Case("power.cut", ({"do": "power.cut"},), ({"do": "power.on"},))
DENIED = Case("denied", ({"do": "fault.set", "fault": "denied"},), ends_as=Reason.REFUSED)
CLAIMED = held_by_another({"do": "fault.set", "fault": "claimed"}, name="claimed")

# --- USB, whatever hangs on it ---

USB_PLUG = (UNPLUGGED, CLAIMED, DENIED)
USB_PIPES = (
    Case("stall in", fault("stall", way="in").orders, ends_as=Reason.UNRECOVERABLE),
    Case("stall out", fault("stall", way="out").orders, ends_as=Reason.UNRECOVERABLE),
    Case("stall once", wire("stall", way="in").orders, passes=True),
    Case("short packets", wire("short", bytes=3).orders, passes=True),
    *each(wire, "deaf", "babble", "bad_cable"),
)

# --- ID card readers ---


def patient_reader(config: SdtConfig, clock: Clock) -> Driver:
    """A busy build machine may be slower than a reader."""
    profile = replace(SYNJONES, open_s=3.0, sam_s=0.4, probe_s=9.0)
    return SdtReader(config, clock, profile=profile)


SDT_ANSWERS = (
    *each(fault, "silent", "drop"),
    fault("garble", part="check"),
    fault("cut", keep=6),
    *each(fault, "self_test", "not_authorised"),
)

# --- ticket printers ---


def hasty_printer(config: EscPosConfig, clock: Clock) -> Driver:
    """Nobody prints here, and each silence is waited for."""
    profile = load_profile(config.profile).model_copy(update={"status_timeout_s": 0.7})
    return EscPosPrinter(config, clock, profile=profile)


PRINTER_STATES = each(
    wire,
    *("paper_out", "paper_low", "cover_open", "cutter", "overheated", "unrecoverable", "offline"),
)
PRINTER_ANSWERS = each(wire, "silent", "garble")
HANG_UP = {"do": "disconnect"}


def says_beside(value: int, ends_as: Reason) -> Case:
    """A printer on USB answers no question, and GET_PORT_STATUS tells why."""
    orders = (
        {"do": "fault.set", "fault": "port_status", "value": value},
        {"do": "fault.set", "fault": "silent"},
    )
    return Case(f"silent, port status {value:02X}", orders, ends_as=ends_as)


# --- cameras ---

ENDS = {
    "deaf": Reason.SILENT,
    "refuse": Reason.REFUSED,
    "unauthorised": Reason.REFUSED,
    "busy": Reason.OCCUPIED,
}
REPLUG = ({"do": "unplug"}, {"do": "plug"})


def not_let_in(name: str) -> Case:
    """Whoever looks already is not asked again until the stream is opened anew."""
    return Case(name, (*fault(name).orders, HANG_UP), ends_as=ENDS[name])


def when_opened(name: str, ends_as: Reason) -> Case:
    """Whoever streams already meets it when the camera is plugged in again."""
    return Case(name, (*fault(name).orders, *REPLUG), ends_as=ends_as)


def stream(*names: str) -> tuple[Case, ...]:
    """Faults of a network camera: those of its pictures, then those of its door."""
    return (
        *(fault(name, seconds=60) for name in names),
        *(not_let_in(name) for name in ENDS),
        Case("drop", wire("drop").orders, passes=True),
        Case("unplug", ({"do": "unplug"},), ({"do": "plug"},), ends_as=Reason.REFUSED),
    )


CAMERA_DEADLINES = {
    "open_timeout_s": 0.5,
    "stall_timeout_s": 0.4,
    "glance_s": 0.05,
    "covered_after_s": 0.1,
    "retry_max_s": 0.05,
}
# A stream of RTSP takes several questions to open; a stuck call of V4L2 is known by its time.
RTSP_DEADLINES = CAMERA_DEADLINES | {"open_timeout_s": 1.0}
V4L2_DEADLINES = CAMERA_DEADLINES | {"stuck_after_s": 0.1}
SHEET_DEADLINES = CAMERA_DEADLINES | {"covered_after_s": 0}
V4L2_SHEETS = {"kind": "v4l2", "path": "/dev/video0", "width": 2048, "height": 1536}
V4L2_CAMERA = {"kind": "v4l2", "path": "/dev/video0", "width": 256, "height": 192, "fps": 25}

# --- contacts and outputs ---


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


MODBUS_CASES = (
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
    *each(fault, "deaf", "silent", "garble", "cut", "flood", "wrong_unit", "wrong_function"),
    fault("delay", seconds=0.25),
    *(
        Case(f"exception {code:02X}", fault("exception", code=code).orders)
        for code in (0x01, 0x02, 0x04, 0x06, 0x0A, 0x0B)
    ),
)
CABINET_CLOSED: Order = {"do": "input", "unit": 1, "address": 0, "on": True}
MODBUS_SETTINGS = {
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
            "points": {"inside": {"channel": "temperature", "kind": "temperature", "too_hot": 45}},
        },
    },
}

# --- sound ---

SERVER_GONE = Case("server.kill", ({"do": "server.kill"},), ({"do": "server.start"},))


def sound(part: str, *names: str) -> tuple[Case, ...]:
    """Faults of a microphone or a loudspeaker, and of the server that both are known to."""
    return (
        Case("unplug", ({"do": "unplug", "part": part},), ({"do": "plug"},)),
        *(wire(name, part=part) for name in names),
        SERVER_GONE,
    )


QUICK = {"open_timeout_s": 2, "block_timeout_s": 0.5, "look_every_s": 0.1}

# --- the rest ---

ON_THE_BED = (
    UNPLUGGED,
    # The node comes back as another one, and who opens it meets the fault.
    busy(),
    DENIED,
    *each(not_typed, "drop", "cut", "garble", "dropped", "noise"),
)
SPOILT = each(fault, "drop", "deaf", "half", "cut", "garble", "flood", "hang_up")
SCANNED = (UNPLUGGED, busy(times=0), *each(dropped, "drop", "cut", "garble", "noise"))
MAINS = ({"do": "power.back"},)
RATINGS = ("very_satisfied", "satisfied", "basically_satisfied", "dissatisfied")
BYTES = {level: f"A5 0{number} 5A" for number, level in enumerate((*RATINGS, "very_dissatisfied"))}
SHORT_ANSWER = {"answer_timeout_s": 0.5}


def scanner() -> Twin:
    return started("drivers.sim.scanner", "--link", "FOLDER/port", reach=on_serial)


def printer(*place: str, **how: Any) -> Twin:
    return started(ESCPOS, "--receipts", "FOLDER", *place, **how)


SECTIONS = (
    Section(
        "sdt",
        "serial",
        started(SDT, "--link", "FOLDER/port", reach=on_serial),
        (UNPLUGGED, busy(times=0), *SDT_ANSWERS),
        opens=patient_reader,
    ),
    Section(
        "sdt",
        "usb",
        plugged("sdt-usb2", SDT, transport=SDT_ON_USB),
        (*USB_PLUG, *USB_PIPES, *SDT_ANSWERS),
        layout="two endpoints",
        opens=patient_reader,
    ),
    Section(
        "sdt",
        "usb",
        plugged("sdt-usb4", SDT, transport=SDT_ON_USB),
        (*USB_PLUG, *USB_PIPES, *SDT_ANSWERS),
        layout="four endpoints",
        opens=patient_reader,
    ),
    Section(
        "sdt",
        "hidraw",
        plugged("sdt-hid", SDT, transport=SDT_ON_HID),
        (UNPLUGGED, CLAIMED, DENIED, wire("deaf"), *SDT_ANSWERS),
        opens=patient_reader,
    ),
    Section("serial_scanner", "serial", scanner(), SCANNED),
    Section("wedge_scanner", "evdev", running("evdev_twin", reach=on_evdev), ON_THE_BED),
    Section("evdev_keys", "evdev", running("evdev_twin", reach=on_evdev), ON_THE_BED),
    Section("serial_buttons", "serial", scanner(), SCANNED, {"buttons": BYTES}),
    Section(
        "onbon",
        "tcp",
        started("drivers.sim.onbon", reach=on_tcp),
        (
            *each(wire, "silent", "drop", "garble"),
            held_by_another({"do": "fault.set", "fault": "busy"}, HANG_UP),
            POWER_CUT,
        ),
        {"width_px": 128, "answer_timeout_s": 0.5},
    ),
    Section(
        "modbus",
        "serial",
        running("modbus_twins", "serial", reach=on_serial),
        (*MODBUS_CASES, UNPLUGGED, busy()),
        MODBUS_SETTINGS,
        before=(CABINET_CLOSED,),
    ),
    Section(
        "modbus",
        "tcp",
        running("modbus_twins", "tcp", reach=on_tcp),
        (
            *MODBUS_CASES,
            fault("hang_up"),
            Case("unplug", ({"do": "unplug"},), ({"do": "plug"},), ends_as=Reason.REFUSED),
        ),
        MODBUS_SETTINGS,
        before=(CABINET_CLOSED,),
    ),
    Section(
        "nut",
        "tcp",
        running("nut_twin", reach=on_tcp),
        (
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
            UNPLUGGED,
            *SPOILT,
        ),
        SHORT_ANSWER,
    ),
    Section(
        "escpos",
        "tcp",
        printer("--port", "0", reach=on_tcp),
        (
            *PRINTER_STATES,
            *PRINTER_ANSWERS,
            held_by_another({"do": "fault.set", "fault": "busy"}, HANG_UP),
            POWER_CUT,
        ),
        opens=hasty_printer,
    ),
    Section(
        "escpos",
        "serial",
        printer("--link", "FOLDER/port", reach=on_serial),
        (
            *PRINTER_STATES,
            *PRINTER_ANSWERS,
            wire("drop"),
            held_by_another({"do": "fault.set", "fault": "busy"}, HANG_UP, undo=(*CLEAR, HANG_UP)),
            POWER_CUT,
        ),
        opens=hasty_printer,
    ),
    Section(
        "escpos",
        "usb",
        plugged("escpos-usb", ESCPOS, "--receipts", "FOLDER", transport=ESCPOS_ON_USB),
        (
            *PRINTER_STATES,
            *PRINTER_ANSWERS,
            says_beside(0x38, Reason.PAPER_OUT),
            says_beside(0x10, Reason.OFFLINE),
            CLAIMED,
            DENIED,
            *USB_PIPES,
            POWER_CUT,
        ),
        opens=hasty_printer,
    ),
    Section(
        "ipp",
        "ipp",
        started("drivers.sim.ipp", "--folder", "FOLDER", reach=at("ipp", "ipp/print")),
        (
            *each(wire, "paper_out", "paper_low", "jam", "cover_open", "toner_low", "toner_out"),
            *each(wire, "output_full", "overheated", "unrecoverable", "paused", "full_up"),
            wire("no_pdf"),
            *SPOILT,
            POWER_CUT,
        ),
        SHORT_ANSWER,
    ),
    Section(
        "pcsc",
        "pcsc",
        running("pcsc_twin", reach=known({"kind": "pcsc", "reader": "Hall Twin 00 00"})),
        (
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
        {"call_timeout_s": 0.5},
    ),
    Section(
        "opencv",
        "http",
        running("camera_twin", reach=at("http", "video")),
        stream("stall", "slow", "garble", "half", "hang_up", "black"),
        CAMERA_DEADLINES,
    ),
    Section(
        "opencv",
        "rtsp",
        running("camera_twin", reach=at("rtsp", "video")),
        stream("stall", "slow", "garble", "half", "hang_up", "black"),
        RTSP_DEADLINES,
    ),
    Section(
        "opencv",
        "v4l2",
        running("v4l2_twin", reach=known(V4L2_CAMERA)),
        (
            *each(fault, "stall", "garble", "half", "black", "error"),
            when_opened("busy", Reason.OCCUPIED),
            when_opened("metadata", Reason.UNSUPPORTED),
            Case("denied", (*fault("denied").orders, *REPLUG), (*CLEAR, *REPLUG), Reason.REFUSED),
            UNPLUGGED,
        ),
        V4L2_DEADLINES,
    ),
    Section(
        "opencv_document_camera",
        "http",
        running("document_camera_twin", reach=at("http", "video")),
        stream("stall", "slow", "garble", "half", "hang_up"),
        SHEET_DEADLINES,
    ),
    Section(
        "opencv_document_camera",
        "v4l2",
        running("document_camera_v4l2_twin", reach=known(V4L2_SHEETS)),
        (
            *each(fault, "stall", "garble", "half", "error"),
            when_opened("busy", Reason.OCCUPIED),
            when_opened("metadata", Reason.UNSUPPORTED),
            UNPLUGGED,
        ),
        SHEET_DEADLINES | {"stuck_after_s": 0.1},
    ),
    Section(
        "portaudio_microphone",
        "portaudio",
        running("sound_twin", reach=on_pulse),
        sound("mic", "silent", "muted", "dead", "clipping"),
        QUICK | {"dead_after_s": 0.5, "overdriven_after_s": 0.3},
    ),
    Section(
        "portaudio_loudspeaker",
        "portaudio",
        running("sound_twin", reach=on_pulse),
        sound("spk", "silent", "muted"),
        QUICK,
    ),
)
