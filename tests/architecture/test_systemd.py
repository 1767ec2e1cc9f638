"""The units say nothing that systemd would ignore, are fenced, and give the code what it reads."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

from edge_agent.app import POWEROFF
from hallkit.runtime.config import Places, files_from_environment
from ops.broker import mosquitto_conf

ANALYZE = shutil.which("systemd-analyze")
needs_systemd_analyze = pytest.mark.skipif(
    ANALYZE is None, reason="systemd-analyze is not installed: the units are not checked"
)

ROOMS = {
    "hall-agent": "edge_agent",
    "hall-kiosk": "kiosk",
    "hall-affairs": "affairs",
    "hall-ops": "ops",
    "hall-screen": "kiosk/ui",
    "hall-broker": "",
    "hall-poweroff": "",
}
"""Whose code a unit runs."""

ONCE = "hall-poweroff"
"""Does one thing when it is asked, and serves nobody."""

TLS = {"ca.pem", "cert.pem", "key.pem"}
EXPOSURE_LIMIT = 20
"""Tenths: 2.0 on systemd's scale of ten."""

SYSTEM_TARGETS = ("sysinit", "basic", "shutdown", "network-online", "multi-user", "paths")
OPTIONAL = {"HALLKIT_PX_PER_MM"}
"""Variables for a developer's desk; a machine's file says the same."""

_CREDENTIAL = re.compile(r'credentials / "([^"]+)"')
_VARIABLE = re.compile(r'"(HALLKIT_[A-Z_]+)"')


class Unit:
    """A unit file's settings; those that may repeat keep their order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        self.settings: dict[str, list[str]] = defaultdict(list)
        for line in path.read_text(encoding="utf-8").splitlines():
            if "=" in line and not line.startswith(("#", ";")):
                key, _, value = line.partition("=")
                self.settings[key].append(value)

    def one(self, key: str) -> str:
        values = self.settings[key]
        assert len(values) == 1, f"{self.name}: {key} {len(values)} times"
        return values[0]

    @property
    def credentials(self) -> dict[str, str]:
        return dict(value.split(":", 1) for value in self.settings["LoadCredential"])

    @property
    def environment(self) -> dict[str, str]:
        """What the process sees, as systemd.exec(5) makes it."""
        found: dict[str, str] = {}
        for line in self.settings["Environment"]:
            found |= dict(pair.split("=", 1) for pair in line.split())
        for key, variable, root in (
            ("StateDirectory", "STATE_DIRECTORY", "/var/lib"),
            ("RuntimeDirectory", "RUNTIME_DIRECTORY", "/run"),
        ):
            if self.settings[key]:
                found[variable] = f"{root}/{self.one(key)}"
        if self.credentials:
            found["CREDENTIALS_DIRECTORY"] = f"/run/credentials/{self.name}.service"
        return found


def unit_files() -> list[Path]:
    return sorted((Path(__file__).resolve().parents[2] / "systemd").glob("*.service"))


UNITS = [Unit(path) for path in unit_files()]
OURS = [unit for unit in UNITS if ROOMS.get(unit.name)]
SERVING = [unit for unit in UNITS if unit.name != ONCE]
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
each_that_serves = pytest.mark.parametrize("unit", SERVING, ids=lambda unit: unit.name)
each_of_ours = pytest.mark.parametrize("unit", OURS, ids=lambda unit: unit.name)


@pytest.fixture
def root(tmp_path: Path, checkout: Path) -> Path:
    """A root folder with our units and empty programs, so that only the units are judged."""
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    for path in (checkout / "systemd").iterdir():
        if path.suffix in {".service", ".target", ".path"}:
            shutil.copy(path, units)
    for target in SYSTEM_TARGETS:
        (units / f"{target}.target").write_text("[Unit]\nDescription=a stand-in\n")
    for unit in UNITS:
        for line in unit.settings["ExecStart"] + unit.settings["ExecReload"]:
            for word in line.split():
                if word.startswith("/") and "bin/" in word:
                    program = tmp_path / word.lstrip("/")
                    program.parent.mkdir(parents=True, exist_ok=True)
                    program.write_text("#!/bin/sh\n")
                    program.chmod(0o755)
    return tmp_path


def verify(root: Path) -> subprocess.CompletedProcess[str]:
    units = sorted((root / "etc" / "systemd" / "system").glob("hall*"))
    return subprocess.run(
        [str(ANALYZE), "verify", f"--root={root}", *map(str, units)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_unit_is_known_here() -> None:
    assert {unit.name for unit in UNITS} == set(ROOMS)


@needs_systemd_analyze
def test_systemd_has_nothing_to_say(root: Path) -> None:
    done = verify(root)
    # It ends with 0 on an unknown key and only says so.
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd_analyze
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("UMask=0077", "Umask=0077"),
        ("Restart=always", "Restart=ever"),
        ("hall-ops\n", "hall-opz\n"),
    ],
)
def test_a_mistake_in_a_unit_is_seen(root: Path, right: str, wrong: str) -> None:
    unit = root / "etc" / "systemd" / "system" / "hall-ops.service"
    text = unit.read_text(encoding="utf-8")
    assert right in text
    unit.write_text(text.replace(right, wrong), encoding="utf-8")
    done = verify(root)
    assert done.stdout + done.stderr


@needs_systemd_analyze
@each_unit
def test_a_unit_is_fenced(unit: Unit) -> None:
    done = subprocess.run(
        [
            *(str(ANALYZE), "security", "--offline=yes", "--no-pager"),
            *(f"--threshold={EXPOSURE_LIMIT}", str(unit.path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@each_that_serves
def test_a_unit_comes_back(unit: Unit) -> None:
    assert unit.one("Type") == "notify"
    assert unit.one("Restart") == "always"
    assert unit.one("StartLimitIntervalSec") == "0", "a machine never gives up"
    assert unit.one("WantedBy") == unit.one("PartOf") == "hall.target"


@each_of_ours
def test_a_unit_of_ours_is_watched_and_stops_at_a_mistake(unit: Unit) -> None:
    assert int(unit.one("WatchdogSec")) <= 30
    assert unit.one("RestartPreventExitStatus") == "78"
    assert unit.environment["PYTHONSAFEPATH"] == "1"


@each_of_ours
def test_a_unit_is_reloaded_where_its_code_reads_again(unit: Unit, checkout: Path) -> None:
    """Without a handler SIGHUP ends a process; with one and no ExecReload nobody gets to it."""
    reads_again = any(
        "signal.SIGHUP" in path.read_text(encoding="utf-8")
        for path in (checkout / ROOMS[unit.name]).rglob("*.py")
    )
    expected = ["/bin/kill -HUP $MAINPID"] if reads_again else []
    assert unit.settings["ExecReload"] == expected


@each_that_serves
def test_who_may_speak_for_a_unit(unit: Unit) -> None:
    """Only the screen is notified for by a child: its main process is the compositor."""
    assert unit.one("NotifyAccess") == ("all" if unit.name == "hall-screen" else "main")


@each_of_ours
def test_folders_and_files_are_given(unit: Unit) -> None:
    environment = unit.environment
    places = Places.from_environment(environment)
    assert places.state.is_relative_to("/var/lib")
    assert places.runtime.is_relative_to("/run")
    files = [str(path) for path in files_from_environment(environment)]
    machine = unit.name in {"hall-agent", "hall-kiosk", "hall-screen"}
    assert files == ["/etc/hall/site.toml", *(["/etc/hall/device.toml"] if machine else [])]


@each_of_ours
def test_every_variable_that_the_code_reads_is_given(unit: Unit, checkout: Path) -> None:
    read = set()
    for room in ("hallkit", ROOMS[unit.name]):
        for path in (checkout / room).rglob("*.py"):
            read |= set(_VARIABLE.findall(path.read_text(encoding="utf-8")))
    environment = unit.environment
    given = set(environment)
    for ours, systemd in (
        ("HALLKIT_STATE_DIR", "STATE_DIRECTORY"),
        ("HALLKIT_RUNTIME_DIR", "RUNTIME_DIRECTORY"),
        ("HALLKIT_CREDENTIALS_DIR", "CREDENTIALS_DIRECTORY"),
    ):
        if systemd in environment:
            given.add(ours)
    assert read - given <= OPTIONAL
    assert {name for name in given if name.startswith("HALLKIT_")} <= read


@each_that_serves
def test_every_credential_that_the_code_reads_is_given(unit: Unit, checkout: Path) -> None:
    read = set() if unit.name == "hall-screen" else set(TLS)
    if ROOMS[unit.name]:
        for path in (checkout / ROOMS[unit.name]).rglob("*.py"):
            read |= set(_CREDENTIAL.findall(path.read_text(encoding="utf-8")))
    assert set(unit.credentials) == read
    for name, source in unit.credentials.items():
        assert re.fullmatch(rf"/etc/hall/credentials/\w+/{re.escape(name)}", source)


@each_of_ours
def test_a_unit_that_reads_proc_sees_it(unit: Unit, checkout: Path) -> None:
    reads = any(
        re.search(r'"/proc/(?!self|\{)', path.read_text(encoding="utf-8"))
        for path in (checkout / ROOMS[unit.name]).rglob("*.py")
    )
    assert not (reads and unit.settings["ProcSubset"]), "ProcSubset=pid hides /proc/meminfo"


def test_agent_and_kiosk_share_their_folders_and_user() -> None:
    agent, kiosk, screen = (
        next(unit for unit in UNITS if unit.name == name)
        for name in ("hall-agent", "hall-kiosk", "hall-screen")
    )
    assert agent.one("User") == kiosk.one("User") == "hall"
    assert screen.one("User") != "hall"
    assert agent.one("Group") == kiosk.one("Group") == screen.one("Group")
    places = [Places.from_environment(unit.environment) for unit in (agent, kiosk, screen)]
    assert places[0].state == places[1].state
    assert places[0].runtime == places[1].runtime == places[2].runtime
    for unit in (agent, kiosk):
        assert unit.one("RuntimeDirectoryPreserve") == "yes"
        assert unit.one("RuntimeDirectoryMode") == "0750"


def test_the_agents_sockets_are_closed_to_the_screen() -> None:
    """They are for one user, as tests/unit/runtime/test_bus.py shows; the screen is another."""
    agent, screen = (
        next(unit for unit in UNITS if unit.name == name) for name in ("hall-agent", "hall-screen")
    )
    assert screen.one("User") not in {agent.one("User"), "root"}
    for unit in (agent, screen):
        assert not unit.settings["AmbientCapabilities"] or unit.one("AmbientCapabilities") == ""
        assert unit.one("CapabilityBoundingSet") == "", "CAP_DAC_OVERRIDE opens every socket"


def test_the_machine_is_switched_off_by_the_file_that_the_agent_writes(checkout: Path) -> None:
    agent, once = (
        next(unit for unit in UNITS if unit.name == name) for name in ("hall-agent", ONCE)
    )
    watch = Unit(checkout / "systemd" / f"{ONCE}.path")
    asked = str(Places.from_environment(agent.environment).runtime / POWEROFF)
    assert watch.one("PathChanged") == asked
    assert once.one("ConditionPathExists") == asked, "taking the file back is a change, too"
    assert watch.one("Unit") == once.path.name
    assert watch.one("WantedBy") == "hall.target"
    assert (once.one("Type"), once.one("ExecStart")) == ("oneshot", "/usr/bin/systemctl poweroff")
    assert once.one("CapabilityBoundingSet") == ""
    assert agent.one("User") != "root"
    assert not once.settings["User"], "the agent asks, and root's unit obeys"


def test_the_screen_reaches_no_network() -> None:
    screen = next(unit for unit in UNITS if unit.name == "hall-screen")
    assert screen.one("IPAddressDeny") == "any"
    assert "INET" not in screen.one("RestrictAddressFamilies")


def test_the_brokers_file_is_the_one_that_the_demo_runs(checkout: Path) -> None:
    credentials = Path("/run/credentials/hall-broker.service")
    text = mosquitto_conf(
        host="0.0.0.0",  # noqa: S104  # machines come from other nodes; certificates decide
        port=18883,
        ca=credentials / "ca.pem",
        cert=credentials / "cert.pem",
        key=credentials / "key.pem",
        acl=Path("/etc/hall/broker/acl"),
        state=Path("/var/lib/hall-broker"),
    )
    assert (checkout / "systemd" / "mosquitto.conf").read_text(encoding="utf-8") == text


def test_programs_of_units_are_installed_by_the_project(checkout: Path) -> None:
    raw = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    scripts = raw["project"]["scripts"]
    for unit in UNITS:
        for program in re.findall(r"/opt/hall/venv/bin/(\S+)", unit.one("ExecStart")):
            assert program == "python" or program in scripts
        for module in re.findall(r"-m (\S+)", unit.one("ExecStart")):
            assert (checkout / (module.replace(".", "/") + ".py")).is_file()
