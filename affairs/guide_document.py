"""The personal guide as a page: A4, PDF, with the code that opens it again."""

from __future__ import annotations

import importlib
from pathlib import Path

import qrcode

from hallkit.guide.sheet import Sheet

_LAYOUT = Path(__file__).with_name("guide_document.typ")
_QUIET = 4
"""Modules of white around a QR, as its standard asks for."""


def pdf(sheet: Sheet) -> bytes:
    """The sheet as a PDF. The fonts are the system's Noto Sans CJK SC."""
    return _compiled(sheet, "pdf")


def png(sheet: Sheet, *, dots_per_inch: float = 110) -> bytes:
    """Its first page as a picture."""
    return _compiled(sheet, "png", ppi=dots_per_inch)


def _compiled(sheet: Sheet, form: str, **options: float) -> bytes:
    typst = importlib.import_module("typst")  # 20 MB that only a page needs
    inputs = {"sheet": sheet.model_dump_json(), "qr": qr(sheet.code) if sheet.code else ""}
    made: bytes | list[bytes] = typst.compile(
        str(_LAYOUT), format=form, sys_inputs=inputs, **options
    )
    return made[0] if isinstance(made, list) else made


def qr(text: str) -> str:
    """A QR as SVG: one square a module."""
    code = qrcode.QRCode(border=_QUIET, error_correction=qrcode.constants.ERROR_CORRECT_M)
    code.add_data(text)
    code.make(fit=True)
    rows = code.get_matrix()
    squares = "".join(
        f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark
    )
    size = len(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" '
        f'shape-rendering="crispEdges"><path d="{squares}"/></svg>'
    )
