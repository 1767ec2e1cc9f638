"""Pages as PDF/A: what ISO 19005-1 asks of such a file, and what an independent validator says."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from drivers.documents.pdf import pdf_of
from hallkit.ports.document_camera import Page, Sheet

JAVA = Path("/usr/share/java")
VALIDATOR = [
    JAVA / f"{name}.jar"
    for name in (
        "preflight",
        "pdfbox2",
        "fontbox2",
        "xmpbox",
        "commons-logging",
        "jaxb-api",
        "javax.activation",
    )
]
VALIDATOR_PACKAGES = (
    "default-jre-headless",
    "libpdfbox2-java",
    "libcommons-logging-java",
    "libactivation-java",
    "libjaxb-api-java",
)
PREFLIGHT = "org.apache.pdfbox.preflight.Validator_A1b"
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
    assert document.startswith(b"%PDF-1.4")
    assert b"/OutputIntents" in document
    assert b"/GTS_PDFA1" in document
    assert b"/Encrypt" not in document
    assert re.search(rb"/ID ?\[", document)
    text = document + b"".join(_streams(document))
    assert re.search(rb"pdfaid:part(>|=\")1", text)
    assert re.search(rb"pdfaid:conformance(>|=\")B", text)


def test_a_validator_takes_it(document: bytes, tmp_path: Path) -> None:
    """Apache Preflight; it must find the same file wrong that claims another part."""
    if shutil.which("java") is None or not all(jar.exists() for jar in VALIDATOR):
        pytest.skip(f"for the validator: apt-get install {' '.join(VALIDATOR_PACKAGES)}")
    claims = b"<pdfaid:part>1<"
    assert claims in document
    assert told_by_validator(document, tmp_path) == "is a valid PDF/A-1b file"
    another = document.replace(claims, b"<pdfaid:part>3<")
    assert "part must be 1" in told_by_validator(another, tmp_path)


def told_by_validator(document: bytes, folder: Path) -> str:
    file = folder / "pages.pdf"
    file.write_bytes(document)
    done = subprocess.run(
        ["java", "-cp", ":".join(map(str, VALIDATOR)), PREFLIGHT, str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout.strip().removeprefix("The file pages.pdf ")


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
