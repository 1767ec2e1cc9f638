"""`hall documents check`: what it refuses, and what it says. No page is read here."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.cli import main


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--item", "no-such-item", "--material", "id_card"], "unknown item 'no-such-item'"),
        (["--item", "food-licence-new", "--material", "nothing"], "id_card"),
        (["--facts", "nowhere.json"], "nowhere.json"),
    ],
)
def test_wrong_use_says_what_is_wrong(
    picture: Path, more: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["documents", "check", str(picture), *more]) == 2
    assert told in capsys.readouterr().err


def test_a_picture_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["documents", "check", str(tmp_path / "none.png")]) == 2
    assert "none.png" in capsys.readouterr().err
