"""Whole PDF files of blank pages, for printers."""

from __future__ import annotations


def pages(number: int) -> bytes:
    """A PDF 1.4 of so many blank A4 pages."""
    kids = " ".join(f"{3 + index} 0 R" for index in range(number))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {number} >>",
        *["<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>"] * number,
    ]
    raw = b"%PDF-1.4\n"
    places = []
    for index, text in enumerate(objects, start=1):
        places.append(len(raw))
        raw += f"{index} 0 obj\n{text}\nendobj\n".encode("ascii")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    return raw + (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}"
        f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(raw)}\n%%EOF\n"
    ).encode("ascii")
