"""What the architecture tests look at: the checkout, its tracked files, its seven rooms."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def checkout() -> Path:
    return CHECKOUT


@pytest.fixture(scope="session")
def tracked(checkout: Path) -> list[Path]:
    """Files in git, and new ones that are about to be; without a checkout there is nothing."""
    if not (checkout / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = [checkout / name for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file()]
