"""Whatever is wrong in a hall's files, the one report has it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge_agent.settings
import kiosk.settings
from hallkit.errors import ConfigError
from hallkit.runtime.config import read
from hallkit.runtime.settings import listed_devices
from launcher import installation, site_files
from launcher.cli import main
from launcher.installation import Installation
from launcher.site_files import mistakes_of_site

DEMO = installation.SITES / "demo"
SITE, MACHINE = "site.toml", "devices/terminal-01.toml"


@dataclass(frozen=True)
class Slip:
    """One mistake that somebody may make: a text of a file replaced by another."""

    file: str
    old: str
    new: str
    key: str
    """That the report must name."""
    says: str


SLIPS = (
    Slip(SITE, 'id = "shifang-demo"', 'id = "Shifang Demo"', "site.id", "pattern"),
    Slip(SITE, "area_code =", "aera_code =", "site.aera_code", "'area_code'"),
    Slip(SITE, '[broker]\nhost = "127.0.0.1"', "[broker]\nhost = 3", "broker.host", "string"),
    Slip(SITE, "reconnect_cap_s = 4.0", "reconnect_cap_s = 0", "broker.reconnect_cap_s", "than 0"),
    Slip(SITE, "port = 18443", "prot = 18443", "affairs.prot", "'port'"),
    Slip(SITE, "port = 18480", 'port = "many"', "ops.port", "integer"),
    Slip(SITE, "# The demo hall.", "[bokers]\n#", "bokers", "'broker'"),
    Slip(MACHINE, 'id = "terminal-01"', "id = 1", "device.id", "string"),
    Slip(MACHINE, 'role = "terminal"', 'role = "robot"', "device.role", "'terminal'"),
    Slip(MACHINE, 'name = "1号自助终端"\n', "", "device.name", "is missing"),
    Slip(MACHINE, "popular = [", "popularr = [", "kiosk.popularr", "'popular'"),
    Slip(MACHINE, 'driver = "sdt"', 'driver = "sdd"', "peripherals[0].driver", "'sdt'"),
    Slip(
        MACHINE, '"serial", path', '"serial", baud = 7, path', "peripherals[0].transport.baud", ""
    ),
    Slip(MACHINE, 'id = "ticket-printer"', 'id = "Drucker!"', "peripherals[1].id", "pattern"),
    Slip(
        MACHINE,
        'driver = "escpos"',
        'driver = "escpos"\nprofil = "x"',
        "peripherals[1].profil",
        "'profile'",
    ),
    Slip(MACHINE, "port = 19100", "port = 0", "peripherals[1].transport.port", "than or equal"),
)


def demo_with(folder: Path, slips: Iterable[Slip]) -> Path:
    site = folder / "site"
    shutil.copytree(DEMO, site)
    for slip in slips:
        path = site / slip.file
        text = path.read_text(encoding="utf-8")
        assert text.count(slip.old) == 1, slip
        path.write_text(text.replace(slip.old, slip.new), encoding="utf-8")
    return site


def test_the_demo_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--site", str(DEMO)]) == 0
    assert "sound, 1 machine\n" in capsys.readouterr().out


@given(st.sets(st.sampled_from(SLIPS), min_size=1))
@settings(deadline=None, max_examples=60)
def test_the_report_has_each_mistake_of_any_set(slips: set[Slip]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = demo_with(Path(folder), slips)
        problems = mistakes_of_site(site)
        for slip in slips:
            [told] = [one for one in problems if one.key == slip.key]
            assert slip.says in str(told)
            assert told.file == Path(slip.file).name
            assert told.line is not None
            assert told.suggestion
        keys = {slip.key for slip in slips}
        # Nothing is told that is not wrong; a misspelt key is missing under its right name.
        assert {one.key for one in problems if one.message != "is missing"} <= keys
        ours = [one for slip in slips for one in problems if one.key == slip.key]
        for told in ours:
            text = (site / next(s.file for s in slips if s.key == told.key)).read_text("utf-8")
            name = told.key.rpartition(".")[2]
            if told.message != "is missing":
                assert told.line is not None
                assert name in text.splitlines()[told.line - 1]


def test_the_agent_tells_sections_and_peripherals_at_once(tmp_path: Path) -> None:
    site = demo_with(tmp_path, SLIPS)
    with pytest.raises(ConfigError) as fault:
        edge_agent.settings.parse(read([site / SITE, site / MACHINE]), tmp_path)
    keys = {problem.key for problem in fault.value.problems}
    assert keys >= {
        slip.key for slip in SLIPS if slip.key.partition(".")[0] not in ("ops", "kiosk")
    }


def test_every_device_file_is_looked_at(tmp_path: Path) -> None:
    site = demo_with(tmp_path, ())
    devices = site / "devices"
    (devices / "a.toml").write_text("[device]\nid = 3\n")
    (devices / "b.toml").write_text("[device\n")
    (devices / "c.toml").write_text('[device]\nid = "terminal-01"\nname = "x"\nrole = 7\n')
    (devices / "terminal-01.toml").write_text('[device]\nid = "terminal-01"\nname = "x"\n')
    with pytest.raises(ConfigError) as fault:
        listed_devices([site / SITE])
    assert [(one.file, one.key, one.line) for one in fault.value.problems] == [
        ("a.toml", "device.name", 1),
        ("a.toml", "device.id", 2),
        ("b.toml", "-", 1),
        ("c.toml", "device.role", 4),
        ("terminal-01.toml", "device.id", 2),
    ]


def test_a_file_that_is_no_toml_hides_no_other_and_invents_nothing(tmp_path: Path) -> None:
    site = demo_with(tmp_path, (SLIPS[10],))
    (site / SITE).write_text('[site]\nid = "x\n', encoding="utf-8")
    told = [(one.file, one.key) for one in mistakes_of_site(site)]
    assert told == [("site.toml", "-"), ("terminal-01.toml", "kiosk.popularr")]


def test_a_site_without_machines_is_looked_at_as_well(tmp_path: Path) -> None:
    site = demo_with(tmp_path, ())
    shutil.rmtree(site / "devices")
    assert mistakes_of_site(site) == []
    with (site / SITE).open("a") as file:
        file.write("[kiosk]\nidle_ask_s = 1\n")
    assert [one.key for one in mistakes_of_site(site)] == ["kiosk.idle_ask_s"]


def test_files_of_the_central_processes_alone(tmp_path: Path) -> None:
    site = demo_with(tmp_path, ())
    (site / "affairs.toml").write_text('[affairs]\ndevices = ["robot-01"]\n')
    (site / "ops.toml").write_text("[ops]\ntls = 7\n")
    assert [(one.file, one.key) for one in mistakes_of_site(site)] == [("ops.toml", "ops.tls")]


def test_as_json_with_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = demo_with(tmp_path, SLIPS[:3])
    assert main(["config", "check", "--json", "--site", str(site)]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"file", "line", "key", "message", "suggestion"} == set(lines[0])
    assert len(lines) == 4, "one of the three is a misspelt key, which is missing as well"
    assert main(["config", "check", "--site", str(tmp_path / "nowhere")]) == 2


def test_where_no_driver_is_installed_the_rest_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def discover() -> None:
        raise ModuleNotFoundError(name="serial")

    monkeypatch.setattr(site_files, "discover", discover)
    site = demo_with(tmp_path, SLIPS)
    told = mistakes_of_site(site)
    assert {"site.id", "kiosk.popularr"} <= {one.key for one in told}
    assert not [one for one in told if one.key.startswith("peripherals")]
    assert main(["config", "check", "--site", str(site)]) == 1
    assert "serial is not here" in capsys.readouterr().err


def test_each_value_says_where_it_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = demo_with(tmp_path, ())
    assert main(["config", "show", "--site", str(site), "--device", "terminal-01", "--json"]) == 0
    rows = {one["key"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["broker.port"]["file"] == "site.toml"
    assert rows["kiosk.popular"]["file"] == "terminal-01.toml"
    assert rows["kiosk.px_per_mm"]["file"] == "kiosk/defaults.toml"
    assert rows["peripherals[1].transport.port"] | {"line": 0} == {
        "key": "peripherals[1].transport.port",
        "value": 19100,
        "file": "terminal-01.toml",
        "line": 0,
    }
    assert rows["peripherals[1].profile"]["file"] is None
    assert main(["config", "show", "--site", str(site)]) == 0
    assert 'ops.host = "127.0.0.1"  # site.toml:' in capsys.readouterr().out
    assert main(["config", "show", "--site", str(site), "--device", "nobody"]) == 2


def test_the_demo_does_not_start_on_wrong_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = tmp_path / "sites"
    sites.mkdir()
    demo_with(tmp_path, SLIPS).rename(sites / "demo")
    monkeypatch.setattr(installation, "SITES", sites)
    root = tmp_path / "root"
    assert main(["demo", "--root", str(root), "--free-ports"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) >= len(SLIPS)
    assert all(line.startswith("hall: ") for line in said)
    assert not Installation(root).pki.exists(), "nothing was made"


def test_the_kiosk_reads_its_packaged_defaults_first(tmp_path: Path) -> None:
    site = demo_with(tmp_path, ())
    parsed = kiosk.settings.parse(kiosk.settings.read_files([site / SITE, site / MACHINE]))
    assert parsed.kiosk.px_per_mm == 3.2
