"""What people read: every state has words, every colour exists, ages are rounded."""

from __future__ import annotations

import itertools
import re
from importlib import resources
from pathlib import Path
from typing import get_args

import pytest

from hallkit.errors import Reason, TrustError
from hallkit.lexicon.words import words
from hallkit.model.device import DeviceReport, DeviceStatus, Media, Paper
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.power import PowerPhase
from hallkit.web.ages import SCRIPT_WORDS, ago
from hallkit.web.login import read_token
from hallkit.web.style import tokens_css
from hallkit.wire.events import EVENTS, TicketPrinted, VisitEnded
from ops import view
from ops.console import SHOWN, counts, group_of
from ops.view import CentreView, MachineState, MachineView, Tone, peripheral_view

NOW_MS = 1_795_000_000_000


def printer(**changes: object) -> DeviceReport:
    fields = {"id": "p", "port": "ticket_printer", "driver": "escpos", "status": "online"}
    return DeviceReport.model_validate(fields | changes)


def test_every_condition_has_words() -> None:
    table = words("zh_CN")
    for status, paper, media, reason in itertools.product(
        DeviceStatus, Paper, Media, [None, *Reason]
    ):
        report = printer(status=status, paper=paper, reason=reason, media=media)
        view = peripheral_view(report, NOW_MS)
        assert table.has(view.words), view.words


@pytest.mark.parametrize(
    ("report", "tone", "said"),
    [
        (printer(paper="full"), "done", "正常"),
        (printer(paper="low"), "attention", "纸快用完"),
        (printer(status="offline", paper="out", reason="paper_out"), "attention", "缺纸"),
        (printer(status="offline", reason="port_gone"), "fault", "连接断开"),
        (printer(status="hardwareError"), "fault", "硬件故障"),
        (printer(status="starting"), "plain", "正在启动"),
        (printer(media="jammed"), "attention", "证件卡住"),
        (printer(status="hardwareError", reason="smoke"), "fault", "有烟"),
        (printer(status="potentialFraud", reason="tampered"), "attention", "被人撬动"),
        (printer(reason="door_open"), "attention", "机柜门没关"),
    ],
)
def test_a_technician_reads_what_is_to_be_done(report: DeviceReport, tone: Tone, said: str) -> None:
    view = peripheral_view(report, NOW_MS)
    assert (view.tone, words("zh_CN")(view.words)) == (tone, said)


def test_smoke_is_told_before_whatever_else_is_broken() -> None:
    reports = (
        printer(status="offline", reason="port_gone"),
        printer(status="hardwareError", reason="smoke"),
    )
    parts = tuple(peripheral_view(report, NOW_MS) for report in reports)
    assert view._verdict("online", parts) == ("attention", "reason.smoke")


@pytest.mark.parametrize(("lines", "metres"), [(None, None), (0, 0), (4_000, 15), (21_333, 80)])
def test_what_is_left_on_a_roll_is_said_in_metres(lines: int | None, metres: int | None) -> None:
    assert peripheral_view(printer(paper_left_lines=lines), NOW_MS).paper_left_m == metres


def test_a_machine_in_maintenance_says_so_and_alarms_with_smoke_alone() -> None:
    def verdict(state: MachineState, **fault: str) -> tuple[Tone, str]:
        return view._verdict(state, (peripheral_view(printer(**fault), NOW_MS),), serviced=True)

    assert words("zh_CN").has("state.machine_maintenance")
    for fault in ({}, {"paper": "out"}, {"status": "offline", "reason": "port_gone"}):
        assert verdict("online", **fault) == ("plain", "state.machine_maintenance")
    smoke = verdict("online", status="hardwareError", reason="smoke")
    assert smoke == ("attention", "reason.smoke")
    assert verdict("offline") == ("fault", "state.machine_offline")
    assert verdict("silent")[0] == "attention"


def test_a_clock_that_is_ahead_does_not_show_the_future() -> None:
    assert peripheral_view(printer(since_ms=NOW_MS + 30_000), NOW_MS).since_ms == NOW_MS
    assert peripheral_view(printer(since_ms=NOW_MS * 2), NOW_MS).since_ms is None
    assert peripheral_view(printer(since_ms=-5), NOW_MS).since_ms is None


def test_every_event_has_words() -> None:
    table = words("zh_CN")
    for outcome in get_args(VisitEnded.model_fields["outcome"].annotation):
        assert table.has(f"console.event.visit_{outcome}")
    states = TicketPrinted.model_fields["state"].annotation
    assert states is not None
    for state in states:
        assert table.has(f"console.event.print_{state}")
    assert table.has("console.event.configuration_wrong")
    assert table.has("console.event.configuration_right")
    for phase in PowerPhase:
        assert table.has(f"console.event.power_{phase}")
    for service in MaintenancePhase:
        assert table.has(f"console.event.maintenance_{service}")
    assert len(EVENTS) == 8, "a new event: give it words in ops/view.py and here"


def test_every_word_of_the_page_exists() -> None:
    table = words("zh_CN")
    wanted = {f"console.{key}" for key in (*SCRIPT_WORDS, *SHOWN)}
    wanted |= {f"state.machine_{state}" for state in get_args(MachineState)}
    for package in ("ops", "hallkit.web"):
        for file in (resources.files(package) / "templates").iterdir():
            wanted |= set(re.findall(r't\("([a-z_.]+)"', file.read_text(encoding="utf-8")))
    wanted -= {"console."}
    assert [key for key in sorted(wanted) if not table.has(key)] == []


def test_every_token_of_the_style_sheets_exists() -> None:
    used: set[str] = set()
    for package in ("ops", "hallkit.web"):
        for file in (resources.files(package) / "assets").iterdir():
            used |= set(re.findall(r"var\((--hk-[a-z-]+)\)", file.read_text(encoding="utf-8")))
    assert used
    assert [name for name in sorted(used) if f"{name}:" not in tokens_css()] == []


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "刚刚"),
        (4, "刚刚"),
        (12, "12 秒前"),
        (61, "1 分钟前"),
        (3599, "59 分钟前"),
        (7300, "2 小时前"),
        (200_000, "2 天前"),
    ],
)
def test_ages_are_said_as_people_say_them(seconds: int, said: str) -> None:
    assert ago(words("zh_CN"), seconds * 1000) == said


def test_machines_are_grouped_by_what_is_to_be_done() -> None:
    def machine(state: MachineState, tone: Tone) -> MachineView:
        return MachineView(
            device=f"{state}-{tone}",
            name="",
            role="",
            agent="",
            state=state,
            tone=tone,
            rank=0,
            words="state.online",
            since_ms=None,
            seen_ms=None,
            peripherals=(),
            visits_today=0,
            tickets_today=0,
            today_since_ms=0,
            last_event_ms=None,
            outbox_rows=None,
            outbox_at_ms=None,
            refused_today=0,
        )

    machines = (
        machine("online", "done"),
        machine("sleeping", "plain"),
        machine("online", "attention"),
        machine("silent", "attention"),
        machine("offline", "fault"),
        machine("unknown", "plain"),
    )
    assert [group_of(one) for one in machines] == [
        "fine",
        "fine",
        "look_after",
        "look_after",
        "away",
        "away",
    ]
    view = CentreView(
        now_ms=NOW_MS,
        site_name="",
        broker_up=True,
        broker_since_ms=0,
        broker_dropped=0,
        refused_today=0,
        machines=machines,
        events=(),
    )
    assert counts(view) == {"all": 6, "fine": 2, "look_after": 2, "away": 2}


def test_an_empty_token_file_opens_nothing(tmp_path: Path) -> None:
    for content in ("", "short"):
        (tmp_path / "console.token").write_text(content)
        with pytest.raises(TrustError, match="shorter"):
            read_token(tmp_path / "console.token")
    with pytest.raises(TrustError):
        read_token(tmp_path / "missing")
