"""What several items ask for, asked for once: materials and fields, the strictest of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence

from hallkit.guide.conditions import facts_of, renamed
from hallkit.guide.forms import day_limit
from hallkit.guide.questions import ListedMaterial, PersonalList
from hallkit.model.base import Value
from hallkit.model.conditions import AnyOf, Condition, FactValue
from hallkit.model.form import Field, FormDefinition, Limits, Section
from hallkit.model.item import Item, Material

_DAY = dt.date(2026, 1, 1)
"""Any day: `today+30` and `today+10` compare the same on each."""


# ── Materials ────────────────────────────────────────────────────────────────────────────────


def merged_materials(lists: Mapping[str, PersonalList]) -> tuple[ListedMaterial, ...]:
    """Each thing that these items ask for once, in the order of its first mention.

    The same is what has the same name, form or licence; what one item lists apart stays apart.
    """
    merged: list[ListedMaterial] = []
    for code, personal in lists.items():
        left = list(personal.materials)
        for is_same in (_same_name, _same_form, _same_licence):
            left = [one for one in left if not _join(merged, code, one, is_same)]
        merged += (one.model_copy(update={"items": (code,)}) for one in left)
    return tuple(merged)


Sameness = Callable[[Material, Material], bool]


def _same_name(one: Material, other: Material) -> bool:
    """Two forms are never one, whatever they are called."""
    several = one.form and other.form and one.form != other.form
    return one.material_name == other.material_name and not several


def _same_form(one: Material, other: Material) -> bool:
    return bool(one.form) and one.form == other.form


def _same_licence(one: Material, other: Material) -> bool:
    several = one.form and other.form and one.form != other.form
    return bool(one.held_as) and one.held_as == other.held_as and not several


def _join(
    merged: list[ListedMaterial], code: str, listed: ListedMaterial, is_same: Sameness
) -> bool:
    """Put it to the first that is the same; False if none is."""
    for place, one in enumerate(merged):
        if code not in one.items and is_same(one.material, listed.material):
            merged[place] = _both(one, listed, code)
            return True
    return False


def _both(one: ListedMaterial, other: ListedMaterial, code: str) -> ListedMaterial:
    """One material that satisfies both."""
    first, second = one.material, other.material
    may_follow = first.may_follow and second.may_follow
    merged = first.model_copy(
        update={
            **_copies(first, second),
            "is_need": first.is_need or second.is_need,
            "material_format": _format(first, second),
            "may_follow": may_follow,
            "follow_days": min(first.follow_days, second.follow_days) if may_follow else 0,
            "pledge": first.pledge if second.pledge else "",
            "review_points": tuple(dict.fromkeys((*first.review_points, *second.review_points))),
            **{key: getattr(first, key) or getattr(second, key) for key in _EITHER},
        }
    )
    return ListedMaterial(
        material=merged,
        already_held=one.already_held and other.already_held,
        may_follow=one.may_follow and other.may_follow,
        pledge=one.pledge if other.pledge else "",
        items=(*one.items, code),
    )


_EITHER = ("plain_name", "held_as", "form", "example", "page_format", "fill_explain", "source")
"""What one of them says counts for both."""


def _copies(*materials: Material) -> dict[str, object]:
    """How many originals and copies the strictest of them wants."""
    originals = copies = 0
    for one in materials:
        if one.material_type == "copy":
            copies = max(copies, one.page_num)
            continue
        originals = max(originals, one.page_num)
        if one.material_type == "original_and_copy":
            copies = max(copies, one.page_copy_num, 1)
    if originals and copies:
        kind = {"material_type": "original_and_copy"}
        return {**kind, "page_num": originals, "page_copy_num": copies}
    kind = {"material_type": "copy" if copies else "original"}
    return {**kind, "page_num": originals or copies, "page_copy_num": 0}


def _format(*materials: Material) -> str:
    wanted = {one.material_format for one in materials} - {"either"}
    return "paper" if "paper" in wanted else next(iter(wanted), "either")


def _first(texts: Iterable[str]) -> str:
    return next(filter(None, texts), "")


# ── Forms ────────────────────────────────────────────────────────────────────────────────────


class FieldUse(Value):
    """Where a field of the merged form belongs."""

    item: str
    form: str
    field: str
    """Its key in that form."""
    merged: str
    """Its key in the merged form."""


class MergedForm(Value):
    """One form instead of several."""

    form: FormDefinition
    uses: tuple[FieldUse, ...]

    def values_for(self, item: str, values: Mapping[str, FactValue]) -> dict[str, FactValue]:
        """What was filled in, by the keys of the item's own form."""
        return {
            use.field: values[use.merged]
            for use in self.uses
            if use.item == item and use.merged in values
        }


def merged_form(
    code: str, name: str, items: Sequence[Item], forms: Mapping[str, FormDefinition]
) -> MergedForm | None:
    """One form for all these items; None if none of them has any.

    Facts of answers become `answer.<item>.<question>`, as the state of a bundle names them.
    """
    wanted = [(item, forms[item.form]) for item in items if item.form in forms]
    if not wanted:
        return None
    keys: dict[tuple[str, str], str] = {}
    named: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for _, form in wanted:
        for field in form.fields:
            if (form.code, field.key) in keys:
                continue
            same = (field.merges_as, field.kind)
            if not field.merges_as or same not in named:
                key = _free(field.key, taken)
                taken.add(key)
                named.setdefault(same, key)
            else:
                key = named[same]
            keys[form.code, field.key] = key
    parts: dict[str, list[Field]] = {}
    for item, form in _each_once(wanted):
        facts = _new_names(item, form, keys)
        for field in form.fields:
            renamed_field = _renamed(field, keys[form.code, field.key], facts)
            parts.setdefault(keys[form.code, field.key], []).append(renamed_field)
    fields = {key: _strictest(several) for key, several in parts.items()}
    return MergedForm(
        form=FormDefinition(
            code=code,
            name=name,
            sections=_sections(_each_once(wanted), keys, fields),
            declaration="".join(dict.fromkeys(form.declaration for _, form in wanted)),
            sample=any(form.sample for _, form in wanted),
        ),
        uses=tuple(
            FieldUse(
                item=item.catalog_code,
                form=form.code,
                field=field.key,
                merged=keys[form.code, field.key],
            )
            for item, form in wanted
            for field in form.fields
        ),
    )


def _each_once(
    wanted: Iterable[tuple[Item, FormDefinition]],
) -> list[tuple[Item, FormDefinition]]:
    """Each form with the first item that has it."""
    found: dict[str, tuple[Item, FormDefinition]] = {}
    for item, form in wanted:
        found.setdefault(form.code, (item, form))
    return list(found.values())


def _free(key: str, taken: set[str]) -> str:
    number, found = 1, key
    while found in taken:
        number += 1
        found = f"{key}-{number}"
    return found


def _new_names(
    item: Item, form: FormDefinition, keys: Mapping[tuple[str, str], str]
) -> dict[str, str]:
    own = {f"form.{field.key}": f"form.{keys[form.code, field.key]}" for field in form.fields}
    answers = {
        f"answer.{question.key}": f"answer.{item.catalog_code}.{question.key}"
        for question in item.questions
    }
    return own | answers


def _renamed(field: Field, key: str, facts: Mapping[str, str]) -> Field:
    condition = field.shown_when
    return field.model_copy(
        update={
            "key": key,
            "sources": tuple(facts.get(source, source) for source in field.sources),
            "shown_when": renamed(condition, facts) if condition is not None else None,
        }
    )


def _strictest(fields: Sequence[Field]) -> Field:
    """One field that satisfies each of these."""
    first = fields[0]
    if len(fields) == 1:
        return first
    itself = f"form.{first.key}"
    sources = dict.fromkeys(source for field in fields for source in field.sources)
    allowed = set.intersection(*({option.key for option in field.options} for field in fields))
    options = tuple(option for option in first.options if option.key in allowed) or first.options
    return first.model_copy(
        update={
            "required": any(field.required for field in fields),
            "limits": _tightest([field.limits for field in fields]),
            "options": options,
            "filler": min((field.filler for field in fields), key=_FILLERS.index),
            "sources": tuple(source for source in sources if source != itself),
            "editable": all(field.editable for field in fields),
            "shown_when": _either([field.shown_when for field in fields], itself),
            "plain_label": _first(field.plain_label for field in fields),
            "hint": _first(field.hint for field in fields),
            "sample": _first(field.sample for field in fields),
        }
    )


_FILLERS = ("applicant", "clerk", "system")


def _either(conditions: Sequence[Condition | None], itself: str) -> Condition | None:
    """Shown if one of the forms shows it."""
    wanted = tuple(dict.fromkeys(one for one in conditions if one is not None))
    if None in conditions or any(itself in facts_of(one) for one in wanted):
        return None
    return wanted[0] if len(wanted) == 1 else AnyOf(any=wanted)


def _tightest(several: Sequence[Limits]) -> Limits:
    minimums = [one.minimum for one in several if one.minimum is not None]
    maximums = [one.maximum for one in several if one.maximum is not None]
    return Limits(
        min_length=max(one.min_length for one in several),
        max_length=min(one.max_length for one in several),
        minimum=max(minimums, default=None),
        maximum=min(maximums, default=None),
        not_before=max((one.not_before for one in several), key=_early),
        not_after=min((one.not_after for one in several), key=_late),
        unit=_first(one.unit for one in several),
    )


def _early(text: str) -> dt.date:
    return day_limit(text, _DAY) or dt.date.min


def _late(text: str) -> dt.date:
    return day_limit(text, _DAY) or dt.date.max


def _sections(
    wanted: Iterable[tuple[Item, FormDefinition]],
    keys: Mapping[tuple[str, str], str],
    fields: Mapping[str, Field],
) -> tuple[Section, ...]:
    """The forms' sections in their order, without what stands in an earlier one."""
    sections: list[Section] = []
    placed: set[str] = set()
    names: set[str] = set()
    for _, form in wanted:
        for section in form.sections:
            own = dict.fromkeys(keys[form.code, field.key] for field in section.fields)
            fresh = [key for key in own if key not in placed]
            placed.update(fresh)
            if fresh:
                key = _free(section.key, names)
                names.add(key)
                here = tuple(fields[one] for one in fresh)
                sections.append(Section(key=key, title=section.title, fields=here))
    return tuple(sections)
