"""材料预审: what a machine can see beforehand of what the clerk will look at.

    told = review(material, pages, facts, on=today, words=words())
    told.verdict, [(point.text, point.verdict, point.advice) for point in told.points]

Advice, never a decision: a fail says what to do and leaves the way to a person open. Three-valued
as conditions are: what is not known for certain is unknown, and never a pass. No input or output;
nothing here is kept or logged.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from hallkit.guide.documents import LONG_TERM, Kind, joining, kinds, normal
from hallkit.lexicon.words import Words
from hallkit.model.base import Value
from hallkit.model.conditions import Facts
from hallkit.model.document import DocumentField, RecognisedPage
from hallkit.model.identity import id_number_is_valid
from hallkit.model.item import Material, ReviewCheck, ReviewPoint

Verdict = Literal["pass", "fail", "unknown"]

_FEWEST_LETTERS = 10
"""A page with fewer was not read: blank, face down, or out of focus."""


class PointTold(Value):
    """What came of one review point."""

    text: str
    """The point, in the applicant's words."""
    check: ReviewCheck
    verdict: Verdict
    reason: str
    """Key under `review.` in the table of words."""
    advice: str = Field(repr=False)
    """Why, and what to do."""


class Told(Value):
    """What came of a material."""

    verdict: Verdict
    points: tuple[PointTold, ...]
    person: str
    """The way to a person, whatever came of it."""


Finding = tuple[Verdict, str, dict[str, object]]
"""Verdict, reason, and what the reason's words name."""


class _Case(Value):
    """One material with everything that is known of it."""

    material: Material
    kind: str
    pages: tuple[RecognisedPage, ...] = Field(repr=False)
    facts: Mapping[str, object] = Field(repr=False)
    on: dt.date

    @property
    def known(self) -> Kind | None:
        return kinds().get(self.kind)

    @property
    def right(self) -> tuple[RecognisedPage, ...]:
        """The pages of the kind that was asked for; all, where the kind is not known."""
        return tuple(page for page in self.pages if not self.kind or page.kind == self.kind)

    @property
    def doubtful(self) -> bool:
        """True if one of the pages is of no certain kind: it may be what seems to be missing."""
        return any(not page.kind for page in self.pages)

    def fields(self, key: str) -> list[DocumentField]:
        return [field for page in self.right if (field := page.field(key)) is not None]


def kind_of(material: Material) -> str:
    """The kind of document that a material is; empty if its name leaves that open."""
    if material.held_as in kinds():
        return material.held_as
    if _is_several(material):
        return ""
    named = [
        name
        for name, kind in kinds().items()
        if any(word in material.material_name for word in kind.called)
    ]
    return named[0] if len(named) == 1 else ""


def _is_several(material: Material) -> bool:
    """True if its name speaks of more than one document."""
    return any(word in material.material_name for word in joining())


def review(
    material: Material,
    pages: Sequence[RecognisedPage],
    facts: Facts,
    *,
    on: dt.date,
    words: Words,
) -> Told:
    """Every review point of the material, and before them: is it the right kind, can it be read.

    `facts` are those of guidance and form: `applicant.name`, `applicant.id_number`, `form.…`.
    """
    case = _Case(
        material=material, kind=kind_of(material), pages=tuple(pages), facts=dict(facts), on=on
    )
    authored = {point.check for point in material.review_points}
    always: tuple[ReviewCheck, ...] = ("kind", "legible")
    points = [
        ReviewPoint(text=words(f"review.point.{check}"), check=check)
        for check in always
        if check not in authored
    ]
    told = [_told(point, case, words) for point in (*points, *material.review_points)]
    return Told(
        verdict=together(point.verdict for point in told),
        points=tuple(told),
        person=words("review.person"),
    )


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """Fails if one does; passes only if all do."""
    found = set(verdicts)
    if "fail" in found:
        return "fail"
    return "pass" if found == {"pass"} else "unknown"


def _told(point: ReviewPoint, case: _Case, words: Words) -> PointTold:
    verdict, reason, named = _finding(point, case)
    named = {
        key: words(str(value)) if str(value).startswith(("document.", "review.")) else value
        for key, value in named.items()
    }
    return PointTold(
        text=point.text,
        check=point.check,
        verdict=verdict,
        reason=reason,
        advice=words(f"review.{reason}", **named),
    )


def _finding(point: ReviewPoint, case: _Case) -> Finding:
    if point.check in ("person", "signature"):
        return "unknown", "for_the_clerk", {}
    if not case.pages:
        return "unknown", "nothing_laid", {}
    if point.check != "kind" and not case.right:
        return "unknown", "other_first", {}
    if point.check == "same":
        return _same(case, point.field)
    return _CHECKS[point.check](case)


# ── One check each ───────────────────────────────────────────────────────────────────────────


def _kind(case: _Case) -> Finding:
    if not case.kind:
        return "unknown", "for_the_clerk", {}
    wanted = f"document.{case.kind}"
    if all(page.kind == case.kind for page in case.pages):
        return "pass", "kind_right", {"kind": wanted}
    other = next((page.kind for page in case.pages if page.kind not in ("", case.kind)), "")
    if not other:
        return "unknown", "kind_unclear", {"kind": wanted}
    if _is_several(case.material):
        return "unknown", "for_the_clerk", {}  # the other document may do as well
    return "fail", "kind_wrong", {"kind": wanted, "found": f"document.{other}"}


def _legible(case: _Case) -> Finding:
    if any(page.letters < _FEWEST_LETTERS for page in case.right):
        return "fail", "not_legible", {}
    if case.known is None or not case.known.core:
        return "unknown", "for_the_clerk", {}
    for key in case.known.core:
        if not any(field.state != "failed" for field in case.fields(key)):
            return "unknown", "partly_legible", {"field": f"document.field.{key}"}
    return "pass", "legible", {}


def _complete(case: _Case) -> Finding:
    if case.known is not None and case.known.whole:
        seen = {page.side for page in case.right}
        missing = [side for side in case.known.whole if side not in seen]
        if missing and case.doubtful:
            return "unknown", "side_doubtful", {}
        if missing:
            return "fail", "side_missing", {"side": f"document.side.{missing[0]}"}
        return "pass", "complete", {}
    numbered = [(page.page, page.pages) for page in case.right if page.page and page.pages]
    ends = {pages for _, pages in numbered}
    if len(ends) != 1 or len(numbered) != len(case.right):
        return "unknown", "for_the_clerk", {}
    last = ends.pop() or 0
    absent = sorted(set(range(1, last + 1)) - {page for page, _ in numbered})
    if absent:
        return "fail", "page_missing", {"page": absent[0], "pages": last}
    return "pass", "complete", {}


def _stamp(case: _Case) -> Finding:
    if any(page.stamps for page in case.right):
        return "pass", "stamped", {}
    if case.material.material_type != "original":
        return "unknown", "stamp_unclear", {}  # on a copy it is as black as the text
    if case.doubtful:
        return "unknown", "stamp_doubtful", {}
    return "fail", "stamp_missing", {}


def _in_date(case: _Case) -> Finding:
    if case.known is None or "valid_to" not in case.known.fields:
        return "unknown", "for_the_clerk", {}
    ends = case.fields("valid_to")
    good = [field.value for field in ends if field.state != "failed"]
    if not good:
        return "unknown", "no_end_seen", {}
    if len(set(good)) > 1:
        return "unknown", "end_unclear", {}
    if good[0] == LONG_TERM:
        return "pass", "in_date", {}
    last = dt.date.fromisoformat(good[0])
    if last < case.on:
        return "fail", "expired", {"day": good[0]}
    return "pass", "in_date", {}


def _same_person(case: _Case) -> Finding:  # noqa: PLR0911  # one line a case
    """By the number where there is one that holds; else by the name."""
    number = str(case.facts.get("applicant.id_number", "")).upper()
    numbers = case.fields("id_number")
    checked = {field.value for field in numbers if field.state == "checked"}
    if checked and id_number_is_valid(number):
        if checked == {number}:
            return "pass", "own", {}
        return "fail", "another_person", {}
    if numbers and not checked:
        return "unknown", "number_unclear", {}
    name = normal(str(case.facts.get("applicant.name", "")))
    names = [normal(field.value) for key in ("name", "person") for field in case.fields(key)]
    if case.fields("person"):  # on a licence `name` is the shop's
        names = [normal(field.value) for field in case.fields("person")]
    if not name or not names:
        return "unknown", "for_the_clerk", {}
    verdicts = {_same_name(name, other) for other in names}
    if verdicts == {"pass"}:
        return "pass", "own", {}
    if verdicts == {"fail"}:
        return "fail", "another_person", {}
    return "unknown", "name_unclear", {}


def _same_name(wanted: str, read: str) -> Verdict:
    """A single character may be misread, and rare ones are: then nobody is called another."""
    if wanted == read:
        return "pass"
    if len(wanted) != len(read):
        return "unknown" if any(map(_is_rare, wanted)) else "fail"
    wrong = [one for one, other in zip(wanted, read, strict=True) if one != other]
    if all(map(_is_rare, wrong)) or len(wrong) == 1 < len(wanted) - 1:
        return "unknown"
    return "fail"


def _is_rare(character: str) -> bool:
    """Beyond GB 2312: what recognisers have seen little of."""
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return True
    return False


def _same(case: _Case, field: str) -> Finding:
    """A field of the form against the field of the document that its name speaks of."""
    wanted = case.facts.get(f"form.{field}")
    key = next((key for key in ("address", "uscc", "id_number", "name") if field.endswith(key)), "")
    found = [one for one in case.fields(key) if one.state != "failed"] if key else []
    if not isinstance(wanted, str) or not wanted.strip() or not found:
        return "unknown", "for_the_clerk", {}
    text = normal(wanted)
    if any(normal(one.value) == text for one in found):
        return "pass", "same", {}
    if any(_is_near(normal(one.value), text) for one in found):
        return "unknown", "nearly_same", {}
    return "fail", "differs", {"field": f"document.field.{key}"}


def _is_near(one: str, other: str) -> bool:
    """True if one lies within the other, or a tenth of the characters differ: perhaps misread."""
    if one in other or other in one:
        return True
    if len(one) != len(other):
        return False
    wrong = sum(a != b for a, b in zip(one, other, strict=True))
    return wrong <= max(1, len(one) // 10)


_CHECKS: Mapping[ReviewCheck, Callable[[_Case], Finding]] = {
    "kind": _kind,
    "legible": _legible,
    "complete": _complete,
    "stamp": _stamp,
    "in_date": _in_date,
    "same_person": _same_person,
}
