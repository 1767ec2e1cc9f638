"""PDF files for tests: whole ones of blank pages for printers, and what others say."""

from __future__ import annotations

import re
import zlib


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


def page_count(content: bytes) -> int:
    """Pages of a file whose page tree has one level."""
    (count,) = re.findall(rb"/Type/Pages/Count (\d+)", content)
    return int(count)


def text(content: bytes) -> str:
    """What the pages of a file say, in the order of drawing: what can be searched and read aloud.

    For files as typst writes them: composite fonts whose codes have two bytes, with a `ToUnicode`
    map each, and compressed streams.
    """
    objects = {
        int(number): body
        for number, body in re.findall(rb"(?s)\n(\d+) 0 obj\n(.*?)\nendobj", content)
    }
    said: list[str] = []
    for body in objects.values():
        if b"/Type/Page/" not in body:
            continue
        resources = objects[_reference(body, b"Resources")]
        fonts = {
            name.decode(): _meanings(_stream(objects[_reference(objects[int(font)], b"ToUnicode")]))
            for name, font in re.findall(rb"/(f\d+) (\d+) 0 R", resources)
        }
        said.append(_drawn(_stream(objects[_reference(body, b"Contents")]), fonts))
    return "\n".join(said)


def _reference(body: bytes, key: bytes) -> int:
    found = re.search(rb"/%s (\d+) 0 R" % key, body)
    assert found is not None, key
    return int(found[1])


def _stream(body: bytes) -> bytes:
    raw = body.partition(b"stream\n")[2].rpartition(b"\nendstream")[0]
    return zlib.decompress(raw) if b"/FlateDecode" in body else raw


def _meanings(cmap: bytes) -> dict[int, str]:
    """Code of a glyph → its characters."""
    found: dict[int, str] = {}
    for block in re.findall(rb"(?s)beginbfchar(.*?)endbfchar", cmap):
        for code, meant in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block):
            found[int(code, 16)] = bytes.fromhex(meant.decode()).decode("utf-16-be")
    for block in re.findall(rb"(?s)beginbfrange(.*?)endbfrange", cmap):
        for first, last, meant in re.findall(
            rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block
        ):
            start = int(meant, 16)
            for step in range(int(last, 16) - int(first, 16) + 1):
                found[int(first, 16) + step] = chr(start + step)
    return found


def _drawn(drawing: bytes, fonts: dict[str, dict[int, str]]) -> str:
    said: list[str] = []
    meanings: dict[int, str] = {}
    place = 0
    token = re.compile(rb"/(f\d+) [\d.]+ Tf|<([0-9A-Fa-f]+)>|(\()|\b(ET)\b")
    while found := token.search(drawing, place):
        font, digits, literal, end = found.groups()
        place = found.end()
        codes = b""
        if font:
            meanings = fonts[font.decode()]
        elif end:
            said.append("\n")
        elif literal:
            codes, place = _literal(drawing, place)
        else:
            codes = bytes.fromhex(digits.decode())
        pairs = zip(codes[::2], codes[1::2], strict=False)
        said += [meanings.get(high << 8 | low, "") for high, low in pairs]
    return "".join(said)


_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def _literal(drawing: bytes, place: int) -> tuple[bytes, int]:
    """A string in parentheses, which may hold such pairs itself, and where it ends."""
    said = bytearray()
    depth = 1
    piece = re.compile(rb"\\([0-7]{3}|.)|([()])|[^\\()]+", re.DOTALL)
    while True:
        found = piece.match(drawing, place)
        assert found is not None
        place = found.end()
        escaped, bracket = found.groups()
        if escaped:
            said += bytes([int(escaped, 8)]) if escaped.isdigit() else _PLAIN.get(escaped, escaped)
            continue
        depth += {b"(": 1, b")": -1}.get(bracket, 0)
        if depth == 0:
            return bytes(said), place
        said += found[0]
