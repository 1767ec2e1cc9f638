"""The authored items: `content/*.toml` read into the model, every mistake at once.

A file holds `[shared]`, keys that all of its items have, and any number of `[[item]]`. Keys are
the fields of `hallkit.model.item.Item`; `[shared.materials]` may stand for materials used often:
an item's `materials` then names them by key instead of a table.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hallkit.errors import ConfigError, ConfigProblem
from hallkit.guide.questions import verify
from hallkit.model.item import Item, Material, Option, Question
from hallkit.runtime.config import hint

CONTENT = Path(__file__).parent / "content"

_TABLES: Mapping[str, type[BaseModel]] = {
    "materials": Material,
    "questions": Question,
    "options": Option,
}


class _Shared(BaseModel):
    """Keys that all items of a file have; `materials` are there to be named."""

    model_config = ConfigDict(extra="allow")

    materials: dict[str, dict[str, Any]] = {}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    shared: _Shared = _Shared()
    item: list[dict[str, Any]] = []


def load_items(folder: Path = CONTENT) -> list[Item]:
    """Every item of the folder, by file name, then as written. `ConfigError` lists all mistakes."""
    items: list[Item] = []
    problems: list[ConfigProblem] = []
    origin: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        for item in _read(path, problems):
            problems += [
                ConfigProblem(
                    path.name,
                    f"{item.catalog_code}.{mistake.key}",
                    mistake.message,
                    mistake.suggestion,
                )
                for mistake in verify(item)
            ]
            if item.catalog_code in origin:
                problems.append(
                    ConfigProblem(
                        path.name,
                        f"{item.catalog_code}.catalog_code",
                        f"is also in {origin[item.catalog_code]}",
                    )
                )
            origin[item.catalog_code] = path.name
            items.append(item)
    if not items and not problems:
        problems.append(ConfigProblem(folder.name, "-", "holds no items"))
    if problems:
        raise ConfigError(problems)
    return items


def _read(path: Path, problems: list[ConfigProblem]) -> Iterable[Item]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        problems.append(ConfigProblem(path.name, "-", f"is not TOML: {exc}"))
        return
    try:
        file = _File.model_validate(content)
    except ValidationError as exc:
        problems += _problems(exc, path.name)
        return
    materials = file.shared.materials
    for number, own in enumerate(file.item, start=1):
        raw = {**(file.shared.model_extra or {}), **own}
        where = str(raw.get("catalog_code", f"item {number}"))
        if isinstance(raw.get("materials"), list):
            raw["materials"] = [
                _shared_material(entry, materials, path.name, where, problems)
                for entry in raw["materials"]
            ]
        try:
            yield Item.model_validate(raw)
        except ValidationError as exc:
            problems += _problems(exc, path.name, where)


def _shared_material(
    entry: Any,
    materials: Mapping[str, Any],
    file: str,
    where: str,
    problems: list[ConfigProblem],
) -> Any:
    """A material's table; a name stands for the file's shared one."""
    if not isinstance(entry, str):
        return entry
    if entry not in materials:
        problems.append(
            ConfigProblem(file, f"{where}.materials", f"unknown {entry!r}", hint(entry, materials))
        )
        return {"key": entry, "material_name": entry}
    return {"key": entry, **materials[entry]}


def _problems(exc: ValidationError, file: str, where: str = "") -> list[ConfigProblem]:
    found = []
    for error in exc.errors(include_url=False, include_input=False):
        location = error["loc"]
        unknown = error["type"] == "extra_forbidden"
        found.append(
            ConfigProblem(
                file,
                ".".join(filter(None, (where, *map(str, location)))),
                "unknown key" if unknown else error["msg"],
                hint(str(location[-1]), _fields(location) if where else _File.model_fields)
                if unknown
                else "",
            )
        )
    return found


def _fields(location: tuple[int | str, ...]) -> Iterable[str]:
    """The fields of the table in which a key stands."""
    for part in reversed(location[:-1]):
        if part in _TABLES:
            return _TABLES[str(part)].model_fields
    return Item.model_fields
