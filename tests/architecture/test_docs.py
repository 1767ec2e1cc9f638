"""What the documents point to is there."""

from __future__ import annotations

import re
from pathlib import Path

_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)[^)]*\)")
_FENCE = re.compile(r"^```.*?^```", flags=re.DOTALL | re.MULTILINE)


def test_every_link_leads_somewhere(tracked: list[Path], checkout: Path) -> None:
    missing = [
        f"{path.relative_to(checkout)}: {target}"
        for path in tracked
        if path.suffix == ".md"
        for target in _LINK.findall(_FENCE.sub("", path.read_text(encoding="utf-8")))
        if not (path.parent / target).exists()
    ]
    assert not missing


def test_decisions_are_numbered_and_say_where_they_stand(checkout: Path) -> None:
    records = sorted((checkout / "docs" / "decisions").glob("[0-9]*.md"))
    assert [path.name[:4] for path in records] == [f"{n:04}" for n in range(1, len(records) + 1)]
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}. ")
        assert re.search(r"^Status: (proposed|accepted|superseded by \d{4})$", text, re.MULTILINE)
        for heading in ("Context", "Decision", "Consequences"):
            assert f"\n## {heading}\n" in text, f"{path.name}: {heading}"
