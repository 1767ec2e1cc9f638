"""Whom we build on is written down, and nothing of it forbids what we do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from launcher.commands import notices


def test_the_notices_are_current() -> None:
    assert notices.FILE.read_text(encoding="utf-8") == notices.text(), "./hall notices"


@pytest.mark.parametrize("lock", ["all", *notices.ROLES])
def test_every_package_states_a_licence(lock: str) -> None:
    unclear = {"see the package", "not installed here"}
    assert [name for name in notices.names(lock) if notices.licence(name) in unclear] == []


@pytest.mark.parametrize("role", notices.ROLES)
def test_no_role_needs_a_package_under_the_gpl_alone(role: str) -> None:
    for name in notices.names(role):
        ways = re.split(r"\bOR\b", notices.licence(name))
        assert not all(re.search(r"(?<!L)GPL", way) for way in ways), name


def test_every_debian_package_is_listed(checkout: Path) -> None:
    lines = (checkout / "locks" / "debian.txt").read_text(encoding="utf-8").splitlines()
    wanted = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    listed = {package for packages in notices.DEBIAN.values() for package in packages}
    assert listed - notices.ONLY_INSTALLED == wanted


def test_the_licence_is_whole(checkout: Path) -> None:
    text = (checkout / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
