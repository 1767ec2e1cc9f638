"""`hall driver check KEY --device URL`: a vendor's bench, with the twin as the vendor's device."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from drivers.sim.control import order
from drivers.sim.process import simulator
from launcher.cli import main

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

HANDS = """#!{python}
# What a rig of relays would do, done to a twin.
import asyncio, sys
from pathlib import Path
from drivers.sim.control import order

CONTROL, RECEIPTS = Path("{control}"), Path("{receipts}")
ORDERS = {{
    ("break_", "paper_out"): [("fault.set", {{"fault": "paper_out"}})],
    ("break_", "paper_low"): [("fault.set", {{"fault": "paper_low"}})],
    ("break_", "cover_open"): [("fault.set", {{"fault": "cover_open"}})],
    ("unplug",): [("power.cut", {{}})],
    ("mend",): [("paper.refill", {{}}), ("fault.clear", {{}}), ("power.on", {{}})],
    ("restore",): [("paper.refill", {{}}), ("fault.clear", {{}}), ("power.on", {{}})],
}}
port, *what = sys.argv[1:]
assert port == "ticket_printer"
if what == ["slips"]:
    seen = RECEIPTS / "seen"
    done = seen.read_text().split() if seen.exists() else []
    new = [path for path in sorted(RECEIPTS.glob("slip-*.txt")) if path.name not in done]
    texts = [path.read_text("utf-8") for path in new]
    seen.write_text(" ".join(done + [path.name for path in new]))
    print(*(int("补打" in text) for text in texts if "第 11 行" in text))
elif tuple(what) not in ORDERS:
    sys.exit(3)
else:
    for do, arguments in ORDERS[tuple(what)]:
        asyncio.run(order(CONTROL, do, **arguments))
"""


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    facts: dict[str, object] = json.loads(capsys.readouterr().out)
    return facts


def outcomes(facts: dict[str, object]) -> dict[str, str]:
    return {one["test"]: one["outcome"] for one in facts["tests"]}  # type: ignore[attr-defined]


async def test_a_device_with_hands_is_tried_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    control, receipts = tmp_path / "control", tmp_path / "receipts"
    program = tmp_path / "hands"
    program.write_text(
        HANDS.format(python=sys.executable, control=control, receipts=receipts), "utf-8"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    report = tmp_path / "report.json"
    options = ["--hands", str(program), "--report", str(report), "--json"]
    async with simulator(
        "drivers.sim.escpos", "--receipts", receipts, "--control", control, "--port", "0"
    ):
        port = (await order(control, "state"))["state"]["port"]
        address = f"tcp://127.0.0.1:{port}"
        assert main(["driver", "check", "escpos", "--device", address, *options]) == 0
    facts = told(capsys)
    assert facts["verdict"] == "conforms in what was tried"
    assert facts["model"] == "HK-T80 SIM"
    tests = outcomes(facts)
    assert tests["a slip is confirmed"] == "holds"
    assert tests["a fault that is there starts nothing (cover_open)"] == "holds"
    assert tests["a lost printer is a report and heals by itself"] == "holds"
    assert tests["a fault that is there starts nothing (cutter)"] == "not tried"
    assert json.loads(report.read_text("utf-8"))["verdict"] == facts["verdict"]
    page = report.with_suffix(".md").read_text("utf-8")
    assert "| a slip is confirmed | holds |" in page
    assert "the program can't do this: break_ cutter" in page


async def test_what_is_no_such_device_does_not_conform(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bar's card on the printer's address: it takes bytes and never answers as a printer."""
    control = tmp_path / "control"
    async with simulator("drivers.sim.onbon", "--control", control, "--port", "0"):
        port = (await order(control, "state"))["state"]["port"]
        address = f"tcp://127.0.0.1:{port}"
        assert main(["driver", "check", "escpos", "--device", address, "--json"]) == 1
    facts = told(capsys)
    assert facts["verdict"] == "does not conform"
    assert "does not hold" in outcomes(facts).values()


def test_without_anybody_at_the_device_its_twins_show_the_whole_suite(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["driver", "check", "serial_buttons", "--device", "sim", "--json"]) == 0
    facts = told(capsys)
    assert facts["verdict"] == "conforms"
    assert set(outcomes(facts).values()) == {"holds"}


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("usb-stick", "no such wire"),
        ("tcp://127.0.0.1:0", "port"),
        ("serial://", "path"),
    ],
)
def test_an_address_that_can_not_be_is_told(
    address: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["driver", "check", "escpos", "--device", address]) == 2
    assert complaint in capsys.readouterr().err
