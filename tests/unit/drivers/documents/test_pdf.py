"""Pages as PDF/A: what ISO 19005-2 asks of such a file, as far as it is looked at here."""

from __future__ import annotations

import datetime as dt
import re
import zlib

import numpy as np
import pytest

from drivers.documents.pdf import pdf_of
from hallkit.ports.document_camera import Page, Sheet

MADE = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)


def page(width: int, height: int, dpi: int, sheet: Sheet) -> Page:
    grey = np.full((height, width, 3), 200, np.uint8)
    grey[20:40, 20:-20] = (20, 20, 160)
    return Page(width, height, grey.tobytes(), dpi, sheet)


@pytest.fixture(scope="module")
def document() -> bytes:
    pages = [page(1654, 1169, 141, Sheet.A4), page(1011, 638, 300, Sheet.CARD)]
    return pdf_of(pages, title="营业执照", made=MADE)


def test_each_page_has_the_size_of_its_sheet(document: bytes) -> None:
    boxes = re.findall(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", document)
    sizes = [(float(across) / 72 * 25.4, float(down) / 72 * 25.4) for across, down in boxes]
    assert sizes[0] == pytest.approx((297, 210), abs=1.5)
    assert sizes[1] == pytest.approx((85.6, 54), abs=0.3)
    assert len(sizes) == 2


def test_the_pictures_keep_their_points(document: bytes) -> None:
    pictures = re.findall(rb"/Subtype/Image/Filter/DCTDecode/Width (\d+)/Height (\d+)", document)
    assert pictures == [(b"1654", b"1169"), (b"1011", b"638")]


def test_it_says_that_it_is_a_pdf_a_and_has_what_that_asks_for(document: bytes) -> None:
    assert document.startswith(b"%PDF-1.7")
    assert b"/OutputIntents" in document
    assert b"/GTS_PDFA1" in document
    assert b"/Encrypt" not in document
    assert re.search(rb"/ID ?\[", document)
    text = document + b"".join(_streams(document))
    assert re.search(rb"pdfaid:part(>|=\")2", text)
    assert re.search(rb"pdfaid:conformance(>|=\")B", text)


def test_nothing_is_no_document() -> None:
    with pytest.raises(ValueError, match="page"):
        pdf_of([], title="x", made=MADE)


def _streams(document: bytes) -> list[bytes]:
    found = []
    for raw in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", document, flags=re.DOTALL):
        try:
            found.append(zlib.decompress(raw))
        except zlib.error:
            found.append(raw)
    return found
