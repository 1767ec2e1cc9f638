"""Which words a state of a device calls for: a citizen's, and a technician's.

A citizen is told what they can still do here; a technician, what to do about it. Keys of the one
table of words; both are there for every port and every reason (tests/wire/test_fault_table.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from hallkit.errors import Reason
from hallkit.model.device import DeviceReport, Paper

AS_USUAL = "machine.as_usual"
"""What a citizen need not know of."""

_DOWN: Mapping[str, str] = {
    # Nobody comes to a machine for its camera; what needs one says so itself.
    "camera": AS_USUAL,
    "chip_card_reader": "machine.chip_reader_down",
    "code_scanner": "machine.scanner_down",
    "document_camera": "machine.sheets_down",
    "id_card_reader": "machine.reader_down",
    "key_panel": "machine.keys_down",
    "led_bar": "machine.bar_down",
    "loudspeaker": "machine.voice_down",
    "microphone": "machine.ears_down",
    "page_printer": "machine.pages_down",
    "rating_buttons": "machine.rating_down",
    "ticket_printer": "machine.printer_down",
}
_SHEETS: Mapping[Reason, str] = {
    # A roll is changed, sheets are added.
    Reason.PAPER_OUT: "advice.sheets_out",
    Reason.PAPER_LOW: "advice.sheets_low",
}
_NEWS: Mapping[str, Mapping[Reason, str]] = {
    # Ports whose own state is nothing to a citizen, and what of them is.
    "auxiliaries": {Reason.SMOKE: "machine.smoke"},
    "ups": {Reason.ON_BATTERY: "machine.power_cut", Reason.BATTERY_LOW: "machine.power_ends"},
}


def for_citizens(report: DeviceReport) -> str:
    """What somebody at the machine is told of this part; `AS_USUAL` where it changes nothing."""
    if (news := _NEWS.get(report.port)) is not None:
        return news.get(report.reason, AS_USUAL) if report.reason else AS_USUAL
    if report.works:
        return AS_USUAL
    if report.port == "ticket_printer" and report.paper is Paper.OUT:
        return "machine.printer_out"
    return _DOWN[report.port]


def for_technicians(report: DeviceReport) -> str | None:
    """What is to be done about it; None where nothing is wrong."""
    if report.reason is None:
        return None
    if report.port == "page_printer" and report.reason in _SHEETS:
        return _SHEETS[report.reason]
    return f"advice.{report.reason}"
