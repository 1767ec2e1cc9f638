"""Forms: what is wrong in a definition, what can be filled in already, what an answer still lacks.

Values of a form are facts too: `form.<field>`. Nothing here keeps or logs them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from hallkit.guide.conditions import (
    COMMON_FACTS,
    FactKind,
    FactType,
    Scope,
    answer_facts,
    evaluate,
    fact_type,
    facts_of,
    verify_condition,
)
from hallkit.guide.mistakes import Mistake, suggest, twice, unknown, warning
from hallkit.guide.rule_cases import Tangled, approving, can_fail, can_pass, failing
from hallkit.lexicon.words import Words
from hallkit.model.base import Value
from hallkit.model.conditions import Facts, FactValue
from hallkit.model.form import Field, FieldKind, FormDefinition, Limits
from hallkit.model.identity import id_number_is_valid
from hallkit.model.item import Item
from hallkit.model.rules import Rule, RulePack

SOURCES: Scope = {
    **COMMON_FACTS,
    **{
        f"applicant.{name}": FactType("text")
        for name in ("name", "id_number", "address", "phone", "nation", "issuer")
    },
    "applicant.birth": FactType("date"),
    "answer.*": FactType("any"),
    "ticket.*": FactType("text"),
}
"""What a field may be taken from; its form adds its other fields."""

_KINDS: Mapping[FieldKind, FactKind] = {
    "number": "number",
    "money": "number",
    "date": "date",
    "choice": "text",
    "choices": "words",
    "yes_no": "yes_no",
    "signature": "yes_no",
}
_TEXTS = frozenset({"text", "long_text", "name", "address"})
_NUMBERS = frozenset({"number", "money"})
_CHOICES = frozenset({"choice", "choices"})

_PHONE = re.compile(r"1[3-9]\d{9}|0\d{2,3}-?\d{7,8}")
_PLACE = re.compile(r"\d{6}(\d{3}){0,2}")
_DAY = re.compile(r"today([+-]\d{1,5})?")
_NAME = re.compile(r"[\u3400-\u9fff·A-Za-z .'-]+")
_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"


class Filled(Value):
    """A field's value that was known, and from where."""

    value: FactValue
    source: str
    """The fact: the screen says so beside the field."""
    editable: bool


class FieldProblem(Value):
    """What is wrong with one answer, in plain words."""

    field: str
    text: str


def field_facts(form: FormDefinition) -> dict[str, FactType]:
    """The facts that a form's fields are once they are filled in."""
    return {
        f"form.{field.key}": FactType(
            _KINDS.get(field.kind, "text"), tuple(option.key for option in field.options)
        )
        for field in form.fields
    }


def shown(field: Field, facts: Facts) -> bool:
    """True unless a condition says that it does not concern this person."""
    return field.shown_when is None or evaluate(field.shown_when, facts) is not False


def prefill(form: FormDefinition, facts: Facts) -> dict[str, Filled]:
    """The fields that are known already, each from its best source."""
    found: dict[str, Filled] = {}
    known = dict(facts)
    for field in _sources_first(form):
        source = next((name for name in field.sources if _usable(field, known.get(name))), None)
        if source is not None:
            value = known[source]
            found[field.key] = Filled(value=value, source=source, editable=field.editable)
            known.setdefault(f"form.{field.key}", value)
    return {field.key: found[field.key] for field in form.fields if field.key in found}


def form_facts(values: Mapping[str, FactValue]) -> dict[str, FactValue]:
    """Filled-in values as facts; what is empty is not known."""
    return {f"form.{key}": value for key, value in values.items() if not _is_empty(value)}


def check(
    form: FormDefinition,
    values: Mapping[str, FactValue],
    *,
    today: dt.date,
    words: Words,
    facts: Facts | None = None,
) -> list[FieldProblem]:
    """What the applicant must still put right, in the form's order; empty for a sound answer."""
    known = {**(facts or {}), "today.date": today.isoformat(), "today.year": today.year}
    known |= form_facts(values)
    problems = []
    for field in form.fields:
        if field.filler != "applicant" or not shown(field, known):
            continue
        value = values.get(field.key)
        label = field.plain_label or field.label
        unsigned = field.kind == "signature" and value is False
        if value is None or _is_empty(value) or unsigned:
            if field.required:
                asked = "form.sign" if field.kind == "signature" else "form.missing"
                problems.append(FieldProblem(field=field.key, text=words(asked, field=label)))
            continue
        told = _wrong(field, value, today)
        if told is not None:
            key, details = told
            text = words(f"form.{key}", field=label, **details)
            problems.append(FieldProblem(field=field.key, text=text))
    return problems


def uscc_is_valid(code: str) -> bool:
    """True if the check character of a 统一社会信用代码 agrees (GB 32100-2015)."""
    if len(code) != 18 or any(char not in _USCC for char in code):
        return False
    total = sum(_USCC.index(char) * pow(3, place, 31) for place, char in enumerate(code[:17]))
    return _USCC[-total % 31] == code[17]


def day_limit(text: str, today: dt.date) -> dt.date | None:
    """`2026-01-31`, `today`, `today+30`; None if it is none of these."""
    relative = _DAY.fullmatch(text)
    try:
        if relative is not None:
            return today + dt.timedelta(days=int(relative[1] or 0))
        return dt.date.fromisoformat(text)
    except (ValueError, OverflowError):
        return None


# ── Definitions ──────────────────────────────────────────────────────────────────────────────


def verify_form(form: FormDefinition) -> list[Mistake]:
    """Everything that would let the form ask in vain. Empty for a sound one."""
    own = field_facts(form)
    mistakes = [
        *twice("sections", (section.key for section in form.sections)),
        *twice("fields", (field.key for field in form.fields)),
        *_verify_circles(form),
    ]
    if not form.declaration and any(field.kind == "signature" for field in form.fields):
        mistakes.append(warning("declaration", "says nothing, yet there is a signature"))
    for section in form.sections:
        for field in section.fields:
            where = f"sections.{section.key}.{field.key}"
            mistakes += (one.under(where) for one in _verify_field(field, own))
    return mistakes


def _verify_field(field: Field, own: Scope) -> Iterator[Mistake]:
    if re.fullmatch(r"[a-z0-9_-]+", field.key) is None:
        yield Mistake("key", f"{field.key!r} has other characters than a-z, 0-9, _ and -")
    yield from _verify_options(field)
    yield from _verify_limits(field)
    scope = {**SOURCES, **own}
    for source in field.sources:
        if fact_type(source, scope) is None:
            yield Mistake("sources", f"unknown fact {source!r}", suggest(source, scope))
        elif source == f"form.{field.key}":
            yield Mistake("sources", "names the field itself")
    if field.shown_when is not None:
        conditions = {**COMMON_FACTS, "answer.*": FactType("any"), **own}
        yield from verify_condition(field.shown_when, conditions, "shown_when")
    if not field.editable and not field.sources:
        yield Mistake("editable", "is false, and no source fills it")
    if field.filler == "applicant":
        if not field.hint:
            yield warning("hint", "is missing: what should be written here")
        if not field.sample and field.kind != "signature":
            yield warning("sample", "is missing: the sample form shows nothing here")


def _verify_options(field: Field) -> Iterator[Mistake]:
    yield from twice("options", (option.key for option in field.options))
    yield from twice("options", (option.label for option in field.options))
    if field.kind in _CHOICES and len(field.options) < 2:
        yield Mistake("options", "a choice has two or more")
    if field.kind not in _CHOICES and field.options:
        yield Mistake("options", f"are for a choice only, this is {field.kind!r}")


def _verify_limits(field: Field) -> Iterator[Mistake]:
    limits, nothing = field.limits, Limits()
    if limits.min_length > limits.max_length:
        yield Mistake("limits.min_length", "is more than max_length")
    if None not in (limits.minimum, limits.maximum) and (limits.minimum or 0) > (
        limits.maximum or 0
    ):
        yield Mistake("limits.minimum", "is more than maximum")
    day = dt.date(2026, 1, 1)
    ends = [day_limit(text, day) for text in (limits.not_before, limits.not_after) if text]
    for key in ("not_before", "not_after"):
        text = getattr(limits, key)
        if text and day_limit(text, day) is None:
            yield Mistake(f"limits.{key}", f"{text!r} is no date", "2026-01-31, today, today+30")
    if len(ends) == 2 and None not in ends and ends[0] > ends[1]:  # type: ignore[operator]  # None is ruled out
        yield Mistake("limits.not_before", "is after not_after")
    of_numbers = (limits.minimum, limits.maximum) != (None, None)
    of_dates = bool(limits.not_before or limits.not_after)
    of_texts = (limits.min_length, limits.max_length) != (nothing.min_length, nothing.max_length)
    if of_numbers and field.kind not in _NUMBERS:
        yield Mistake("limits.minimum", f"limits a number, this is {field.kind!r}")
    if of_dates and field.kind != "date":
        yield Mistake("limits.not_before", f"limits a date, this is {field.kind!r}")
    if of_texts and field.kind not in _TEXTS:
        yield warning("limits.max_length", f"limits a text, this is {field.kind!r}")


def _verify_circles(form: FormDefinition) -> Iterator[Mistake]:
    """No field waits for itself, through sources and conditions."""
    needs = {field.key: _needs(field) for field in form.fields}
    for section in form.sections:
        for field in section.fields:
            seen: set[str] = set()
            waiting = [key for key in needs[field.key] if key != field.key]
            while waiting:
                one = waiting.pop()
                if one not in seen:
                    seen.add(one)
                    waiting += needs.get(one, ())
            shown_by_itself = field.shown_when is not None and f"form.{field.key}" in facts_of(
                field.shown_when
            )
            if field.key in seen or shown_by_itself:
                yield Mistake(f"sections.{section.key}.{field.key}", "waits for itself")


def _needs(field: Field) -> tuple[str, ...]:
    """Other fields of the form that decide whether or how this one is filled."""
    asked = facts_of(field.shown_when) if field.shown_when is not None else ()
    return tuple(
        name.partition(".")[2] for name in (*field.sources, *asked) if name.startswith("form.")
    )


def _sources_first(form: FormDefinition) -> Sequence[Field]:
    """The fields, each behind those that it is taken from."""
    by_key = {field.key: field for field in form.fields}
    done: dict[str, Field] = {}

    def place(field: Field, way: frozenset[str]) -> None:
        for key in _needs(field):
            if key in by_key and key not in done and key not in way:
                place(by_key[key], way | {key})
        done.setdefault(field.key, field)

    for field in form.fields:
        place(field, frozenset({field.key}))
    return tuple(done.values())


def verify_rule_pack(
    pack: RulePack,
    item: Item | None = None,
    form: FormDefinition | None = None,
    systems: AbstractSet[str] | None = None,
) -> list[Mistake]:
    """What is wrong in a rule pack; item and form are those that it decides, where known."""
    asked = [check.system for check in pack.upstream]
    scope = rule_facts(asked, item, form)
    mistakes = [
        *twice("rules", (rule.key for rule in pack.rules)),
        *twice("upstream", asked),
        *(unknown("upstream", asked, systems, "upstream system") if systems is not None else ()),
    ]
    if item is not None:
        mistakes += (
            warning("upstream", f"asks {system!r}, which the item does not name")
            for system in asked
            if item.upstream and system not in item.upstream
        )
        if item.rule_pack != pack.code:
            mistakes.append(warning("item", f"{pack.item!r} names another rule pack or none"))
    for rule in pack.rules:
        mistakes += (one.under(f"rules.{rule.key}") for one in _verify_rule(rule, scope))
    for check_ in pack.upstream:
        mistakes += _unknown_facts(f"upstream.{check_.system}.ask", check_.ask, scope)
    if not any(mistake.level == "error" for mistake in mistakes):
        try:
            mistakes += list(_verify_ends(pack, scope))
        except Tangled:
            mistakes.append(warning("rules", "branch too often to be tried"))
    return mistakes


def _verify_ends(pack: RulePack, scope: Scope) -> Iterator[Mistake]:
    """Every rule can hold and can fail, and somebody can be approved."""
    for rule in pack.rules:
        if not can_pass(pack, rule, scope):
            yield Mistake(f"rules.{rule.key}", "can never hold, whatever is known")
        elif not can_fail(pack, rule, scope):
            yield Mistake(f"rules.{rule.key}", "can never fail: it checks nothing")
        elif failing(pack, rule, scope) is None:
            yield warning(f"rules.{rule.key}", "never fails alone: another rule says the same")
    if all(rule.kind == "push" for rule in pack.rules):
        yield Mistake("rules", "are pushes only: nothing is decided")
    elif approving(pack, scope) is None:
        yield Mistake("rules", "contradict each other: nobody is ever approved")


def rule_facts(
    systems: Sequence[str], item: Item | None, form: FormDefinition | None
) -> dict[str, FactType]:
    """What the rules of a pack may look at."""
    scope = {name: type_ for name, type_ in SOURCES.items() if not name.startswith("upstream.")}
    scope |= {f"upstream.{system}.*": FactType("any") for system in systems}
    scope |= field_facts(form) if form is not None else {"form.*": FactType("any")}
    if item is not None:
        del scope["answer.*"]
        scope |= answer_facts(item.questions)
    return scope


def _verify_rule(rule: Rule, scope: Scope) -> Iterator[Mistake]:
    conditions = {"requires": rule.requires} | ({"when": rule.when} if rule.when else {})
    for key, condition in conditions.items():
        yield from verify_condition(condition, scope, key)
        for name in facts_of(condition):
            if rule.kind == "precheck" and name.startswith("form."):
                yield Mistake(key, f"looks at {name} before the form is filled in")
    yield from _unknown_facts("masks", rule.masks, scope)
    for key in ("text", "passed", "failed", "what_to_do"):
        if not getattr(rule, key).strip():
            yield Mistake(key, "says nothing")


def _unknown_facts(where: str, names: Iterable[str], scope: Scope) -> Iterator[Mistake]:
    for name in names:
        if fact_type(name, scope) is None:
            yield Mistake(where, f"unknown fact {name!r}", suggest(name, scope))


# ── Answers ──────────────────────────────────────────────────────────────────────────────────


def _is_empty(value: FactValue) -> bool:
    return value in ("", ()) or (isinstance(value, str) and not value.strip())


def _usable(field: Field, value: FactValue | None) -> bool:
    """True if a known value may stand in the field."""
    return value is not None and not _is_empty(value) and _of_kind(field, value) is None


Wrong = tuple[str, dict[str, object]]
"""Key under `form.` in the table of words, and what it names."""


def _wrong(field: Field, value: FactValue, today: dt.date) -> Wrong | None:
    return _of_kind(field, value) or _beyond(field, value, today)


def _of_kind(field: Field, value: FactValue) -> Wrong | None:  # noqa: PLR0911  # one line a kind
    """What is wrong with the value whatever its limits."""
    text = value.strip() if isinstance(value, str) else ""
    match field.kind:
        case "number" | "money":
            return _not_a_number(field, value)
        case "date":
            return None if _date(value) else ("no_date", {})
        case "yes_no" | "signature":
            return None if isinstance(value, bool) else ("choose", {})
        case "choice" | "choices":
            chosen = value if isinstance(value, tuple) else (value,)
            single = field.kind == "choices" or isinstance(value, str)
            known = {option.key for option in field.options}
            return None if single and known.issuperset(chosen) else ("choose", {})
        case "id_number":
            return None if id_number_is_valid(text) else ("no_id_number", {})
        case "uscc":
            return None if uscc_is_valid(text.upper()) else ("no_uscc", {})
        case "phone":
            return None if _PHONE.fullmatch(text) else ("no_phone", {})
        case "place":
            return None if _PLACE.fullmatch(text) else ("no_place", {})
        case "name":
            return None if _NAME.fullmatch(text) else ("no_name", {})
        case _:
            return None if isinstance(value, str) else ("no_text", {})


def _not_a_number(field: Field, value: FactValue) -> Wrong | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "no_number", {}
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  # NaN differs
        return "no_number", {}
    if field.kind == "money" and round(value, 2) != value:
        return "no_money", {}
    return None


def _date(value: FactValue) -> dt.date | None:
    try:
        return dt.date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _beyond(field: Field, value: FactValue, today: dt.date) -> Wrong | None:
    """What is wrong with a value of the right kind."""
    if field.kind in _TEXTS and isinstance(value, str):
        return _beyond_length(field.limits, len(value.strip()))
    if field.kind in _NUMBERS and isinstance(value, int | float):
        return _beyond_number(field.limits, value)
    day = _date(value) if field.kind == "date" else None
    return _beyond_days(field.limits, day, today) if day is not None else None


def _beyond_length(limits: Limits, length: int) -> Wrong | None:
    if length < limits.min_length:
        return "too_short", {"limit": limits.min_length}
    return ("too_long", {"limit": limits.max_length}) if length > limits.max_length else None


def _beyond_number(limits: Limits, value: float) -> Wrong | None:
    if limits.minimum is not None and value < limits.minimum:
        return "too_little", {"limit": f"{limits.minimum:g}", "unit": limits.unit}
    if limits.maximum is not None and value > limits.maximum:
        return "too_much", {"limit": f"{limits.maximum:g}", "unit": limits.unit}
    return None


def _beyond_days(limits: Limits, day: dt.date, today: dt.date) -> Wrong | None:
    first, last = (day_limit(text, today) for text in (limits.not_before, limits.not_after))
    if first is not None and day < first:
        return "too_early", {"limit": first.isoformat()}
    if last is not None and day > last:
        return "too_late", {"limit": last.isoformat()}
    return None
