"""Pages as one PDF/A-1b: a picture a page, each in its true size. Made in memory.

typst writes it and refuses what it knows to break the standard (ISO 19005-1). Part 1 is enough for
opaque pictures, is what the oldest archive takes, and has a validator among Debian's packages
(Apache Preflight), which the tests ask where it is installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import datetime

from drivers.documents.capture import picture_of
from drivers.documents.libraries import cv2
from hallkit.ports.document_camera import Page

_STANDARD = "a-1b"
_JPEG_QUALITY = 88
"""A page of A4 takes about a quarter of a megabyte."""


def pdf_of(pages: Sequence[Page], *, title: str, made: datetime) -> bytes:
    """The pages in their order; `title` stands in the metadata and names no person."""
    if not pages:
        raise ValueError("a document has a page")
    typst = importlib.import_module("typst")
    source = "\n".join(
        [
            "#set document(title: sys.inputs.title, date: datetime("
            f"year: {made.year}, month: {made.month}, day: {made.day}))",
            "#set page(margin: 0pt)",
            *(_page(number, page) for number, page in enumerate(pages, start=1)),
        ]
    )
    made_pdf: bytes = typst.compile(
        source.encode(),
        format="pdf",
        pdf_standards=[_STANDARD],
        sys_inputs={"title": title},
    )
    return made_pdf


def _jpeg(page: Page) -> bytes:
    done, packed = cv2.imencode(".jpg", picture_of(page), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise ValueError("the page is no picture")
    return packed.tobytes()


def _page(number: int, page: Page) -> str:
    # typst takes no binary files from memory; a list of numbers it takes, in 0.2 s a page, and
    # nothing of a person touches a disk.
    across, down = (side / page.dpi for side in (page.width, page.height))
    numbers = ",".join(map(str, _jpeg(page)))
    return (
        f"#page(width: {across:.4f}in, height: {down:.4f}in, image(bytes(({numbers},)), "
        f'format: "jpg", width: 100%, height: 100%, fit: "stretch", alt: "{number}"))'
    )
