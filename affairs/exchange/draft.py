"""From what a source says to an item: what is open gets a neutral value, and is reported."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from affairs.exchange import codes
from affairs.exchange.tables import tables
from hallkit.model.item import Handling, Item

LONGEST_CODE = 64
_HANDLINGS: tuple[Handling, ...] = ("replace", "renew", "change", "cancel", "query", "new")
_BRACKETS = re.compile(r"[（(](?P<inner>[^（()）]*)[）)]\s*$")


@dataclass(slots=True)
class Draft:
    """What one source says of one item. `fields` are those of `Item`, and only what was said."""

    file: str
    line: int
    layout: str
    fields: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    """Cleaned fields of the source for which an item has no place."""

    def put(self, name: str, value: Any) -> None:
        """Set a field if there is something to set."""
        if value is not None and value not in ("", (), []):
            self.fields[name] = value

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@dataclass(frozen=True, slots=True)
class Imported:
    """An item with what is known of its coming."""

    item: Item
    file: str
    line: int
    layout: str
    missing: tuple[str, ...]
    """Elements of the national list that the source leaves open, by name."""
    warnings: tuple[str, ...]
    kept: Mapping[str, Any]


def finish(draft: Draft) -> Imported | str:
    """The item, or why there is none."""
    said = draft.fields
    if not said.get("task_name"):
        return "has no name"
    missing = tuple(missing_elements(said))
    _check_organisation(draft)
    values = {**derived(said), **said}
    _check_days(draft, values)
    try:
        item = Item.model_validate(values)
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
    return Imported(
        item=item,
        file=draft.file,
        line=draft.line,
        layout=draft.layout,
        missing=missing,
        warnings=tuple(draft.warnings),
        kept=draft.kept,
    )


def missing_elements(said: Mapping[str, Any]) -> Iterable[str]:
    """Elements of the national list that are not among these fields."""
    instead = {
        "code": ("task_handle_item", "task_code", "local_task_code"),
        "topic": ("user_topic_type", "corp_topic_type"),
        "project_type": ("project_type",),
    }
    for element in tables().elements:
        if not any(name in said for name in instead.get(element, (element,))):
            yield element


def derived(said: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from what was said, and neutral values for the rest."""
    neutral = tables().neutral
    name: str = said["task_name"]
    materials = said.get("materials", ())
    found: dict[str, Any] = {
        "catalog_code": catalog_code(said),
        "plain_name": plain_name(name),
        "dept_name": neutral.dept_name,
        "theme": next(iter(said.get("user_topic_type", said.get("corp_topic_type", ()))), "")
        or neutral.theme,
        "service": neutral.service,
        "transact_addr": neutral.transact_addr,
        "handling": handling(name),
        "steps": neutral.steps,
        "materials": materials,
        "base_materials": tuple(material["key"] for material in materials),
        "fee_text": fee_text(said),
        "combed": False,
        "sample": False,
    }
    if not {"main_code", "main_name"} & said.keys():
        # Where a list groups its items by name, the groups are not those of the codes.
        found["main_code"], found["sub_code"] = codes.main_of(said.get("basic_code", ""))
    if "promise_day" not in said:
        found |= {"promise_explain": neutral.promise_explain}
        if said.get("anticipate_day"):
            found |= {
                "promise_day": said["anticipate_day"],
                "promise_type": said.get("anticipate_type", "working"),
                "promise_explain": neutral.promise_from_legal,
            }
    return found


def catalog_code(said: Mapping[str, Any]) -> str:
    """业务办理项编码, else 实施编码, else the local code; else one made from the name."""
    for name in ("task_handle_item", "task_code", "local_task_code"):
        code = str(said.get(name, ""))
        if code:
            return code if len(code) <= LONGEST_CODE else _digest(code)
    parts = (said.get(name, "") for name in ("dept_name", "task_name", "basic_code"))
    return _digest("\n".join(map(str, parts)))


def _digest(text: str) -> str:
    return f"x-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def plain_name(name: str) -> str:
    """The name without what only says which level handles it."""
    while (match := _BRACKETS.search(name)) and match["inner"].strip() in tables().names.noise:
        if not match.start():
            break
        name = name[: match.start()].rstrip()
    return name


def handling(name: str) -> Handling:
    """Which 业务办理项 a name means; unclear is `other`.

    A name that ends with looking something up is that; else its last brackets count, then the
    whole.
    """
    name = plain_name(name)
    if name.endswith(tables().handling["query"]):
        return "query"
    match = _BRACKETS.search(name)
    if match and (found := _handlings(match["inner"])):
        return found[0] if len(found) == 1 else "other"
    found = _handlings(name)
    return found[0] if len(found) == 1 else "other"


def _handlings(text: str) -> list[Handling]:
    found: list[Handling] = []
    # 注销登记, 变更许可: what is done to a licence outweighs the word for getting one.
    for kind in _HANDLINGS:
        if kind == "new" and found:
            break
        if any(word in text for word in tables().handling[kind]):
            found.append(kind)
    return found


def fee_text(said: Mapping[str, Any]) -> str:
    """The fee in words; never free where nothing is said."""
    neutral = tables().neutral
    if "is_fee" not in said:
        return neutral.fee_text
    if not said["is_fee"]:
        return neutral.free
    stands = [fee["fee_stand"] for fee in said.get("fees", ()) if fee.get("fee_stand")]
    return " ".join(stands) if stands else neutral.charged


def _check_organisation(draft: Draft) -> None:
    code = str(draft.fields.get("dept_code", ""))
    if code and (doubt := codes.doubts(code)):
        draft.warn(f"dept_code {code!r} {doubt}")


def _check_days(draft: Draft, values: dict[str, Any]) -> None:
    legal = int(values.get("anticipate_day", 0))
    promised = int(values.get("promise_day", 0))
    if legal and promised > legal:
        draft.warn(
            f"promise_day {promised} is longer than anticipate_day {legal}, taken as {legal}"
        )
        values["promise_day"] = legal
