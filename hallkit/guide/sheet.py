"""The personal guide on paper: the same content for the ticket printer and for a page.

A sheet names no person: a slip is journalled before it is printed, and left behind afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hallkit.guide.bundle import BundlePlan
from hallkit.guide.questions import ListedMaterial, PersonalList
from hallkit.lexicon.words import Words
from hallkit.model.base import Value
from hallkit.model.item import Material
from hallkit.model.printing import FeedLine, QrLine, RuleLine, Slip, SlipLine, TextLine

LINES = 80
"""As many as a slip has."""
_TEXT = 400
_MATERIALS, _STEPS = 30, 12
"""So many stand on a slip; the page and the screen have all."""


class SheetMaterial(Value):
    """A material as it is written down."""

    name: str
    official: str
    """Empty where it is the same."""
    mark: str
    """原件 1 份, 免提交 …"""
    held: bool
    explain: str


class SheetRow(Value):
    label: str
    value: str


class Sheet(Value):
    """What stands on the paper, in the words that stand there."""

    hall: str
    heading: str
    title: str
    official: str
    situation: str
    bring: str
    materials: tuple[SheetMaterial, ...]
    nothing: str
    """Instead of materials where there are none."""
    do: str
    steps: tuple[str, ...]
    rows: tuple[SheetRow, ...]
    """Where, fee, how long."""
    who: str = ""
    timeline: tuple[SheetRow, ...] = ()
    left: str = ""
    elsewhere: tuple[SheetRow, ...] = ()
    code: str = ""
    """Text of the QR; empty for none."""
    scan: str
    note: str


def sheet(personal: PersonalList | BundlePlan, *, hall: str, code: str, words: Words) -> Sheet:
    """The personal guide of an item or bundle, ready to be laid out."""
    plan = personal if isinstance(personal, BundlePlan) else None
    answers = " · ".join(personal.situation)
    official = plan.name if plan is not None else _official(personal)
    return Sheet(
        hall=hall,
        heading=words("sheet.heading"),
        title=personal.plain_name,
        official=official if official != personal.plain_name else "",
        situation=words("sheet.situation", answers=answers) if answers else "",
        bring=words("sheet.bring"),
        materials=tuple(_material(listed, words) for listed in personal.materials),
        nothing="" if personal.materials else words("sheet.nothing"),
        do=words("sheet.do"),
        steps=personal.steps,
        rows=(
            SheetRow(label=words("sheet.window"), value=personal.window),
            SheetRow(label=words("sheet.fee"), value=personal.fee),
            SheetRow(label=words("sheet.time"), value=time_text(personal, words)),
        ),
        who=words("sheet.who") if plan is not None else "",
        timeline=tuple(_timeline(plan, words)) if plan is not None else (),
        left=words("sheet.left") if plan is not None and plan.left else "",
        elsewhere=tuple(
            SheetRow(label=one.plain_name, value=one.stop or one.go_to_item)
            for one in (plan.left if plan is not None else ())
        ),
        code=code,
        scan=words("sheet.scan") if code else "",
        note=words("sheet.note"),
    )


def slip(page: Sheet, *, reprint_mark: str) -> Slip:
    """The sheet for a ticket printer."""
    lines: list[SlipLine] = [
        TextLine(text=page.hall, bold=True, align="center"),
        TextLine(text=page.heading, align="center"),
        RuleLine(),
        *_texts([page.title], scale=2, bold=True),
        *_texts([page.official, page.situation]),
        RuleLine(),
        *_texts([page.bring], bold=True),
        *_texts([page.nothing]),
        *_texts(_bring(page.materials[:_MATERIALS])),
        RuleLine(),
        *_texts([page.do], bold=True),
        *_texts(f"{number} {step}" for number, step in enumerate(page.steps[:_STEPS], start=1)),
        RuleLine(),
        *_texts((f"{row.label}：{row.value}" for row in page.rows), bold=True),
    ]
    rest: list[SlipLine] = [RuleLine(), *_texts([page.note], align="center")]
    if page.code:
        rest[1:1] = [QrLine(text=page.code, module_dots=4), *_texts([page.scan], align="center")]
    more = [
        *_texts([page.who], bold=True),
        *_texts(f"{row.label}：{row.value}" for row in page.timeline),
        *_texts([page.left], bold=True),
        *_texts(f"{row.label}：{row.value}" for row in page.elsewhere),
    ]
    if more and len(lines) + len(rest) + len(more) + 1 <= LINES:
        lines += [RuleLine(), *more]
    return Slip(
        lines=(*lines[: LINES - len(rest) - 1], *rest, FeedLine()), reprint_mark=reprint_mark
    )


def _texts(
    texts: Iterable[str], *, scale: int = 1, bold: bool = False, align: str = "left"
) -> Iterator[TextLine]:
    for text in texts:
        if text:
            yield TextLine.model_validate(
                {"text": text[:_TEXT], "scale": scale, "bold": bold, "align": align}
            )


def _bring(materials: Iterable[SheetMaterial]) -> Iterator[str]:
    for one in materials:
        box = "■" if one.held else "□"
        yield f"{box} {one.name}（{one.mark}）"


def _official(personal: PersonalList | BundlePlan) -> str:
    return personal.task_name if isinstance(personal, PersonalList) else personal.name


def _material(listed: ListedMaterial, words: Words) -> SheetMaterial:
    material = listed.material
    marks = [words("sheet.held")] if listed.already_held else _marks(listed, words)
    return SheetMaterial(
        name=material.plain_name or material.material_name,
        official=material.material_name if material.plain_name else "",
        mark="，".join(marks),
        held=listed.already_held,
        explain="" if listed.already_held else material.fill_explain,
    )


def _marks(listed: ListedMaterial, words: Words) -> list[str]:
    material = listed.material
    originals, copies = copies_of(material)
    marks = [words(f"sheet.{material.material_type}", originals=originals, copies=copies)]
    if listed.may_follow:
        marks.append(words("sheet.follow", days=material.follow_days))
    elif not material.is_need:
        marks.append(words("sheet.later"))
    if listed.pledge:
        marks.append(words("sheet.pledge"))
    return marks


def costs_and_time(personal: PersonalList | BundlePlan, words: Words) -> str:
    """One sentence: what it costs and when it is done."""
    time = time_text(personal, words)
    done = words("sheet.done", time=time) if personal.days is not None else time
    return words("sheet.costs_and_time", fee=personal.fee, time=done)


def copies_of(material: Material) -> tuple[int, int]:
    """How many originals and how many copies."""
    match material.material_type:
        case "original":
            return max(1, material.page_num), 0
        case "copy":
            return 0, max(1, material.page_num)
        case "original_and_copy":
            return max(1, material.page_num), max(1, material.page_copy_num)


def time_text(personal: PersonalList | BundlePlan, words: Words) -> str:
    """Within which time it is done, or that the window has to say."""
    if personal.days is None:
        return words("sheet.ask_time")
    if not personal.days:
        return words("sheet.instant")
    calendar = isinstance(personal, PersonalList) and personal.day_type == "calendar"
    return words("sheet.calendar_days" if calendar else "sheet.days", days=personal.days)


def _timeline(plan: BundlePlan, words: Words) -> Iterator[SheetRow]:
    for one in plan.timeline:
        if one.days is None:
            time = words("sheet.ask_time")
        else:
            time = words("sheet.done_by", days=one.to_day) if one.to_day else words("sheet.instant")
        by = words("sheet.by", dept=one.dept_name, time=time)
        yield SheetRow(label=one.plain_name, value=by)
