"""The committed contracts are those of the code, and no change breaks with the commit before."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hallkit.wire.schema import breaches, documents, render

FOLDER = Path("docs") / "contracts"
COMMAND = "python -P -m hallkit.wire.schema docs/contracts"


@pytest.mark.parametrize("name", sorted(documents()))
def test_the_committed_document_is_current(checkout: Path, name: str) -> None:
    committed = (checkout / FOLDER / name).read_text(encoding="utf-8")
    assert committed == render(documents()[name]), f"write it anew: {COMMAND}"


@pytest.mark.parametrize("name", sorted(documents()))
def test_the_code_breaks_with_no_committed_document(checkout: Path, name: str) -> None:
    if not (checkout / ".git").exists():
        pytest.skip("not a git checkout")
    before = subprocess.run(
        ["git", "show", f"HEAD:{(FOLDER / name).as_posix()}"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    if before.returncode != 0:
        pytest.skip("no document of an earlier commit")
    found = breaches(json.loads(before.stdout), documents()[name])
    assert found == [], "a change of meaning is a new message with a new name"


def test_no_document_is_left_over(checkout: Path) -> None:
    found = {path.name for path in (checkout / FOLDER).glob("*.schema.json")}
    assert found == set(documents()) - {"asyncapi.json"}
