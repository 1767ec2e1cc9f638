"""Wrong files are a part of the machine that needs a person, told once and gone when right."""

from __future__ import annotations

from pathlib import Path

from edge_agent.configuration import PART, ConfigurationWatch
from hallkit.errors import ConfigProblem, Reason
from hallkit.model.device import DeviceStatus
from hallkit.runtime.last_good import WrongFiles
from hallkit.wire.events import MISTAKES_LIMIT, TEXT_LIMIT, ConfigurationChecked
from ops.view import peripheral_view
from tests.fakes.clock import NOON_MS, FakeClock


def leave_word(state: Path, process: str, *problems: ConfigProblem) -> None:
    folder = state / "config"
    folder.mkdir(exist_ok=True)
    told = WrongFiles(process=process, works=True, problems=problems)
    (folder / f"{process}.mistakes.json").write_text(told.model_dump_json(), encoding="utf-8")


def test_told_once_and_healed(tmp_path: Path) -> None:
    told: list[ConfigurationChecked] = []
    watch = ConfigurationWatch(tmp_path, FakeClock(), tell=told.append)
    watch.look()
    assert (watch.reports, told) == ((), [])

    leave_word(tmp_path, "kiosk", ConfigProblem("device.toml", "kiosk.idle", "unknown key", "", 2))
    watch.look()
    watch.look()
    [report] = watch.reports
    assert (report.id, report.status, report.reason) == (
        PART,
        DeviceStatus.USER_ERROR,
        Reason.CONFIGURATION,
    )
    assert peripheral_view(report, NOON_MS).tone == "attention"
    assert told == [
        ConfigurationChecked(
            process="kiosk", total=1, mistakes=("device.toml:2: kiosk.idle: unknown key",)
        )
    ]

    (tmp_path / "config" / "kiosk.mistakes.json").unlink()
    watch.look()
    assert watch.reports == ()
    assert told[1:] == [ConfigurationChecked(process="kiosk")]


def test_half_a_word_is_none_and_a_long_list_is_cut(tmp_path: Path) -> None:
    told: list[ConfigurationChecked] = []
    watch = ConfigurationWatch(tmp_path, FakeClock(), tell=told.append)
    leave_word(tmp_path, "kiosk", *[ConfigProblem("f", f"k{n}", "x" * 999) for n in range(99)])
    (tmp_path / "config" / "other.mistakes.json").write_text("{")
    watch.look()
    [event] = told
    assert (event.total, len(event.mistakes)) == (99, MISTAKES_LIMIT)
    assert max(map(len, event.mistakes)) == TEXT_LIMIT
