"""A case as whoever stands at the window reads it: what is filled in, from where, what to see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hallkit.lexicon.words import Words
from hallkit.model.case import CaseState
from hallkit.model.conditions import FactValue
from hallkit.model.decision import Source, SourceKind, Verdict
from hallkit.model.form import Field, FormDefinition
from hallkit.model.identity import mask_id_number, mask_name
from hallkit.model.item import Item
from hallkit.wire.cases_api import Case, CaseMaterial, CaseOutcome, CaseReason

ORDERS: Mapping[CaseState, tuple[str, ...]] = {
    CaseState.DRAFT: ("accept", "return"),
    CaseState.SUBMITTED: ("accept", "return"),
    CaseState.RETURNED: ("accept",),
    CaseState.ACCEPTED: ("approve", "return", "refuse"),
    CaseState.DECIDED: ("deliver",),
}
"""What may be done next, the usual one first."""
WITH_WORDS = frozenset({"return", "refuse"})
_MASKS = {"name": mask_name, "id_number": mask_id_number}


class Matters(Protocol):
    """What the catalogue says of an item."""

    def item(self, code: str) -> Item | None: ...

    def form(self, code: str) -> FormDefinition | None: ...


@dataclass(frozen=True, slots=True)
class Filled:
    """A field of the form. Empty value: nobody filled it in, though it is asked for."""

    key: str
    label: str
    value: str
    source: str
    hidden: str
    """The value behind the mask of `value`; empty if it is shown as it is."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A material, and what whoever looks at it looks for."""

    key: str
    name: str
    how: str
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseFile:
    """All of it, in words."""

    id: str
    number: str
    item: str
    state: CaseState
    verdict: Verdict | None
    promised_by: str
    fields: tuple[Filled, ...]
    papers: tuple[Paper, ...]
    reasons: tuple[CaseReason, ...]
    """Why it was not approved at once, or what was written when it was sent back."""
    orders: tuple[str, ...]

    @property
    def tone(self) -> str:
        if self.state in (CaseState.RETURNED, CaseState.SUBMITTED):
            return "attention"
        refused = self.verdict is Verdict.REFUSED
        return "attention" if refused else "plain" if self.state is CaseState.DRAFT else "done"

    @property
    def wants_words(self) -> bool:
        """An order that has to say why may be given."""
        return not WITH_WORDS.isdisjoint(self.orders)

    @property
    def hidden(self) -> dict[str, str]:
        """What stands behind the masks: for whoever asked to see it."""
        return {one.key: one.hidden for one in self.fields if one.hidden}


class CaseWords:
    """Puts cases into words."""

    def __init__(self, words: Words, matters: Matters) -> None:
        self._words = words
        self._matters = matters

    def file(self, case: Case, outcome: CaseOutcome) -> CaseFile:
        item = self._matters.item(case.content.item)
        form = self._matters.form(item.form) if item is not None and item.form else None
        return CaseFile(
            id=case.case,
            number=case.number,
            item=item.plain_name if item is not None else case.content.item,
            state=case.state,
            verdict=outcome.verdict,
            promised_by=outcome.promised_by.isoformat() if outcome.promised_by else "",
            fields=tuple(self._fields(case, form)) if form is not None else (),
            papers=tuple(self._papers(case, item)) if item is not None else (),
            reasons=outcome.reasons,
            orders=ORDERS.get(case.state, ()),
        )

    def _fields(self, case: Case, form: FormDefinition) -> Iterable[Filled]:
        known = {one.field: one for one in case.prefilled}
        for field in form.fields:
            before = known.get(field.key)
            value = case.content.values.get(field.key, before.value if before else None)
            if value is None or value in ("", ()):
                if field.required and field.filler == "applicant" and field.shown_when is None:
                    yield Filled(field.key, _label(field), "", "", "")
                continue
            own = Source(kind=SourceKind.FORM)
            source = before.source if before is not None and before.value == value else own
            said = self._said(field, value)
            mask = _MASKS.get(field.kind)
            yield Filled(
                key=field.key,
                label=_label(field),
                value=mask(said) if mask is not None else said,
                source=self._source(source, case),
                hidden=said if mask is not None else "",
            )

    def _said(self, field: Field, value: FactValue) -> str:
        labels = {one.key: one.label for one in field.options}
        match value:
            case bool():
                return self._words("staff.file.yes" if value else "staff.file.no")
            case tuple():
                return self._words("staff.file.and").join(labels.get(one, one) for one in value)
            case _ if field.kind == "signature":
                return self._words("staff.file.signed")
            case _:
                return labels.get(str(value), str(value)) + field.limits.unit

    def _source(self, source: Source, case: Case) -> str:
        titles = {one.kind: one.title for one in case.held}
        told = self._words(f"staff.file.source.{source.kind.value}")
        detail = titles.get(source.detail, "")
        return f"{told} · {detail}" if detail else told

    def _papers(self, case: Case, item: Item) -> Iterable[Paper]:
        listed = case.content.materials or tuple(
            CaseMaterial(key=key) for key in item.base_materials
        )
        known = {one.key: one for one in item.materials}
        for one in listed:
            material = known.get(one.key)
            yield Paper(
                key=one.key,
                name=(material.plain_name or material.material_name) if material else one.key,
                how=self._words(f"staff.file.how.{one.how.value}"),
                points=tuple(point.text for point in material.review_points) if material else (),
            )


def _label(field: Field) -> str:
    return field.plain_label or field.label
