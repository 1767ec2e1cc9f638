"""The locks pin what the roles ask for: no addresses in them, each a part of the whole."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROLES = ("terminal", "agent", "central", "camera", "voice")
_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ \\;]+)(?P<marker>[^\\]*)")


def read(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes by name."""
    found: dict[str, tuple[str, set[str]]] = {}
    current = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if entry := _ENTRY.match(line):
            current = canonicalize_name(entry["name"])
            assert current not in found, f"{path.name}: {current} twice"
            found[current] = (entry["version"], set())
        elif digest := re.match(r"^    --hash=(sha256:[0-9a-f]{64})( \\)?$", line):
            found[current][1].add(digest[1])
        else:
            assert line.lstrip().startswith("#") or not line, f"{path.name}: {line!r}"
    return {name: (version, frozenset(hashes)) for name, (version, hashes) in found.items()}


@pytest.fixture(scope="module")
def locks(checkout: Path) -> dict[str, dict[str, tuple[str, frozenset[str]]]]:
    return {path.stem: read(path) for path in (checkout / "locks").glob("*.lock")}


@pytest.fixture(scope="module")
def project(checkout: Path) -> dict[str, list[str]]:
    """Requirements by extra; those of every room under the empty name."""
    raw = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": raw["dependencies"], **raw["optional-dependencies"]}


def test_there_is_one_lock_for_each_role(locks: dict[str, object]) -> None:
    assert set(locks) == {"all", *ROLES}


@pytest.mark.parametrize("lock", ["all", *ROLES])
def test_a_lock_holds_no_address(checkout: Path, lock: str) -> None:
    text = (checkout / "locks" / f"{lock}.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-[a-z-]", text.replace("    --hash=", ""), flags=re.MULTILINE)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_a_part_of_the_whole(
    locks: dict[str, dict[str, tuple[str, frozenset[str]]]], role: str
) -> None:
    for name, pinned in locks[role].items():
        assert pinned == locks["all"].get(name), name


@pytest.mark.parametrize("lock", ["all", *ROLES])
def test_every_entry_has_a_hash(
    locks: dict[str, dict[str, tuple[str, frozenset[str]]]], lock: str
) -> None:
    assert [name for name, (_, hashes) in locks[lock].items() if not hashes] == []


@pytest.mark.parametrize("lock", ["all", *ROLES])
def test_a_lock_answers_the_project(
    locks: dict[str, dict[str, tuple[str, frozenset[str]]]],
    project: dict[str, list[str]],
    lock: str,
) -> None:
    extras = list(project) if lock == "all" else ["", lock]
    for line in (line for extra in extras for line in project[extra]):
        asked = Requirement(line)
        version, _ = locks[lock][canonicalize_name(asked.name)]
        assert asked.specifier.contains(version), f"{line}: {version}"


def test_a_terminal_carries_no_web_framework_and_a_server_no_qt(
    locks: dict[str, dict[str, tuple[str, frozenset[str]]]],
) -> None:
    assert not {"fastapi", "uvicorn", "sqlalchemy"} & locks["terminal"].keys()
    assert not {"pyside6-essentials", "shiboken6"} & (locks["agent"].keys() | locks["central"])
