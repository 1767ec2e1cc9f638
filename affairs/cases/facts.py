"""What is known of a case, and from where: for prefilling, for the rules, for the clerk. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hallkit.guide.card_facts import card_facts
from hallkit.guide.forms import form_facts, prefill
from hallkit.guide.questions import GuideState, held_facts, replay
from hallkit.model.conditions import FactValue
from hallkit.model.decision import Source, SourceKind
from hallkit.model.form import FormDefinition
from hallkit.model.identity import CardKind, IdentityCard, id_number_is_valid
from hallkit.model.item import Item
from hallkit.wire.cases_api import CaseApplicant, CaseContent, Holding, PrefilledField

RESIDENT_CARD = "resident_card"


@dataclass(frozen=True, slots=True)
class HeldLicence:
    """An e-licence of the applicant, in date."""

    holding: Holding
    fields: Mapping[str, FactValue] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Known:
    """Facts of one case and where they are from. Personal: the representation shows none."""

    facts: Mapping[str, FactValue] = field(repr=False)
    sources: Mapping[str, Source] = field(repr=False)
    guide: GuideState = field(repr=False)


def known_of(
    content: CaseContent,
    item: Item,
    *,
    held: Iterable[Holding],
    licences: Iterable[HeldLicence],
    today: dt.date,
) -> Known:
    """All that content and holdings say. `ValueError` for answers that nobody asked for."""
    facts: dict[str, FactValue] = {}
    sources: dict[str, Source] = {}
    applicant = content.applicant
    if applicant is not None:
        own = applicant_facts(applicant, today)
        facts |= own
        read = SourceKind.CARD if applicant.read == "card" else SourceKind.SAID
        sources |= {name: Source(kind=read) for name in own if name != "applicant.phone"}
        if applicant.phone:
            sources["applicant.phone"] = Source(kind=SourceKind.SAID)
    for one in held:
        name = f"held.{one.kind}"
        facts[name] = True
        sources[name] = Source(kind=SourceKind.HELD, detail=one.source, at_ms=one.at_ms)
    for licence in licences:
        kind = licence.holding.kind
        for key, value in licence.fields.items():
            name = f"licence.{kind}.{key}"
            facts[name] = value
            sources[name] = Source(
                kind=SourceKind.LICENCE, detail=kind, at_ms=licence.holding.at_ms
            )
    guide = replay(item, content.answers, facts)
    facts |= {"ticket.item": item.catalog_code} | guide.all_facts
    return Known(facts | form_facts(content.values), sources, guide)


def applicant_facts(applicant: CaseApplicant, today: dt.date) -> dict[str, FactValue]:
    """`applicant.…` and, of a card that was read and is a resident's, that it is at hand."""
    told: dict[str, FactValue] = {
        "applicant.kind": "person",
        "applicant.name": applicant.name,
        "applicant.id_number": applicant.number,
    }
    birth = birth_of(applicant)
    if birth is not None:
        card = IdentityCard(
            kind=_kind(applicant.card_kind),
            name=applicant.name,
            number=applicant.number,
            sex_code=applicant.sex_code or _sex_of(applicant.number),
            nation_code=applicant.nation_code,
            birth=birth,
            address=applicant.address,
        )
        told |= card_facts(card, today)
        told["applicant.birth"] = birth.isoformat()
    for key in ("address", "phone", "issuer"):
        if value := getattr(applicant, key):
            told[f"applicant.{key}"] = value
    if applicant.nation_code:
        told["applicant.nation"] = applicant.nation_code
    if applicant.read == "card" and _kind(applicant.card_kind) is CardKind.RESIDENT:
        told |= held_facts([RESIDENT_CARD])
    return told


def birth_of(applicant: CaseApplicant) -> dt.date | None:
    """Of a resident's number; of another card's what it says."""
    number = applicant.number.upper()
    if id_number_is_valid(number):
        return dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    return applicant.birth


def prefilled(form: FormDefinition | None, known: Known) -> tuple[PrefilledField, ...]:
    """The form's fields that are known already, each with where it is from."""
    if form is None:
        return ()
    facts = {name: value for name, value in known.facts.items() if not name.startswith("form.")}
    return tuple(
        PrefilledField(
            field=key,
            value=filled.value,
            source=_source(filled.source, known),
            editable=filled.editable,
        )
        for key, filled in prefill(form, facts).items()
    )


def overwritten(content: CaseContent, fields: Iterable[PrefilledField]) -> list[str]:
    """Fields that the person changed though they may not."""
    return [
        one.field
        for one in fields
        if not one.editable and content.values.get(one.field, one.value) != one.value
    ]


def with_prefilled(content: CaseContent, fields: Iterable[PrefilledField]) -> CaseContent:
    """The content with what is known filled in where nothing stands."""
    known = {one.field: one.value for one in fields}
    return content.model_copy(update={"values": {**known, **content.values}})


def form_sources(content: CaseContent, fields: Iterable[PrefilledField]) -> dict[str, Source]:
    """Where the values of the form are from: its source, or the person's own hand."""
    return {
        f"form.{one.field}": one.source
        for one in fields
        if content.values.get(one.field) == one.value
    }


def _source(fact: str, known: Known) -> Source:
    found = known.sources.get(fact)
    if found is not None:
        return found
    first = fact.partition(".")[0]
    kind = {"answer": SourceKind.ANSWER, "form": SourceKind.FORM}.get(first, SourceKind.SAID)
    return Source(kind=kind)


def _kind(card_kind: str) -> CardKind:
    try:
        return CardKind(card_kind)
    except ValueError:
        return CardKind.RESIDENT


def _sex_of(number: str) -> str:
    """GB 11643-1999: the seventeenth digit is odd for men."""
    if not id_number_is_valid(number.upper()):
        return "0"
    return "1" if int(number[16]) % 2 else "2"
