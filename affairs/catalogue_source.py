"""What the catalogue is made of: a folder's files read into the model, every mistake at once.

A folder holds authored `*.toml` and imported or generated `*.jsonl`, in any number:

* In TOML `[[item]]`, `[[bundle]]`, `[[form]]` and `[[rule_pack]]` have the fields of the values of
  the same name in `hallkit.model`. `[shared]` holds keys that all items of the file have;
  `[shared.materials]` materials used often, which an item's `materials` then names by key.
* In JSON lines the name says what a line is: `items*.jsonl`, `bundles*.jsonl`, `forms*.jsonl`,
  `rule_packs*.jsonl`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hallkit.errors import ConfigError, ConfigProblem
from hallkit.guide.questions import verify
from hallkit.model.base import Value
from hallkit.model.bundle import Bundle, BundleMember
from hallkit.model.form import Field, FormDefinition, Section
from hallkit.model.item import CommonQuestion, Fee, Item, Material, Option, Question, ReviewPoint
from hallkit.model.rules import Rule, RulePack, UpstreamCheck
from hallkit.runtime.config import hint

CONTENT = Path(__file__).parent / "content"

_KINDS: Mapping[str, tuple[type[Value], str]] = {
    "item": (Item, "catalog_code"),
    "bundle": (Bundle, "code"),
    "form": (FormDefinition, "code"),
    "rule_pack": (RulePack, "code"),
}
"""Table name → its model and the field that names it; `<name>s*.jsonl` holds such lines."""

_TABLES: Mapping[str, type[BaseModel]] = {
    "materials": Material,
    "review_points": ReviewPoint,
    "questions": Question,
    "options": Option,
    "common_questions": CommonQuestion,
    "fees": Fee,
    "members": BundleMember,
    "sections": Section,
    "fields": Field,
    "rules": Rule,
    "upstream": UpstreamCheck,
}

_V = TypeVar("_V", bound=Value)


@dataclass(frozen=True, slots=True)
class Content:
    """A whole catalogue, as authored, imported or generated."""

    items: tuple[Item, ...] = ()
    bundles: tuple[Bundle, ...] = ()
    forms: tuple[FormDefinition, ...] = ()
    rule_packs: tuple[RulePack, ...] = ()


def load(folder: Path = CONTENT) -> Content:
    """Everything in the folder, by file name, then as written. `ConfigError` lists all mistakes."""
    reading = _Reading()
    for path in sorted(folder.glob("*.toml")):
        reading.toml(path)
    for path in sorted(folder.glob("*.jsonl")):
        reading.json_lines(path)
    if not any(reading.found.values()) and not reading.problems:
        reading.problems.append(ConfigProblem(folder.name, "-", "holds no items"))
    if reading.problems:
        raise ConfigError(reading.problems)
    return Content(
        items=reading.of(Item),
        bundles=reading.of(Bundle),
        forms=reading.of(FormDefinition),
        rule_packs=reading.of(RulePack),
    )


def load_items(folder: Path = CONTENT) -> list[Item]:
    """The items of `load`."""
    return list(load(folder).items)


class _Shared(BaseModel):
    """Keys that all items of a file have; `materials` are there to be named."""

    model_config = ConfigDict(extra="allow")

    materials: dict[str, dict[str, Any]] = {}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    shared: _Shared = _Shared()
    item: list[dict[str, Any]] = []
    bundle: list[dict[str, Any]] = []
    form: list[dict[str, Any]] = []
    rule_pack: list[dict[str, Any]] = []


@dataclass(slots=True)
class _Reading:
    """One pass over a folder."""

    problems: list[ConfigProblem] = field(default_factory=list)
    found: dict[str, list[Value]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})
    origin: dict[tuple[str, str], str] = field(default_factory=dict)

    def of(self, model: type[_V]) -> tuple[_V, ...]:
        return tuple(
            value for values in self.found.values() for value in values if isinstance(value, model)
        )

    def toml(self, path: Path) -> None:
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            self.problems.append(ConfigProblem(path.name, "-", f"is not TOML: {exc}"))
            return
        try:
            file = _File.model_validate(content)
        except ValidationError as exc:
            self.problems += _problems(exc, path.name)
            return
        for kind in _KINDS:
            entries: Sequence[dict[str, Any]] = getattr(file, kind)
            for number, own in enumerate(entries, start=1):
                raw = self._with_shared(file.shared, own, path.name) if kind == "item" else own
                self.add(kind, raw, path.name, f"{kind} {number}")

    def json_lines(self, path: Path) -> None:
        kind = next((kind for kind in _KINDS if path.name.startswith(f"{kind}s")), "")
        if not kind:
            known = ", ".join(f"{kind}s.jsonl" for kind in _KINDS)
            self.problems.append(ConfigProblem(path.name, "-", "unknown file", f"known: {known}"))
            return
        for number, raw in _json_lines(path, self.problems):
            self.add(kind, raw, path.name, f"line {number}")

    def add(self, kind: str, raw: Mapping[str, Any], file: str, where: str) -> None:
        model, key = _KINDS[kind]
        where = str(raw.get(key, where))
        try:
            value = model.model_validate(raw)
        except ValidationError as exc:
            self.problems += _problems(exc, file, where, model)
            return
        if isinstance(value, Item):
            self.problems += [
                ConfigProblem(file, f"{where}.{mistake.key}", mistake.message, mistake.suggestion)
                for mistake in verify(value)
            ]
        if (kind, where) in self.origin:
            self.problems.append(
                ConfigProblem(file, f"{where}.{key}", f"is also in {self.origin[kind, where]}")
            )
        self.origin[kind, where] = file
        self.found[kind].append(value)

    def _with_shared(self, shared: _Shared, own: dict[str, Any], file: str) -> dict[str, Any]:
        raw = {**(shared.model_extra or {}), **own}
        if isinstance(raw.get("materials"), list):
            where = str(raw.get("catalog_code", "item"))
            raw["materials"] = [
                self._shared_material(entry, shared.materials, file, where)
                for entry in raw["materials"]
            ]
        return raw

    def _shared_material(
        self, entry: Any, materials: Mapping[str, Any], file: str, where: str
    ) -> Any:
        """A material's table; a name stands for the file's shared one."""
        if not isinstance(entry, str):
            return entry
        if entry not in materials:
            self.problems.append(
                ConfigProblem(
                    file, f"{where}.materials", f"unknown {entry!r}", hint(entry, materials)
                )
            )
            return {"key": entry, "material_name": entry}
        return {"key": entry, **materials[entry]}


def _json_lines(
    path: Path, problems: list[ConfigProblem]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                raw = json.loads(line)
            except ValueError as exc:
                problems.append(ConfigProblem(path.name, f"line {number}", f"is not JSON: {exc}"))
                continue
            if isinstance(raw, dict):
                yield number, raw
            else:
                problems.append(ConfigProblem(path.name, f"line {number}", "is not an object"))


def _problems(
    exc: ValidationError, file: str, where: str = "", model: type[BaseModel] = _File
) -> list[ConfigProblem]:
    found = []
    for error in exc.errors(include_url=False, include_input=False):
        location = error["loc"]
        unknown = error["type"] == "extra_forbidden"
        found.append(
            ConfigProblem(
                file,
                ".".join(filter(None, (where, *map(str, location)))),
                "unknown key" if unknown else error["msg"],
                hint(str(location[-1]), _fields(location, model)) if unknown else "",
            )
        )
    return found


def _fields(location: tuple[int | str, ...], model: type[BaseModel]) -> Iterable[str]:
    """The fields of the table in which a key stands."""
    for part in reversed(location[:-1]):
        if part in _TABLES:
            return _TABLES[str(part)].model_fields
    return model.model_fields
