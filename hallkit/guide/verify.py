"""What is wrong in a catalogue: what lets the guidance fail, mislead, or not be understood.

Reachability and endings are found on the graph of questions, never by trying every way: a few
multiple questions make millions of ways.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain

from hallkit.guide.conditions import (
    COMMON_FACTS,
    FactType,
    Scope,
    answer_facts,
    tests_of,
    verify_condition,
)
from hallkit.guide.forms import field_facts, verify_form, verify_rule_pack
from hallkit.guide.mistakes import Mistake, suggest, twice, unknown, warning
from hallkit.guide.questions import everyones_steps
from hallkit.model.bundle import Bundle, BundleMember
from hallkit.model.conditions import Condition, Test
from hallkit.model.form import FormDefinition
from hallkit.model.item import Item, Material, Option, Question
from hallkit.model.rules import RulePack

KEY = re.compile(r"[a-z0-9][a-z0-9_-]*")
"""Keys of questions and options stand in facts, on the command line and in the slip's code."""

LABEL_LIMIT, QUESTION_LIMIT, NAME_LIMIT = 14, 24, 16
ANSWER_SENTENCES = 2
OFFICIAL = ("核发", "予以", "依法", "兹", "之规定", "本级", "行政相对人", "申请人", "办理人")
"""Words that nobody says at a counter."""

_HAN = re.compile(r"[\u3400-\u9fff]")
_SENTENCE_END = re.compile(r"[。！？!?]+")


@dataclass(frozen=True, slots=True)
class Known:
    """Names that stand elsewhere. None: not known here, so not checked."""

    items: AbstractSet[str] | None = None
    forms: Mapping[str, FormDefinition] | None = None
    rule_packs: AbstractSet[str] | None = None
    services: Mapping[str, str] | None = None
    """Queue service → its windows, in words."""
    windows: Mapping[str, AbstractSet[str]] | None = None
    """Window → the queues called there; none where numbers are not called."""
    peripherals: AbstractSet[str] | None = None
    """Ports of the peripherals that some machine of the hall has."""
    upstream: AbstractSet[str] | None = None
    """Upstream systems."""


@dataclass(frozen=True, slots=True)
class Found:
    """A mistake and the value that has it."""

    kind: str
    """`item`, `bundle`, `form` or `rule_pack`."""
    code: str
    mistake: Mistake


@dataclass(frozen=True, slots=True)
class Whole:
    """All of a catalogue that refers to each other."""

    items: Sequence[Item] = ()
    bundles: Sequence[Bundle] = ()
    forms: Sequence[FormDefinition] = ()
    rule_packs: Sequence[RulePack] = ()
    known: Known = field(default_factory=Known)
    """Names outside of it: services, windows, peripherals, upstream systems."""


def verify_whole(whole: Whole) -> list[Found]:
    """Every mistake of a catalogue, with the references between its values."""
    items = {item.catalog_code: item for item in whole.items}
    forms = {form.code: form for form in whole.forms}
    packs = {pack.code: pack for pack in whole.rule_packs}
    known = Known(
        items=items.keys(),
        forms=forms,
        rule_packs=packs.keys(),
        services=whole.known.services,
        windows=whole.known.windows,
        peripherals=whole.known.peripherals,
        upstream=whole.known.upstream,
    )
    found = [
        Found("item", item.catalog_code, mistake)
        for item in whole.items
        for mistake in verify_item(item, known)
    ]
    found += _verify_families(whole.items)
    found += _verify_rounds(whole.items)
    found += _verify_instant(whole.items, packs)
    for bundle in whole.bundles:
        found += (Found("bundle", bundle.code, one) for one in verify_bundle(bundle, items, known))
    for form in whole.forms:
        found += (Found("form", form.code, one) for one in verify_form(form))
    for pack in whole.rule_packs:
        item = items.get(pack.item)
        form_of_item = forms.get(item.form) if item is not None else None
        mistakes = verify_rule_pack(pack, item, form_of_item, known.upstream)
        found += (Found("rule_pack", pack.code, mistake) for mistake in mistakes)
        if item is None:
            told = next(unknown("item", (pack.item,), items, "item"))
            found.append(Found("rule_pack", pack.code, told))
    return found


def verify_item(item: Item, known: Known | None = None) -> list[Mistake]:
    """Everything that would let the guidance fail or mislead. Empty for a sound item."""
    known = known or Known()
    mistakes = [
        *twice("materials", (material.key for material in item.materials)),
        *twice("base_materials", item.base_materials),
        *twice("steps", item.steps),
        *twice("popular_terms", item.popular_terms),
        *_verify_questions(item.questions),
        *_verify_materials(item),
        *_verify_steps(item),
        *_verify_way(item.questions, item.first_question),
        *_verify_conditions(item, known),
        *_verify_endings(item, known),
        *_verify_days_and_fees(item),
        *_verify_machines(item),
        *_verify_names(item, known),
    ]
    if not any(mistake.level == "error" for mistake in mistakes):
        mistakes += _verify_stepless(item)
    if item.combed:
        mistakes += _verify_words(item)
    return mistakes


def verify_bundle(
    bundle: Bundle, items: Mapping[str, Item], known: Known | None = None
) -> list[Mistake]:
    """What is wrong in a bundle; references to items are checked against these."""
    known = known or Known()
    mistakes = [
        *_verify_questions(bundle.questions),
        *_verify_way(bundle.questions, bundle.first_question),
        *twice("members", (member.item for member in bundle.members)),
        *unknown("members", (member.item for member in bundle.members), items, "item"),
        *_verify_service(bundle.service, known, "service"),
        *_verify_address(bundle.service, bundle.transact_addr, known, "transact_addr"),
        *_question_words(bundle.questions),
        *_short("plain_name", bundle.plain_name, NAME_LIMIT),
    ]
    if len(bundle.members) < 2:
        mistakes.append(Mistake("members", "a bundle has two or more"))
    scope = {**COMMON_FACTS, **answer_facts(bundle.questions)}
    for member in bundle.members:
        where = f"members.{member.item}"
        if member.when is not None:
            mistakes += verify_condition(member.when, scope, f"{where}.when")
        codes = [other.item for other in bundle.members]
        mistakes += unknown(f"{where}.after", member.after, codes, "member")
        if member.item in items:
            found = _verify_member(member, items[member.item], bundle)
            mistakes += (one.under(where) for one in found)
    mistakes += _verify_after(bundle.members)
    for question in bundle.questions:
        for option in question.options:
            where = f"questions.{question.key}.{option.key}"
            if option.materials or option.steps:
                mistakes.append(Mistake(where, "names materials or steps; its members do that"))
            mistakes += _verify_when(option, question, bundle, scope)
    return mistakes


def ways(item: Item) -> int:
    """How many different ways lead through the questions (情形), counted on the graph.

    Of a multiple question each option counts as one situation, as does none of them.
    """
    by_key = {question.key: question for question in item.questions}
    counted: dict[str, int] = {}

    def count(key: str) -> int:
        question = by_key.get(key)
        if question is None:
            return 1
        if key not in counted:
            if question.multiple:
                several = len(question.options) + bool(question.none_label)
                counted[key] = several * count(question.next_question)
            else:
                counted[key] = sum(count(next_) for next_ in _next(question))
        return counted[key]

    return count(item.first_question)


# ── Questions ────────────────────────────────────────────────────────────────────────────────


def _verify_questions(questions: Sequence[Question]) -> Iterator[Mistake]:
    yield from twice("questions", (question.key for question in questions))
    for question in questions:
        where = f"questions.{question.key}"
        yield from twice(where, (option.key for option in question.options))
        yield from twice(where, (option.label for option in question.options))
        for key in (question.key, *(option.key for option in question.options)):
            if KEY.fullmatch(key) is None:
                yield Mistake(where, f"{key!r} has other characters than a-z, 0-9, _ and -")
        if not question.why.strip():
            yield Mistake(f"{where}.why", "says nothing")
        if question.multiple:
            for option in question.options:
                if option.next_question:
                    told = "is never followed: a multiple question has its own next_question"
                    yield Mistake(f"{where}.{option.key}.next_question", told)
        elif question.none_label or question.next_question:
            key = "none_label" if question.none_label else "next_question"
            yield Mistake(f"{where}.{key}", "is for a multiple question only")


def _verify_way(questions: Sequence[Question], first: str) -> Iterator[Mistake]:
    """Questions are reached from the first one, name only known ones, and never come back."""
    by_key = {question.key: question for question in questions}
    if not by_key:
        if first:
            yield Mistake("first_question", f"unknown question {first!r}")
        return
    if first not in by_key:
        told = f"unknown question {first!r}"
        yield Mistake("first_question", told, suggest(first, by_key))
        return
    named = chain(
        ((f"questions.{question.key}", question.next_question) for question in questions),
        ((where, option.next_question) for where, option in _options(questions)),
    )
    for where, key in named:
        if key:
            yield from unknown(f"{where}.next_question", (key,), by_key, "question")
    behind = _behind(questions)
    for key in by_key:
        if key in behind[key]:
            yield Mistake(f"questions.{key}", "comes back to itself")
        if key != first and key not in behind[first]:
            yield Mistake(f"questions.{key}", "no answer leads here")


def _next(question: Question) -> tuple[str, ...]:
    """Where each option leads, empty for an end."""
    return tuple(
        ""
        if option.go_to_item or option.stop
        else question.next_question
        if question.multiple
        else option.next_question
        for option in question.options
    )


def _behind(questions: Sequence[Question]) -> dict[str, set[str]]:
    """Question → all questions that its answers may lead to."""
    edges = {question.key: {key for key in _next(question) if key} for question in questions}
    for question in questions:
        if question.multiple and question.none_label and question.next_question:
            edges[question.key].add(question.next_question)
    behind: dict[str, set[str]] = {}
    for key, first in edges.items():
        seen: set[str] = set()
        waiting = list(first)
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += edges.get(one, ())
        behind[key] = seen
    return behind


# ── Materials, steps, endings ────────────────────────────────────────────────────────────────


def _verify_materials(item: Item) -> Iterator[Mistake]:
    known = [material.key for material in item.materials]
    used = set(item.base_materials)
    yield from unknown("base_materials", item.base_materials, known, "material")
    for where, option in _options(item.questions):
        yield from unknown(f"{where}.materials", option.materials, known, "material")
        yield from twice(f"{where}.materials", option.materials)
        used |= set(option.materials)
    for material in item.materials:
        where = f"materials.{material.key}"
        if material.key not in used:
            yield warning(where, "nobody ever needs it")
        if material.may_follow != bool(material.follow_days):
            told = "needs follow_days" if material.may_follow else "is false, yet there are days"
            yield Mistake(f"{where}.may_follow", told)
        if material.page_copy_num and material.material_type != "original_and_copy":
            yield warning(f"{where}.page_copy_num", "counts for original_and_copy only")
        for number, point in enumerate(material.review_points):
            if point.check == "same" and not point.field:
                yield Mistake(f"{where}.review_points.{number}", "same as which field")


def _verify_steps(item: Item) -> Iterator[Mistake]:
    for where, option in _options(item.questions):
        yield from unknown(f"{where}.steps", option.steps, item.steps, "step")
        yield from twice(f"{where}.steps", option.steps)
    if not item.steps:
        yield Mistake("steps", "there is none")


def _verify_stepless(item: Item) -> Iterator[Mistake]:
    """Some way names neither step nor material. Only for a graph that ends."""
    if not everyones_steps(item) and _bare(item, "steps"):
        yield Mistake("steps", "some answers lead to a list without steps")
    if item.combed and not item.base_materials and _bare(item, "materials"):
        yield warning("base_materials", "some answers lead to a list without materials")


def _bare(item: Item, field_: str) -> bool:
    """True if some way from the first question to a list names nothing in this field."""
    by_key = {question.key: question for question in item.questions}
    bare: dict[str, bool] = {"": True}

    def way(key: str) -> bool:
        if key not in bare:
            question = by_key[key]
            nothing = question.multiple and question.none_label
            bare[key] = bool(nothing and way(question.next_question)) or any(
                not getattr(option, field_) and way(next_)
                for option, next_ in zip(question.options, _next(question), strict=True)
                if not (option.go_to_item or option.stop)
            )
        return bare[key]

    return way(item.first_question)


def _verify_endings(item: Item, known: Known) -> Iterator[Mistake]:
    for where, option in _options(item.questions):
        if option.go_to_item and option.stop:
            yield Mistake(f"{where}.stop", "and go_to_item: only one of them")
        if option.go_to_item == item.catalog_code:
            yield Mistake(f"{where}.go_to_item", "is this item itself")
        elif option.go_to_item and known.items is not None:
            key = f"{where}.go_to_item"
            yield from unknown(key, (option.go_to_item,), known.items, "item")
        if option.go_to_item or option.stop:
            if option.next_question:
                yield Mistake(f"{where}.next_question", "is never asked: the answer ends it")
            if option.materials or option.steps:
                yield warning(where, "names materials or steps that nobody sees")
        if option.service:
            yield from _verify_service(option.service, known, f"{where}.service")


def _options(questions: Iterable[Question]) -> Iterator[tuple[str, Option]]:
    for question in questions:
        for option in question.options:
            yield f"questions.{question.key}.{option.key}", option


# ── Conditions ───────────────────────────────────────────────────────────────────────────────


def _verify_conditions(item: Item, known: Known) -> Iterator[Mistake]:
    scope: dict[str, FactType] = {**COMMON_FACTS, **answer_facts(item.questions)}
    if item.form and known.forms is not None and item.form in known.forms:
        scope |= field_facts(known.forms[item.form])
    elif item.form:
        scope["form.*"] = FactType("any")
    for material in item.materials:
        if material.when is not None:
            yield from verify_condition(material.when, scope, f"materials.{material.key}.when")
    for question in item.questions:
        for option in question.options:
            yield from _verify_when(option, question, item, scope)


def _verify_when(
    option: Option, question: Question, asks: Item | Bundle, scope: Scope
) -> Iterator[Mistake]:
    """A condition that answers a question may look at earlier answers only."""
    if option.when is None:
        return
    where = f"questions.{question.key}.{option.key}.when"
    mistakes = verify_condition(option.when, scope, where)
    yield from mistakes
    if not mistakes:
        early = list(_asked_before(option.when, question, asks.questions, where))
        yield from early or _always_or_never(option.when, question, asks, where)


def _asked_before(
    condition: Condition, question: Question, questions: Sequence[Question], where: str
) -> Iterator[Mistake]:
    behind = _behind(questions)
    for test in tests_of(condition):
        source, _, key = test.fact.partition(".")
        if source == "answer" and question.key not in behind.get(key, ()):
            yield Mistake(where, f"{test.fact} is never known when this is asked")


def _always_or_never(
    condition: Condition, question: Question, asks: Item | Bundle, where: str
) -> Iterator[Mistake]:
    """An earlier answer that decides this question on every way to it, or on none.

    Then nobody reaches its other options, or this one is only ever chosen by hand. Only a plain
    comparison with one answer is looked at; several together may well differ.
    """
    if not isinstance(condition, Test) or condition.op not in ("eq", "in"):
        return
    source, _, key = condition.fact.partition(".")
    earlier = next((one for one in asks.questions if one.key == key), None)
    if source != "answer" or earlier is None or earlier.multiple:
        return
    value = condition.value
    values = set(value) if isinstance(value, tuple) else {value}
    behind = _behind(asks.questions)
    leads_here = {
        option.key
        for option, next_ in zip(earlier.options, _next(earlier), strict=True)
        if next_ == question.key or question.key in behind.get(next_, ())
    }
    if not leads_here & values:
        yield warning(where, "is true on no way that leads here")
    elif leads_here <= values and not _reaches(asks, question.key, around=key):
        told = "is true on every way that leads here: the other options are never offered"
        yield warning(where, told)


def _reaches(asks: Item | Bundle, key: str, *, around: str) -> bool:
    """True if some way leads to the question past another one."""
    questions = [one for one in asks.questions if one.key != around]
    first = asks.first_question
    return first == key or (first != around and key in _behind(questions).get(first, ()))


# ── Days, fees, machines, names ──────────────────────────────────────────────────────────────


def _verify_days_and_fees(item: Item) -> Iterator[Mistake]:
    longest = item.anticipate_day
    if longest and item.promise_day > longest:
        yield Mistake("promise_day", "is longer than anticipate_day allows")
    for where, option in _options(item.questions):
        if longest and option.promise_day is not None and option.promise_day > longest:
            yield Mistake(f"{where}.promise_day", "is longer than anticipate_day allows")
    if item.project_type == "instant" and item.promise_day:
        yield warning("project_type", "is instant, yet the person waits for days")
    if item.is_fee and item.fee_text == "不收费":
        yield Mistake("fee_text", "says that it is free, is_fee says that it is not")
    if item.fees and not item.is_fee:
        yield Mistake("is_fee", "is false, yet there are fees")


def _verify_machines(item: Item) -> Iterator[Mistake]:
    if not item.is_instant_terminal:
        return
    for key in ("is_instant", "is_service_terminals"):
        if not getattr(item, key):
            yield Mistake(key, "must be true where is_instant_terminal is")
    if not item.rule_pack:
        yield Mistake("rule_pack", "is missing: is_instant_terminal needs one")
    if "terminal" not in item.handle_type:
        yield warning("handle_type", "lacks terminal, where is_instant_terminal is true")


def _verify_names(item: Item, known: Known) -> Iterator[Mistake]:
    yield from _verify_service(item.service, known, "service")
    yield from _verify_place(item, known)
    if known.peripherals is not None:
        yield from unknown("peripherals", item.peripherals, known.peripherals, "port")
    if known.upstream is not None:
        yield from unknown("upstream", item.upstream, known.upstream, "upstream system")
    if item.rule_pack and known.rule_packs is not None:
        yield from unknown("rule_pack", (item.rule_pack,), known.rule_packs, "rule pack")
    if known.forms is None:
        return
    if item.form:
        yield from unknown("form", (item.form,), known.forms, "form")
    for material in item.materials:
        where = f"materials.{material.key}"
        for key, code in (("form", material.form), ("example", material.example)):
            if code:
                yield from unknown(f"{where}.{key}", (code,), known.forms, "form")
        yield from _verify_points(item, material, known.forms)


def _verify_points(
    item: Item, material: Material, forms: Mapping[str, FormDefinition]
) -> Iterator[Mistake]:
    form = forms.get(item.form)
    for number, point in enumerate(material.review_points):
        if point.field and form is not None:
            where = f"materials.{material.key}.review_points.{number}.field"
            fields = [one.key for one in form.fields]
            yield from unknown(where, (point.field,), fields, "field")


def _verify_address(service: str, address: str, known: Known, where: str) -> Iterator[Mistake]:
    """People are sent to where their number is called; without a map nobody knows where that is."""
    place = (known.services or {}).get(service)
    if known.windows is not None and place is not None and address != place:
        yield Mistake(where, f"{service} is at {place!r}, not {address!r}")


def _verify_place(item: Item, known: Known) -> Iterator[Mistake]:
    """Where the item sends people is where its queue is called."""
    if item.combed:
        yield from _verify_address(item.service, item.transact_addr, known, "transact_addr")
        for where, option in _options(item.questions):
            if option.service or option.transact_addr:
                service = option.service or item.service
                address = option.transact_addr or item.transact_addr
                yield from _verify_address(service, address, known, f"{where}.transact_addr")
    if known.windows is None or (known.services and item.service not in known.services):
        return
    yield from unknown("windows", item.windows, known.windows, "window")
    strangers = [
        window
        for window in item.windows
        if known.windows.get(window) and item.service not in known.windows[window]
    ]
    if strangers:
        told = f"window {', '.join(strangers)} does not serve {item.service!r}"
        yield Mistake("windows", told)


def _verify_service(service: str, known: Known, where: str) -> Iterator[Mistake]:
    if known.services is not None:
        yield from unknown(where, (service,), known.services, "service")


def _verify_instant(items: Sequence[Item], packs: Mapping[str, RulePack]) -> Iterator[Found]:
    """The item's rule pack decides this item."""
    for item in items:
        pack = packs.get(item.rule_pack)
        if pack is not None and pack.item != item.catalog_code:
            told = Mistake("rule_pack", f"{item.rule_pack!r} decides {pack.item!r}, not this item")
            yield Found("item", item.catalog_code, told)


def _verify_families(items: Sequence[Item]) -> Iterator[Found]:
    """Handlings of one matter share their 主项; a main code has one name."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for item in items:
        if item.main_code:
            names[item.main_code].add(item.main_name)
    families: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        if len(names.get(item.main_code, ())) > 1:
            others = "、".join(sorted(names[item.main_code]))
            told = Mistake("main_name", f"main_code {item.main_code!r} has several names: {others}")
            yield Found("item", item.catalog_code, told)
        name, _, handling = item.task_name.rpartition(" ")
        if name and handling and item.handling != "other":
            families[name].append(item)
    for name, family in families.items():
        mains = {item.main_code or item.main_name for item in family}
        if len(family) > 1 and (len(mains) > 1 or "" in mains):
            for item in family:
                told = warning("main_code", f"its siblings named {name!r} share no 主项")
                yield Found("item", item.catalog_code, told)


def _verify_rounds(items: Sequence[Item]) -> Iterator[Found]:
    """Nobody is led from item to item for ever: some way out of each ends in a list or a stop."""
    leads = {item.catalog_code: _leads(item) for item in items}
    out = {code for code, to in leads.items() if not to or "" in to or to - leads.keys()}
    while further := {code for code, to in leads.items() if code not in out and to & out}:
        out |= further
    for code in sorted(leads.keys() - out):
        others = ", ".join(sorted(leads[code]))
        told = Mistake("first_question", f"every answer leads on to {others}, and round again")
        yield Found("item", code, told)


def _leads(item: Item) -> set[str]:
    """Items to which answers lead; empty text for a list or a stop."""
    reached = {item.first_question} | _behind(item.questions).get(item.first_question, set())
    found: set[str] = set()
    for question in item.questions:
        if question.key in reached:
            found |= {
                option.go_to_item
                for option, next_ in zip(question.options, _next(question), strict=True)
                if not next_
            }
            if question.multiple and question.none_label and not question.next_question:
                found.add("")
    return found


# ── Bundles ──────────────────────────────────────────────────────────────────────────────────


def _verify_member(member: BundleMember, item: Item, bundle: Bundle) -> Iterator[Mistake]:
    own = {question.key: question for question in item.questions}
    asked = {question.key: question for question in bundle.questions}
    yield from unknown("answers", member.answers, own, "question of the item")
    yield from unknown("answers_from", member.answers_from, own, "question of the item")
    for key in member.answers.keys() & member.answers_from.keys():
        yield Mistake("answers_from", f"{key!r} is in answers as well")
    for key, option in member.answers.items():
        if key in own:
            keys = [one.key for one in own[key].options]
            yield from unknown(f"answers.{key}", option.split("+"), keys, "option")
    for key, source in member.answers_from.items():
        yield from unknown(f"answers_from.{key}", (source,), asked, "question of the bundle")
        if key in own and source in asked:
            keys = [one.key for one in own[key].options]
            wanted = (one.key for one in asked[source].options)
            missing = [one for one in wanted if one not in keys]
            if len(missing) == len(asked[source].options):
                told = f"{source!r} has no option in common with the item's question"
                yield Mistake(f"answers_from.{key}", told)
            elif missing:
                told = f"{', '.join(missing)} of {source!r} leaves the item's question open"
                yield warning(f"answers_from.{key}", told)


def _verify_after(members: Sequence[BundleMember]) -> Iterator[Mistake]:
    after = {member.item: set(member.after) for member in members}
    for member in members:
        seen: set[str] = set()
        waiting = list(member.after)
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += after.get(one, ())
        if member.item in seen:
            yield Mistake(f"members.{member.item}.after", "comes back to itself")


# ── Words ────────────────────────────────────────────────────────────────────────────────────


def _verify_words(item: Item) -> Iterator[Mistake]:
    yield from _short("plain_name", item.plain_name, NAME_LIMIT)
    yield from _plain("plain_name", item.plain_name)
    yield from _question_words(item.questions)
    for material in item.materials:
        if material.plain_name:
            where = f"materials.{material.key}.plain_name"
            yield from _short(where, material.plain_name, NAME_LIMIT)
            yield from _plain(where, material.plain_name)
        elif han(material.material_name) > NAME_LIMIT:
            where = f"materials.{material.key}.plain_name"
            yield warning(where, "is missing, and the official name is long")
    for number, asked in enumerate(item.common_questions):
        where = f"common_questions.{number}.answer"
        sentences = [part for part in _SENTENCE_END.split(asked.answer) if part.strip()]
        if len(sentences) > ANSWER_SENTENCES:
            told = f"has {len(sentences)} sentences, at most {ANSWER_SENTENCES} can be listened to"
            yield warning(where, told)


def _question_words(questions: Iterable[Question]) -> Iterator[Mistake]:
    for question in questions:
        where = f"questions.{question.key}"
        yield from _short(f"{where}.text", question.text, QUESTION_LIMIT)
        yield from _plain(f"{where}.text", question.text)
        if question.none_label:
            yield from _short(f"{where}.none_label", question.none_label, LABEL_LIMIT)
        for option in question.options:
            yield from _short(f"{where}.{option.key}.label", option.label, LABEL_LIMIT)
            yield from _plain(f"{where}.{option.key}.label", option.label)
            yield from _plain(f"{where}.{option.key}.explain", option.explain)


def han(text: str) -> int:
    """How many Han characters a text has."""
    return len(_HAN.findall(text))


def _short(where: str, text: str, limit: int) -> Iterator[Mistake]:
    if han(text) > limit:
        yield warning(where, f"has {han(text)} characters, {limit} fit")
    if not text.strip():
        yield Mistake(where, "says nothing")


def _plain(where: str, text: str) -> Iterator[Mistake]:
    words = [word for word in OFFICIAL if word in text]
    if words:
        yield warning(where, f"speaks like an office: {'、'.join(words)}", "say it as people do")
