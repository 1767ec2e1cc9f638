"""Our import names are ours alone, and data folders stay data folders."""

from __future__ import annotations

from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOMS = ("hallkit", "drivers", "edge_agent", "kiosk", "affairs", "ops", "launcher")
DATA_FOLDERS = ("config", "tests", "systemd", "locks", "docs")
DISTRIBUTION = "hallkit"


@pytest.mark.parametrize("name", ROOMS)
def test_no_other_distribution_installs_our_name(name: str) -> None:
    owners = set(packages_distributions().get(name, ())) - {DISTRIBUTION}
    assert not owners, f"{name!r} is also installed by {sorted(owners)}"


@pytest.mark.parametrize("name", ROOMS)
def test_every_room_is_a_package_of_the_checkout(checkout: Path, name: str) -> None:
    assert (checkout / name / "__init__.py").is_file()


def test_no_room_is_forgotten(checkout: Path) -> None:
    found = {path.parent.name for path in checkout.glob("*/__init__.py")}
    assert found == set(ROOMS)


@pytest.mark.parametrize("folder", DATA_FOLDERS)
def test_data_folders_are_not_packages(checkout: Path, folder: str) -> None:
    assert not list((checkout / folder).rglob("__init__.py"))
