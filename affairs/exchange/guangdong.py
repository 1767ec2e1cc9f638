"""The items of Guangdong's service portal: one object a row, names in both cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from affairs.exchange import clean, codes
from affairs.exchange.draft import Draft, plain_name
from affairs.exchange.source import Note, Row
from affairs.exchange.tables import code_of, tables
from hallkit.model.item import Item, Material

NAME = "guangdong"
_MARKS = frozenset(
    {"cataname", "cataid", "parentcatalogid", "subcatalogname", "matter_name", "matter_type"}
)
_TERMS = ",，;；"
"""What stands between everyday names; a 、 belongs to a name."""
_QUOTES = "“”\"'‘’[]"
_PLAIN = {
    "dept_name": "dept_name",
    "main_name": "parentcatalogname",
    "main_code": "parentcatalogid",
    "sub_name": "subcatalogname",
    "sub_code": "cataid",
    "accept_condition": "accept_standard",
    "link_way": "consult_phone",
    "supervise_way": "complain_phone",
    "other_dept": "co_department",
}


def fits(row: Row) -> bool:
    """Whether the row is of this layout."""
    return len(_MARKS & row.fields.keys()) >= 2


def read(rows: Iterable[Row], _notes: list[Note]) -> Iterator[Draft]:
    """One draft a row."""
    for row in rows:
        draft = Draft(row.file, row.line, NAME)
        _identity(draft, row.fields)
        _matter(draft, row.fields)
        _handling(draft, row.fields)
        _found_by(draft, row.fields)
        yield draft


def cleaned(row: Row) -> dict[str, Any]:
    """What the row says, without its dirt."""
    names = {name.casefold(): name for name in tables().guangdong.fields}
    found: dict[str, Any] = {}
    for key, value in row.fields.items():
        if isinstance(value, (list, tuple)) or key == "material_intro":
            some: Any = clean.texts(value)
        else:
            some = clean.text(value)
        if some:
            found[names.get(key, key)] = some
    return found


def write(item: Item, missing: Iterable[str]) -> dict[str, Any]:
    """The row that reads as this item, as far as the layout has a place for it."""
    own = tables().guangdong
    open_ = frozenset(missing)
    code = codes.national(item.task_handle_item or item.task_code)
    area = code.organisation[2:8] if code else ""
    level = code_of(own.use_level, item.use_level)
    kind = tables().national.task_type.get(item.task_type, "")
    online = None if "is_online" in open_ else item.is_online
    row: dict[str, Any] = {
        "TASK_CODE": item.task_handle_item or item.task_code or item.catalog_code,
        "ORGCODE": item.dept_code[8:17],
        "TASK_TYPE_TEXT": kind,
        "LIMIT_SCENE_NUM": "" if "limit_scene_num" in open_ else str(item.limit_scene_num),
        "CATANAME": item.main_name,
        "DEPT_NAME": _said(item.dept_name, tables().neutral.dept_name),
        "AREA_CODE_TEXT": own.area.get(area, ""),
        "parentCatalogId": item.main_code,
        "TASK_TYPE": code_of(own.task_type, item.task_type) or item.task_type,
        "TASK_NAME": item.task_name,
        "subTaskName": _sub_task(item),
        "parentCatalogName": item.main_name,
        "CATAID": item.basic_code,
        "AREACODE": area,
        "subCatalogName": item.sub_name,
        "ONLINECHECK": "" if online is None else str(int(online)),
        "matter_name": item.sub_name,
        "matter_daily": ",".join(item.popular_terms),
        "matter_short": "" if item.plain_name == plain_name(item.task_name) else item.plain_name,
        "matter_code": item.local_task_code,
        "matter_level": level,
        "visit_number": "" if "limit_scene_num" in open_ else str(item.limit_scene_num),
        "co_department": item.other_dept,
        "handle_location": _place(item),
        "handle_time": ""
        if "anticipate_day" in open_
        else _days(item.anticipate_day, item.anticipate_type),
        "handle_time_limit": ""
        if "promise_day" in open_
        else _days(item.promise_day, item.promise_type),
        "matter_type": kind,
        "accept_standard": item.accept_condition,
        "consult_phone": item.link_way,
        "courier_service": "" if "is_express" in open_ else _yes(item.is_express),
        "complain_phone": item.supervise_way,
        "online_book": "" if "is_schedule" in open_ else _yes(item.is_schedule),
        "district": level,
        "theme_category": list(item.user_topic_type),
        "service_object_name": list(item.server_type),
        "material_intro": [material.material_name for material in item.materials],
    }
    return {name: value for name, value in row.items() if value}


def _identity(draft: Draft, row: Mapping[str, Any]) -> None:
    names = ("task_name", "matter_name", "subcatalogname", "cataname", "parentcatalogname")
    for name in names:
        if found := _name(draft, row, name):
            draft.put("task_name", found)
            break
    code = _code(draft, row)
    if code:
        parts = codes.national(code)
        if parts is None:
            draft.put("local_task_code", code)
            draft.warn(f"TASK_CODE {code!r} has not the 31 or 33 characters of a national code")
        else:
            draft.put("task_code", parts.task_code)
            draft.put("task_handle_item", code if parts.handle_item else "")
            draft.put("dept_code", parts.organisation)
            draft.put("basic_code", parts.basic)
    basic = clean.text(row.get("cataid"))
    if basic and not _has_han(basic):
        draft.put("basic_code", basic)
    organisation = clean.text(row.get("orgcode"))
    if organisation and not _has_han(organisation):
        whole = draft.fields.setdefault("dept_code", organisation)
        if len(whole) == 18 and whole[8:17] != organisation:
            draft.warn(f"ORGCODE {organisation!r} is not that of TASK_CODE")
    local = clean.text(row.get("matter_code"))
    if local and not _has_han(local):
        draft.put("local_task_code", local)


def _code(draft: Draft, row: Mapping[str, Any]) -> str:
    """The item's code, wherever in a shifted row it stands."""
    code = clean.text(row.get("task_code")) or ""
    if code and not _has_han(code) and not isinstance(row.get("task_code"), float):
        return code
    for name, value in row.items():
        if name == "matter_code":
            continue
        other = clean.text(value) if isinstance(value, str) else None
        if other and codes.national(other):
            draft.warn(f"the code stands in {name}")
            return other
    draft.warn("TASK_CODE is missing")
    return ""


def _name(draft: Draft, row: Mapping[str, Any], name: str) -> str | None:
    found = clean.text(row.get(name))
    if found is None or isinstance(row.get(name), (int, float)) or not _has_han(found):
        if name == "task_name":
            draft.warn("TASK_NAME is missing")
        return None
    return found


def _matter(draft: Draft, row: Mapping[str, Any]) -> None:
    own = tables().guangdong
    for field, name in _PLAIN.items():
        found = clean.text(row.get(name))
        if found:
            draft.put(field, found)
    if "main_name" not in draft.fields:
        draft.put("main_name", clean.text(row.get("cataname")))
    if "sub_name" not in draft.fields:
        draft.put("sub_name", clean.text(row.get("matter_name")))
    kinds = tables().national.task_type
    word = clean.text(row.get("task_type_text")) or clean.text(row.get("matter_type")) or ""
    said = clean.text(row.get("task_type")) or ""
    code = said.zfill(2) if said.isdecimal() else ""
    code = own.task_type.get(code, code)
    by_word = code_of(kinds, word)
    if by_word and code and by_word != code:
        draft.warn(f"TASK_TYPE {said!r} is not {word}, the words count")
    if by_word or code in kinds:
        draft.put("task_type", by_word or code)
    elif said or word:
        draft.warn(f"unknown task type {said or word!r}")
    level = clean.text(row.get("matter_level")) or clean.text(row.get("district"))
    if level in own.use_level:
        draft.put("use_level", own.use_level[level])


def _handling(draft: Draft, row: Mapping[str, Any]) -> None:
    words = tables().guangdong.words
    _limits(draft, row)
    _flags(draft, row)
    place = (clean.text(row.get("handle_location")) or "").removeprefix(words.place).strip()
    draft.put("transact_addr", clean.text(place))
    handle_type = [] if place in ("", words.no_window) else ["window"]
    if draft.fields.get("is_online"):
        handle_type.append("online")
    if draft.fields.get("is_express"):
        handle_type.append("express")
    draft.put("handle_type", tuple(handle_type))
    known = tables().national.server_type.values()
    people = clean.words(row.get("service_object_name"))
    draft.put("server_type", tuple(word for word in people if word in known))
    for word in people:
        if word not in known:
            draft.warn(f"service_object_name: unknown {word!r:.60}")


def _limits(draft: Draft, row: Mapping[str, Any]) -> None:
    for field, name in (("anticipate", "handle_time"), ("promise", "handle_time_limit")):
        if limit := clean.days(row.get(name)):
            draft.fields |= {f"{field}_day": limit[0], f"{field}_type": limit[1]}
            if field == "promise" and clean.text(row.get(name)) in tables().days.now:
                draft.put("project_type", "instant")
        elif clean.text(row.get(name)):
            draft.warn(f"{name} {_short(row[name])} is no time limit")
    for name in ("limit_scene_num", "visit_number"):
        times = clean.number(row.get(name), most=9)
        if times is not None:
            draft.fields["limit_scene_num"] = times
            break
        if clean.text(row.get(name)):
            draft.warn(f"{name} {_short(row[name])} is no count")


def _flags(draft: Draft, row: Mapping[str, Any]) -> None:
    for field, name in (
        ("is_online", "onlinecheck"),
        ("is_schedule", "online_book"),
        ("is_express", "courier_service"),
    ):
        value = clean.flag(row.get(name))
        if value is not None:
            draft.fields[field] = value
        elif clean.text(row.get(name)):
            draft.warn(f"{name} {_short(row[name])} is neither yes nor no")


def _found_by(draft: Draft, row: Mapping[str, Any]) -> None:
    draft.put("user_topic_type", tuple(clean.words(row.get("theme_category"))))
    short = clean.text(row.get("matter_short"))
    if short and _has_han(short):
        draft.put("plain_name", short)
    terms: list[str] = []
    daily = row.get("matter_daily")
    if isinstance(daily, (str, list)):
        terms = [term.strip(_QUOTES) for term in clean.texts(daily, separators=_TERMS)]
    draft.put("popular_terms", tuple(dict.fromkeys(term for term in terms if term)))
    names = clean.texts(row.get("material_intro"))
    if isinstance(row.get("material_intro"), (int, float)):
        draft.warn(f"material_intro {_short(row['material_intro'])} is no list of materials")
        names = []
    draft.put(
        "materials",
        tuple(
            Material(key=f"m{number}", material_name=name).model_dump(exclude_unset=True)
            for number, name in enumerate(names, start=1)
        ),
    )


def _has_han(text: str) -> bool:
    return any(0x3400 <= ord(character) <= 0x9FFF for character in text)


def _sub_task(item: Item) -> str:
    """What TASK_NAME adds to the sub-item's name in brackets."""
    head = f"{item.sub_name}("
    if item.sub_name and item.task_name.startswith(head) and item.task_name.endswith(")"):
        return item.task_name[len(head) : -1]
    return ""


def _place(item: Item) -> str:
    words = tables().guangdong.words
    place = _said(item.transact_addr, tables().neutral.transact_addr)
    return place if place in ("", words.no_window) else f"{words.place}{place}"


def _days(count: int, kind: str) -> str:
    words = tables().guangdong.words
    return f"{count}{words.working if kind == 'working' else words.calendar}"


def _yes(value: bool) -> str:
    words = tables().guangdong.words
    return words.yes if value else words.no


def _said(value: str, neutral: str) -> str:
    return "" if value == neutral else value


def _short(value: Any) -> str:
    written = repr(value)
    return written if len(written) <= 60 else f"{written[:60]}…"
