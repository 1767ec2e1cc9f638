"""Look at pictures of documents as the document camera does: cut out, read, review (材料预审).

`documents check PICTURE… --item CODE --material KEY` reviews them for a material of the catalogue,
without these two it says what they are. Facts of the applicant come from a JSON file, not from the
command line, where everybody on the machine could read them: {"applicant.name": "…", …}.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affairs.catalogue_source import CONTENT, load
from hallkit.errors import ConfigError
from hallkit.guide.documents import recognise
from hallkit.guide.pre_review import Told, review
from hallkit.lexicon.words import words
from hallkit.model.document import RecognisedPage
from hallkit.model.identity import mask_id_number, mask_name
from hallkit.model.item import Item, Material
from hallkit.ports.document_camera import Page, PageCaptured, Sheet

if TYPE_CHECKING:
    from drivers.documents.reading import PageReader

HELP = "cut out, read and review pictures of documents"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["check"])
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument("--item", default="", metavar="CODE", help="of the catalogue")
    parser.add_argument("--material", default="", metavar="KEY", help="of that item")
    parser.add_argument("--facts", type=Path, metavar="FILE", help="JSON: facts of the applicant")
    parser.add_argument(
        "--on", type=dt.date.fromisoformat, default=None, metavar="DATE", help="today if left out"
    )
    parser.add_argument("--sheet", choices=[sheet.value for sheet in Sheet], default="any")
    parser.add_argument("--pdf", type=Path, metavar="FILE", help="write the pages as PDF/A")
    parser.add_argument("--catalogue", type=Path, metavar="DIR", default=CONTENT, help="its folder")
    parser.add_argument("--show", action="store_true", help="names and numbers in clear")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """0 nothing is wrong, 1 something is, or a picture is no page; 2 wrong use."""
    try:
        material = _material(args)
        facts = json.loads(args.facts.read_text(encoding="utf-8")) if args.facts else {}
    except (ConfigError, LookupError, OSError, ValueError) as exc:
        print(f"hall documents: {exc}", file=sys.stderr)
        return 2
    missing = [str(path) for path in args.pictures if not path.is_file()]
    if missing:
        print(f"hall documents: no such file: {', '.join(missing)}", file=sys.stderr)
        return 2
    try:
        return asyncio.run(_check(args, material, facts))
    except ModuleNotFoundError as exc:
        print(f"hall documents: {exc.name} is missing: the extra `camera`", file=sys.stderr)
        return 2


def _material(args: argparse.Namespace) -> Material | None:
    if not args.item and not args.material:
        return None
    item: Item | None = next(
        (one for one in load(args.catalogue).items if one.catalog_code == args.item), None
    )
    if item is None:
        raise LookupError(f"unknown item {args.item!r}")
    found = next((one for one in item.materials if one.key == args.material), None)
    if found is None:
        known = ", ".join(one.key for one in item.materials)
        raise LookupError(f"unknown material {args.material!r}; of this item: {known}")
    return found


async def _check(args: argparse.Namespace, material: Material | None, facts: dict[str, Any]) -> int:
    from drivers.documents.pdf import pdf_of  # noqa: PLC0415  # OpenCV only where it is needed
    from drivers.documents.reading import PageReader  # noqa: PLC0415

    pages: list[Page] = []
    read: list[RecognisedPage] = []
    async with PageReader() as reader:
        for path in args.pictures:
            taken = await _page(path, Sheet(args.sheet), reader)
            if isinstance(taken, str):
                _say(args, {"picture": path.name, "trouble": taken}, taken)
                continue
            page, recognised = taken
            pages.append(page)
            read.append(recognised)
            _tell_page(args, path, recognised)
    if args.pdf is not None and pages:
        title = material.material_name if material is not None else "材料"
        args.pdf.write_bytes(pdf_of(pages, title=title, made=dt.datetime.now(dt.UTC)))
    told = None
    if material is not None:
        on = args.on or dt.datetime.now(dt.UTC).astimezone().date()
        told = review(material, read, facts, on=on, words=words())
        _tell_review(args, told)
    wrong = len(read) < len(args.pictures) or (told is not None and told.verdict == "fail")
    return 1 if wrong else 0


async def _page(path: Path, sheet: Sheet, reader: PageReader) -> tuple[Page, RecognisedPage] | str:
    """The upright page of a picture and what it is, or what is wrong in words."""
    import cv2  # noqa: PLC0415

    from drivers.documents.capture import page_of, picture_of  # noqa: PLC0415
    from drivers.documents.reading import PageRead  # noqa: PLC0415
    from drivers.documents.rectify import upright  # noqa: PLC0415
    from drivers.documents.stamps import stamps  # noqa: PLC0415

    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        return "no picture"
    outcome = page_of(picture, sheet)  # type: ignore[arg-type]  # 8 bits by IMREAD_COLOR
    if not isinstance(outcome, PageCaptured):
        return words()(f"paper.{outcome.trouble.value}")
    answer = await reader.read(outcome.page)
    if not isinstance(answer, PageRead):
        return f"not read: {answer.why.value}"
    page = upright(outcome.page, answer.text.turn)
    return page, recognise(answer.text, stamps(picture_of(page)))


def _tell_page(args: argparse.Namespace, path: Path, page: RecognisedPage) -> None:
    fields = {
        field.key: {
            "value": field.value if args.show else _masked(field.key, field.value),
            "state": field.state,
        }
        for field in page.fields
    }
    line = {
        "picture": path.name,
        "kind": page.kind,
        "side": page.side,
        "stamps": len(page.stamps),
        "page": page.page,
        "pages": page.pages,
        "fields": fields,
    }
    kind = words()(f"document.{page.kind}") if page.kind else "?"
    shown = "".join(f"\n  {key:12} {one['state']:8} {one['value']}" for key, one in fields.items())
    _say(args, line, f"{path.name}: {kind} {page.side}, {len(page.stamps)} seal(s){shown}")


def _tell_review(args: argparse.Namespace, told: Told) -> None:
    for point in told.points:
        line = {"check": point.check, "verdict": point.verdict, "reason": point.reason}
        _say(args, line, f"{point.verdict:8} {point.text}：{point.advice}")
    _say(args, {"verdict": told.verdict}, f"{told.verdict}: {told.person}")


def _masked(key: str, value: str) -> str:
    """A terminal's history is no place for a person."""
    if key in ("name", "person"):
        return mask_name(value)
    return mask_id_number(value) if key in ("id_number", "address") else value


def _say(args: argparse.Namespace, line: dict[str, Any], text: str) -> None:
    print(json.dumps(line, ensure_ascii=False) if args.json else text, flush=True)
