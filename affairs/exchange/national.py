"""The national reporting tables: one object an item with its tables inside, or tables side by side.

Elements have the national names. What the hall knows beyond them stands in `extend_field` of
`up_task_general_extend`, the column that the tables keep for such: a JSON object with the names of
`hallkit.model.item`. Rows of parallel tables belong together by `task_guid`, else by their codes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from affairs.exchange import clean, codes
from affairs.exchange.draft import Draft, finish
from affairs.exchange.source import LONGEST_LINE, Note, Row, lower
from affairs.exchange.tables import Table, code_of, tables
from hallkit.model.item import Item

NAME = "national"
PREFIX = "up_task_general_"
DIRECTORY = "up_task_directory"
TABLES = ("basic", "extend", "material", "fee_project", "questions")

_TOPICS = ("user_topic_type", "corp_topic_type")
_MATERIAL_TEXTS = ("material_name", "page_format", "fill_explain", "accept_stand", "by_law")
_MATERIAL_CODES = ("material_type", "material_format", "source_type")
_OWN_COLUMNS = {
    "material": {"material_name"},
    "fee_project": {"fee_name"},
    "questions": {"question", "answer"},
}
_BASIC_COLUMNS = {"dept_name", "accept_condition", "handle_flow", "promise_day", "task_code"}
_EXTEND_COLUMNS = {"is_online", "is_entry_center", "result_type"}
_LINKS = ("task_guid", "task_handle_item", "task_code", "local_task_code")


@dataclass(slots=True)
class _Group:
    """All rows of one item."""

    row: Row
    basic: dict[str, Any]
    extend: dict[str, Any] = field(default_factory=dict)
    material: list[Any] = field(default_factory=list)
    fee_project: list[Any] = field(default_factory=list)
    questions: list[Any] = field(default_factory=list)


def fits(row: Row) -> bool:
    """Whether the row is of this layout."""
    return bool(_table_of(row)) or any(_short_name(name) for name in row.fields)


def read(rows: Iterable[Row], notes: list[Note]) -> Iterator[Draft]:
    """One draft an item. Rows of tables whose item is not there are noted."""
    groups: list[_Group] = []
    parts: list[tuple[str, Row]] = []
    directory: dict[str, Row] = {}
    for row in rows:
        table = _table_of(row)
        if table == DIRECTORY:
            directory[clean.text(row.fields.get("catalog_code")) or ""] = row
        elif table in ("", "basic"):
            groups.append(_nested(row))
        else:
            parts.append((table, row))
    _join(groups, parts, notes)
    used: set[str] = set()
    for group in groups:
        basic_code = clean.text(group.basic.get("catalog_code")) or ""
        if entry := directory.get(basic_code):
            used.add(basic_code)
            _from_directory(group, entry)
        yield _draft(group)
    for code, row in directory.items():
        if code not in used:
            notes.append(
                Note(row.file, row.line, f"{code or 'a row'} of the directory has no item")
            )


def cleaned(row: Row) -> dict[str, Any]:
    """What a row says of elements for which there are columns, without dirt. Tables stay nested."""
    group = _nested(row)
    found: dict[str, Any] = {}
    for table in ("basic", "extend"):
        texts = {name: clean.text(value) for name, value in getattr(group, table).items()}
        found[f"{PREFIX}{table}"] = {name: value for name, value in texts.items() if value}
    return {table: values for table, values in found.items() if values}


def write(item: Item, missing: Iterable[str]) -> dict[str, Any]:
    """One object with the item's tables, which reads as this item."""
    row = _columns(item, frozenset(missing))
    extend: dict[str, Any] = row[f"{PREFIX}extend"]
    own = item.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    everything = item.model_dump(mode="json", by_alias=True)
    extra: dict[str, Any] = {}
    if materials := _own_of_materials(own["materials"]):
        extra["materials"] = materials
    # What is said of one field may change what another is derived as.
    for _ in tables().national.hall:
        back = _read_back(row)
        differing = {
            name: own.get(name, everything[name])
            for name in tables().national.hall
            if name not in extra and getattr(back, name, None) != getattr(item, name)
        }
        if not differing and "extend_field" in extend:
            break
        extra |= differing
        extend["extend_field"] = json.dumps({"hallkit": extra}, ensure_ascii=False) if extra else ""
    return {table: values for table, values in row.items() if values}


def _own_of_materials(materials: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the tables lack of each material, by its key."""
    names = tables().national.hall_material
    found = {m["key"]: {name: m[name] for name in names if name in m} for m in materials}
    return {key: said for key, said in found.items() if said}


def flat(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of each table, for tables side by side."""
    for row in rows:
        for table, values in row.items():
            for entry in values if isinstance(values, list) else [values]:
                yield table, entry


# Reading


def _short_name(name: str) -> str:
    """`basic`, `extend` … for a table's name in any of its forms."""
    bare = name.casefold().removeprefix(PREFIX).removeprefix("up_task_")
    return {
        "materials": "material",
        "fees": "fee_project",
        "fee": "fee_project",
        "question": "questions",
        "common_questions": "questions",
    }.get(bare, bare if bare in TABLES else "")


def _table_of(row: Row) -> str:
    """Which table a row is of; empty for an object that holds tables, or for no row of ours."""
    named = row.fields.get("table") or row.fields.get("table_name") or row.table
    if isinstance(named, str) and named:
        if named.casefold() in (DIRECTORY, "directory"):
            return DIRECTORY
        if short := _short_name(named):
            return short
    if any(_short_name(n) and isinstance(v, (list, dict)) for n, v in row.fields.items()):
        return ""
    return _by_columns(row.fields.keys())


def _by_columns(names: AbstractSet[str]) -> str:
    for table, columns in _OWN_COLUMNS.items():
        if columns <= names:
            return table
    if not {"catalog_code", *_LINKS} & names:
        return ""
    if "task_name" in names and "cataname" not in names:
        return "basic" if _BASIC_COLUMNS & names else DIRECTORY
    return "extend" if _EXTEND_COLUMNS & names else ""


def _nested(row: Row) -> _Group:
    basic: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for name, value in row.fields.items():
        short = _short_name(name)
        if short and isinstance(value, (dict, list)):
            found[short] = value
        else:
            basic[name] = value
    for name in ("basic", "extend"):
        if isinstance(found.get(name), list):
            found[name] = next((e for e in found[name] if isinstance(e, dict)), {})
    basic |= lower(found.get("basic", {}))
    group = _Group(row, basic, lower(found.get("extend", {})) or basic)
    for name in ("material", "fee_project", "questions"):
        entries = found.get(name, [])
        entries = entries if isinstance(entries, list) else [entries]
        getattr(group, name).extend(lower(e) if isinstance(e, dict) else e for e in entries)
    return group


def _join(groups: list[_Group], parts: list[tuple[str, Row]], notes: list[Note]) -> None:
    by_link: dict[tuple[str, str], _Group] = {}
    for group in groups:
        for name in (*_LINKS, "row_guid"):
            if key := clean.text(group.basic.get(name)):
                kind = "task_guid" if name == "row_guid" else name
                by_link.setdefault((kind, key), group)
    for table, row in parts:
        keys = ((name, clean.text(row.fields.get(name)) or "") for name in _LINKS)
        owner = next((by_link[key] for key in keys if key in by_link), None)
        if owner is None:
            notes.append(
                Note(row.file, row.line, f"a row of {table} belongs to no item", loss=True)
            )
        elif table == "extend":
            owner.extend = dict(row.fields)
        else:
            getattr(owner, table).append(dict(row.fields))
    for group in groups:
        for entries in (group.material, group.fee_project, group.questions):
            entries.sort(key=_order)


def _order(entry: Any) -> int:
    place = clean.number(entry.get("order_num")) if isinstance(entry, dict) else None
    return 10**9 if place is None else place


def _from_directory(group: _Group, entry: Row) -> None:
    for name in ("by_law", "use_level", "task_type", "local_catalog_code"):
        if not clean.text(group.basic.get(name)):
            group.basic[name] = entry.fields.get(name)
    group.basic.setdefault("main_name", entry.fields.get("task_name"))


def _draft(group: _Group) -> Draft:
    draft = Draft(group.row.file, group.row.line, NAME)
    known = tables().national
    for source, texts, flags in (
        (group.basic, known.basic, known.basic_flags),
        (group.extend, known.extend, known.extend_flags),
    ):
        for name in texts:
            draft.put(name, clean.text(source.get(name)))
        for name in flags:
            _flag(draft, source, name)
    if not isinstance(group.basic.get("task_name"), str):
        draft.fields.pop("task_name", None)
    draft.put("main_name", clean.text(group.basic.get("main_name")))
    _identity(draft, group.basic)
    _how(draft, group)
    _limits(draft, group.basic)
    for name in _TOPICS:
        draft.put(name, tuple(clean.words(group.extend.get(name))))
    _materials(draft, group.material)
    _fees(draft, group)
    _questions(draft, group.questions)
    _extra(draft, group.extend.get("extend_field"))
    return draft


def _flag(draft: Draft, source: Mapping[str, Any], name: str) -> None:
    value = clean.flag(source.get(name))
    if value is not None:
        draft.fields[name] = value
    elif clean.text(source.get(name)):
        draft.warn(f"{name} {clean.text(source.get(name))!r:.60} is neither yes nor no")


def _identity(draft: Draft, basic: Mapping[str, Any]) -> None:
    item = clean.text(basic.get("task_handle_item")) or ""
    task = clean.text(basic.get("task_code")) or ""
    if item and not task and (parts := codes.national(item)):
        task = parts.task_code
    draft.put("task_handle_item", item)
    draft.put("task_code", task)
    for name, code in (("task_code", task), ("task_handle_item", item)):
        if code and codes.national(code) is None:
            draft.warn(f"{name} {code!r:.80} has not the form of a national code")
    basic_code = clean.text(basic.get("catalog_code"))
    draft.put("basic_code", basic_code)
    if "dept_code" not in draft.fields and (parts := codes.national(task)):
        draft.put("dept_code", parts.organisation)
    if not (item or task or draft.fields.get("local_task_code")):
        draft.warn("the item has no code")


def _how(draft: Draft, group: _Group) -> None:
    known = tables().national
    basic, extend = group.basic, group.extend
    _code(draft, "task_type", basic.get("task_type"), {code: code for code in known.task_type})
    _code(draft, "use_level", basic.get("use_level"), {code: code for code in "123456"})
    _code(draft, "task_state", basic.get("task_state"), known.task_state)
    _code(draft, "project_type", basic.get("project_type"), known.project_type)
    _code(draft, "handle_area", extend.get("handle_area"), known.handle_area)
    for name in ("handle_type", "server_type"):
        table: Table = getattr(known, name)
        found = []
        for word in clean.words(basic.get(name)):
            if (value := _coded(name, word, table)) is not None:
                found.append(value)
            else:
                draft.warn(f"unknown {name} {word!r:.60}")
        draft.put(name, tuple(dict.fromkeys(found)))


def _coded(name: str, word: str, table: Mapping[str, str]) -> str | None:
    """Our word for a code, or for a word in its place."""
    bare = word.removesuffix(".0")
    for code in (bare, bare.lstrip("0") or "0", bare.zfill(2)):
        if code in table:
            return table[code]
    if word in table.values():
        return word
    return (
        tables().words.get(name, {}).get(word)
        or code_of(tables().national.task_type if name == "task_type" else {}, word)
        or None
    )


def _code(draft: Draft, name: str, value: Any, table: Mapping[str, str]) -> None:
    word = clean.text(value)
    if word is None:
        return
    found = _coded(name, word, table)
    if found is None:
        draft.warn(f"unknown {name} {word!r:.60}")
    else:
        draft.put(name, found)


def _limits(draft: Draft, basic: Mapping[str, Any]) -> None:
    known = tables().national.day_type
    for name in ("anticipate", "promise"):
        unit = _coded("day_type", clean.text(basic.get(f"{name}_type")) or "", known)
        value = basic.get(f"{name}_day")
        if limit := clean.days(value, unit):
            draft.fields |= {f"{name}_day": limit[0], f"{name}_type": limit[1]}
        elif clean.text(value):
            draft.warn(f"{name}_day {clean.text(value)!r:.60} is no time limit")
    times = clean.number(basic.get("limit_scene_num"), most=9)
    if times is not None:
        draft.fields["limit_scene_num"] = times
    elif clean.text(basic.get("limit_scene_num")):
        draft.warn("limit_scene_num is no count up to 9")


def _materials(draft: Draft, entries: Iterable[Any]) -> None:
    found: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(entries, start=1):
        row = entry if isinstance(entry, dict) else {"material_name": entry}
        values: dict[str, Any] = {n: t for n in _MATERIAL_TEXTS if (t := clean.text(row.get(n)))}
        if "material_name" not in values:
            draft.warn(f"material {number} has no name")
            continue
        key = (clean.text(row.get("row_guid")) or "")[:64]
        if not key or key in found:
            key = f"m{number}"
        while key in found:
            key += "_"
        found[key] = {"key": key, **values, **_material_codes(draft, number, row)}
    draft.put("materials", tuple(found.values()))


def _material_codes(draft: Draft, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in _MATERIAL_CODES:
        word = clean.text(row.get(name)) or ""
        if code := _coded(name, word, getattr(tables().national, name)):
            values[name] = code
        elif word:
            draft.warn(f"material {number}: unknown {name} {word!r:.60}")
    if source := clean.text(row.get("source_explain")):
        values["source"] = source
    need = clean.flag(row.get("is_need"))
    if need is not None:
        values["is_need"] = need
    for name, column in (
        ("page_num", "page_num"),
        ("page_copy_num", "page_copynum"),
        ("page_copy_num", "page_copy_num"),
    ):
        count = clean.number(row.get(column), most=99)
        if count is not None:
            values[name] = count
    return values


def _fees(draft: Draft, group: _Group) -> None:
    found = []
    for entry in group.fee_project:
        row = entry if isinstance(entry, dict) else {}
        stand, name = clean.text(row.get("fee_stand")), clean.text(row.get("fee_name"))
        if not (stand or name):
            draft.warn("a fee has neither name nor standard")
            continue
        basis = clean.text(row.get("by_law")) or clean.text(row.get("fee_basis")) or ""
        less = clean.text(row.get("desc_explain")) or ""
        found.append(
            {"fee_name": name or "", "fee_stand": stand or "", "fee_basis": basis, "is_desc": less}
        )
    draft.put("fees", tuple(found))


def _questions(draft: Draft, entries: Iterable[Any]) -> None:
    found = []
    for entry in entries:
        row = entry if isinstance(entry, dict) else {}
        question, answer = clean.text(row.get("question")), clean.text(row.get("answer"))
        if question and answer:
            found.append({"question": question, "answer": answer})
        else:
            draft.warn("a common question lacks its question or its answer")
    draft.put("common_questions", tuple(found))


def _extra(draft: Draft, value: Any) -> None:
    """What a hall has put into `extend_field`; what others put there is none of our business."""
    if not isinstance(value, str) or '"hallkit"' not in value or len(value) > LONGEST_LINE:
        return
    try:
        extra, materials = _hall_fields(draft, json.loads(value)["hallkit"])
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        draft.warn("extend_field does not fit the item, left out")
        return
    draft.fields |= extra
    draft.put("materials", materials)


def _hall_fields(
    draft: Draft, said: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[dict[str, Any], ...]]:
    """The item's and its materials' own fields. `ValueError` if no item comes of them."""
    known = tables().national
    extra = {name: value for name, value in said.items() if name in known.hall}
    by_key: Mapping[str, Mapping[str, Any]] = said.get("materials", {})
    materials = tuple(
        material
        | {n: v for n, v in by_key.get(material["key"], {}).items() if n in known.hall_material}
        for material in draft.fields.get("materials", ())
    )
    trial = Draft(draft.file, draft.line, NAME, {**draft.fields, **extra})
    trial.put("materials", materials)
    result = finish(trial)
    if isinstance(result, str):
        raise ValueError(result)  # noqa: TRY004  # it is a message, not a wrong type
    return extra, materials


# Writing


def _columns(item: Item, missing: frozenset[str]) -> dict[str, Any]:
    known = tables().national
    neutral = tables().neutral
    own = item.model_dump(mode="json")
    basic: dict[str, Any] = {"row_guid": item.catalog_code, "catalog_code": item.basic_code}
    basic |= {"task_code": item.task_code, "task_handle_item": item.task_handle_item}
    basic |= {name: own[name] for name in known.basic}
    basic |= {
        "task_type": item.task_type,
        "use_level": item.use_level,
        "task_state": code_of(known.task_state, item.task_state),
        "project_type": code_of(known.project_type, item.project_type),
        "handle_type": ",".join(code_of(known.handle_type, kind) for kind in item.handle_type),
        "server_type": ",".join(
            code_of(known.server_type, kind) or kind for kind in item.server_type
        ),
        "anticipate_day": str(item.anticipate_day),
        "anticipate_type": code_of(known.day_type, item.anticipate_type),
        "promise_day": str(item.promise_day),
        "promise_type": code_of(known.day_type, item.promise_type),
        "limit_scene_num": str(item.limit_scene_num),
        "is_fee": str(int(item.is_fee)),
    }
    for name in ("dept_name", "transact_addr"):
        if basic[name] == getattr(neutral, name):
            basic[name] = ""
    if basic["promise_explain"] in (neutral.promise_explain, neutral.promise_from_legal):
        basic["promise_explain"] = ""
        missing |= {"promise_day"}
    if item.fee_text == neutral.fee_text:
        missing |= {"is_fee"}
    extend: dict[str, Any] = {name: own[name] for name in known.extend}
    extend |= {name: str(int(own[name])) for name in known.extend_flags}
    extend["handle_area"] = code_of(known.handle_area, item.handle_area)
    extend |= {name: ",".join(own[name]) for name in _TOPICS}
    left_out = missing | {f"{name[:-4]}_type" for name in missing if name.endswith("_day")}
    links = {"task_guid": item.catalog_code, "task_code": item.task_code}
    return {
        f"{PREFIX}basic": _said(basic, left_out),
        f"{PREFIX}extend": {**links, **_said(extend, left_out)},
        f"{PREFIX}material": [
            {**links, "order_num": str(number), **_material_columns(material)}
            for number, material in enumerate(own["materials"], start=1)
        ],
        f"{PREFIX}fee_project": [
            {
                **links,
                "order_num": str(number),
                "fee_name": fee.fee_name,
                "fee_stand": fee.fee_stand,
                "by_law": fee.fee_basis,
                "is_desc": str(int(bool(fee.is_desc))),
                "desc_explain": fee.is_desc,
            }
            for number, fee in enumerate(item.fees, start=1)
        ],
        f"{PREFIX}questions": [
            {**links, "order_num": str(number), "question": said.question, "answer": said.answer}
            for number, said in enumerate(item.common_questions, start=1)
        ],
    }


def _material_columns(material: Mapping[str, Any]) -> dict[str, Any]:
    known = tables().national
    row = {"row_guid": material["key"], **{name: material[name] for name in _MATERIAL_TEXTS}}
    row |= {name: code_of(getattr(known, name), material[name]) for name in _MATERIAL_CODES}
    row |= {
        "source_explain": material["source"],
        "is_need": str(int(material["is_need"])),
        "page_num": str(material["page_num"]),
        "page_copy_num": str(material["page_copy_num"]),
        "form_guid": material["form"],
        "example_guid": material["example"],
    }
    return {name: value for name, value in row.items() if value}


def _said(row: Mapping[str, Any], left_out: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value and name not in left_out}


def _read_back(row: Mapping[str, Any]) -> Item | None:
    """The item that these columns alone give."""
    found = next(iter(read([Row("", 0, lower(row))], [])))
    result = finish(found)
    return None if isinstance(result, str) else result.item
