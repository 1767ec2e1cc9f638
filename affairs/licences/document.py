"""A licence as a page: A4, PDF, each kind with a look of its own; laid out by typst.

    render = Renderer()
    pdf = await asyncio.to_thread(render, paper)

typst lets other threads run while it lays a page out; looking for the fonts, which does not, is
done once. The fonts are the system's Noto CJK.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from affairs.guide_document import qr
from affairs.licences.filling import LicenceContent
from hallkit.lexicon.words import Words
from hallkit.model.conditions import FactValue
from hallkit.model.licence import LicenceField, LicenceKind
from hallkit.runtime.clock import local

_LAYOUT = Path(__file__).with_name("document.typ")


@dataclass(frozen=True, slots=True)
class Paper:
    """All that a page says. Personal: the representation shows none of it."""

    kind: LicenceKind
    content: LicenceContent = field(repr=False)
    identifier: str
    valid_from: dt.date
    valid_until: dt.date | None
    issued_on: dt.date
    address: str = field(repr=False)
    """Where the code leads; empty: there is no page to verify it, and so no code."""
    printed_at_ms: int
    terminal: str
    copy: int


class Render(Protocol):
    """Makes the file of a page. Called on a thread of its own."""

    def __call__(self, paper: Paper) -> bytes: ...


class Renderer:
    """Pages by typst. Implements `Render`."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def __call__(self, paper: Paper) -> bytes:
        """As a PDF."""
        return self._compiled(paper, "pdf")

    def png(self, paper: Paper, *, dots_per_inch: float = 110) -> bytes:
        """As a picture."""
        return self._compiled(paper, "png", ppi=dots_per_inch)

    @cached_property
    def _typst(self) -> Any:
        return importlib.import_module("typst")  # 20 MB that only a page needs

    @cached_property
    def _fonts(self) -> Any:
        return self._typst.Fonts()

    def _compiled(self, paper: Paper, form: str, **options: float) -> bytes:
        inputs = {
            "paper": json.dumps(page_of(paper, self._words), ensure_ascii=False),
            "qr": qr(paper.address) if paper.address else "",
        }
        made: bytes | list[bytes] = self._typst.compile(
            str(_LAYOUT), format=form, sys_inputs=inputs, font_paths=self._fonts, **options
        )
        return made[0] if isinstance(made, list) else made


def page_of(paper: Paper, words: Words) -> Mapping[str, Any]:
    """The page's words, line by line, as the layout wants them."""
    kind, content = paper.kind, paper.content
    start = date_text(paper.valid_from, words)
    until = paper.valid_until
    end = date_text(until, words) if until is not None else words("licence.no_end")
    printed_at = f"{local(paper.printed_at_ms):%Y-%m-%d %H:%M:%S}"
    rows = [
        {"key": one.key, "label": one.label, "value": text, "wide": one.wide}
        for one in kind.fields
        if (text := value_text(one, content.fields.get(one.key), words))
    ]
    return {
        "design": kind.design,
        "title": kind.title,
        "part": kind.part,
        "issuer": kind.issuer,
        "issuer_label": kind.issuer_label,
        "number_label": kind.number_label,
        "number": content.number,
        "rows": rows,
        "valid_label": words("licence.valid"),
        "valid": words("licence.period", start=start, end=end) if until is not None else end,
        "issued_label": words("licence.issued"),
        "issued": date_text(paper.issued_on, words),
        "identifier_label": words("licence.identifier"),
        "identifier": paper.identifier,
        "printed": words("licence.printed", at=printed_at),
        "terminal": words("licence.terminal", terminal=paper.terminal),
        "copy": words("licence.copy", copy=paper.copy),
        "words": {
            key: words(f"licence.{key}")
            for key in (
                *("sample", "scan", "seal", "photo", "front", "record"),
                *("record_at", "record_what", "record_by"),
                *("treatment", "felling", "display", "carry", "on_duty", "law", "yearly"),
            )
        },
    }


def value_text(one: LicenceField, value: FactValue | None, words: Words) -> str:
    """A field as it stands on the document; empty for nothing."""
    match value:
        case None:
            return ""
        case tuple():
            return words("licence.listed").join(one.words.get(item, item) for item in value)
        case bool():
            return ""
        case float() if value.is_integer():
            text = str(int(value))
        case str() if one.date:
            return _date_said(value, words)
        case _:
            text = one.words.get(str(value), str(value))
    return text + one.unit if not text.endswith(one.unit) else text


def date_text(day: dt.date, words: Words) -> str:
    return words("licence.date", year=day.year, month=day.month, day=day.day)


def _date_said(value: str, words: Words) -> str:
    try:
        return date_text(dt.date.fromisoformat(value), words)
    except ValueError:
        return value
