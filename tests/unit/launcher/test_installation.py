"""One hall in a folder, on ports of its own, beside any other hall of this computer."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hallkit.errors import ConfigError
from launcher.installation import SITES, TERMINAL, WITNESS, Endpoint, Installation

PUBLISHED = {
    "broker": 18883,
    "affairs": 18443,
    "ops": 18480,
    "staff": 18481,
    "ticket-printer": 19100,
}


@pytest.fixture(autouse=True)
def _memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runtime folders of these tests go with them."""
    (tmp_path / "memory").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "memory"))


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "hall")


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        yield server.getsockname()[1]


def ports(installation: Installation) -> dict[str, int]:
    return {name: endpoint.port for name, endpoint in installation.endpoints.items()}


def test_the_configuration_is_a_copy_of_the_sites(installation: Installation) -> None:
    installation.prepare(move_ports=False)
    site = SITES / "demo"
    files = sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(installation.config)
        for path in installation.config.rglob("*")
        if path.is_file()
    )
    for file in files:
        assert (installation.config / file).read_bytes() == (site / file).read_bytes()
    assert ports(installation) == PUBLISHED


def test_moved_ports_are_free_and_all_different(installation: Installation) -> None:
    installation.prepare(move_ports=True)
    moved = ports(installation)
    assert moved.keys() == PUBLISHED.keys()
    assert len(set(moved.values())) == len(moved)
    assert not set(moved.values()) & set(PUBLISHED.values())
    assert installation.busy_ports() == []


def test_nothing_but_the_ports_is_changed_by_moving_them(installation: Installation) -> None:
    installation.prepare(move_ports=True)
    for path in (SITES / "demo").rglob("*.toml"):
        mine = tomllib.loads(
            (installation.config / path.relative_to(SITES / "demo")).read_text("utf-8")
        )
        theirs = tomllib.loads(path.read_text("utf-8"))
        for table in (mine, theirs):
            for section in (*table.values(), *table.get("peripherals", ())):
                if isinstance(section, dict):
                    section.pop("port", None)
                    for inner in ("transport", "staff"):
                        section.get(inner, {}).pop("port", None)
        assert mine == theirs


def test_a_change_of_the_copy_is_taken_back_by_the_next_start(installation: Installation) -> None:
    installation.prepare(move_ports=True)
    (installation.config / "site.toml").write_text("nonsense", encoding="utf-8")
    installation.prepare(move_ports=False)
    assert ports(installation) == PUBLISHED


def test_identities_and_state_outlive_a_start(installation: Installation) -> None:
    installation.prepare(move_ports=True)
    token = installation.console_url().split("token=")[1]
    kept = installation.state("agent") / "agent.sqlite"
    kept.write_bytes(b"promises")
    installation.prepare(move_ports=True)
    assert installation.console_url().split("token=")[1] == token
    assert kept.read_bytes() == b"promises"


def test_busy_ports_are_named(installation: Installation) -> None:
    installation.prepare(move_ports=True)
    with (
        listening(installation.endpoints["affairs"].port),
        listening(installation.endpoints["ticket-printer"].port),
    ):
        assert installation.busy_ports() == [
            Endpoint("affairs", "127.0.0.1", installation.endpoints["affairs"].port),
            Endpoint(
                "ticket-printer (emulated)",
                "127.0.0.1",
                installation.endpoints["ticket-printer"].port,
            ),
        ]
    assert installation.busy_ports() == []


def test_a_second_hall_in_the_folder_is_refused(installation: Installation) -> None:
    with installation.lock():
        with (
            pytest.raises(ConfigError, match="a hall runs here already"),
            Installation(installation.root).lock(),
        ):
            pass
        with Installation(installation.root.with_name("other")).lock():
            pass
    with installation.lock():
        pass


def test_two_folders_have_two_runtime_folders_with_room_for_a_socket(tmp_path: Path) -> None:
    first, second = Installation(tmp_path / ("a" * 99)), Installation(tmp_path / "b")
    assert first.runtime != second.runtime
    assert len(str(first.runtime.relative_to(tmp_path / "memory")) + "/kiosk.sock") < 60


def test_what_is_private_is_its_owners_alone(installation: Installation) -> None:
    installation.prepare(move_ports=True)
    folders = [installation.pki, installation.logs, installation.receipts, installation.runtime]
    assert [path.stat().st_mode & 0o777 for path in folders] == [0o700] * 4
    files = [installation.broker_conf, installation.state("broker") / "acl"]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600] * 2


def test_only_a_rehearsal_has_a_witness(installation: Installation) -> None:
    installation.prepare(move_ports=True)
    acl = installation.state("broker") / "acl"
    assert WITNESS not in acl.read_text()
    installation.prepare(move_ports=True, witness=True)
    assert acl.read_text().count(f"user {WITNESS}\ntopic read ") == 1
    assert (installation.pki / WITNESS / "cert.pem").exists()


def test_a_process_is_told_its_own_folders(installation: Installation) -> None:
    installation.prepare(move_ports=True)
    told = installation.environment(TERMINAL, files=("site.toml", f"devices/{TERMINAL}.toml"))
    assert told["HALLKIT_CREDENTIALS_DIR"] == str(installation.pki / TERMINAL)
    assert told["HALLKIT_STATE_DIR"] == str(installation.state(TERMINAL))
    assert told["HALLKIT_RUNTIME_DIR"] == str(installation.runtime)
    assert [Path(file).exists() for file in told["HALLKIT_CONFIG"].split(":")] == [True, True]
